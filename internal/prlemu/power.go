package prlemu

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// one is the VM that the verb is about, by its only argument that is no option.
// Options other than the given ones are unknown.
func (c *call) one(options ...string) (v VM, has map[string]bool, err error) {
	has = map[string]bool{}
	id := ""
	for _, arg := range c.args {
		switch {
		case slices.Contains(options, arg):
			has[arg] = true
		case id == "" && !strings.HasPrefix(arg, "-"):
			id = arg
		default:
			return v, nil, c.usage("Unrecognized option " + arg)
		}
	}
	if id == "" {
		return v, nil, c.usage("the ID or name is missing")
	}
	err = c.vm(id, func(_ *state, found *VM, _ time.Time) error {
		v = found.clone()
		return nil
	})
	return v, has, err
}

// act is the frame of a power verb: its first line, the change, which says why
// not with a text, the time that it takes, and its last line.
func (c *call) act(v VM, took time.Duration, done string, f func(v *VM, st *state, now time.Time) (why string, err error)) error {
	w := wordsOf(c.verb)
	if err := c.end(w.first+"\n", "", 0); err != nil {
		return err
	}
	if err := c.licensed(); err != nil {
		return err
	}
	last := c.e.guestAddr(v)
	err := c.vm(v.UUID, func(st *state, v *VM, now time.Time) error {
		if v.copying() {
			return refused("%s%s", w.failed, whyBusy)
		}
		if v.State == running {
			v.Last = last
		}
		why, err := f(v, st, now)
		if why != "" {
			return refused("%s%s", w.failed, why)
		}
		return err
	})
	if err == nil {
		err = c.spend(took)
	}
	if err != nil {
		return err
	}
	return c.end(or(done, w.done)+"\n", "", 0)
}

// licensed refuses what an expired licence refuses: start and resume. C (A: the
// same without any licence, with another text)
func (c *call) licensed() error {
	if c.verb != "start" && c.verb != "resume" {
		return nil
	}
	switch c.set.License {
	case "expired":
		return refused("%s%s", wordsOf(c.verb).failed, whyExpired)
	case "none":
		return refused("%s%s", wordsOf(c.verb).failed, whyCannotStart)
	}
	return nil
}

// tell asks for a hook.
func (c *call) tell(hook func(string), uuid string) {
	if hook != nil {
		c.after.Add(func() { hook(uuid) })
	}
}

func (c *call) tellStopped(uuid string, killed bool) {
	if hook := c.e.opts.Hooks.Stopped; hook != nil {
		c.after.Add(func() { hook(uuid, killed) })
	}
}

// pass puts v in a state that ends by itself, or never if it is stuck.
func (c *call) pass(v *VM, now time.Time, through string, d time.Duration, to string) {
	v.State, v.Next = through, ""
	if !c.is(FaultStuck) {
		v.become(now, c.set.scaled(d), to)
	}
}

func (c *call) start() error {
	v, _, err := c.one()
	if err != nil {
		return err
	}
	return c.act(v, startTime, "", func(v *VM, st *state, now time.Time) (string, error) {
		switch {
		case v.Template:
			return whyTemplate, nil
		case v.State == running:
			return whyRunning(v.Name), nil
		case transitional(v.State):
			return whyState(v.Name, v.State), nil
		case v.State == invalid:
			return whyCannotStart, nil
		case (v.State == suspended || v.State == paused) && c.set.StartsSuspended:
			c.wake(v, now)
			return "", nil
		case v.State != stopped:
			return whyNotStopped(v.Name), nil
		}
		c.pass(v, now, starting, startTime+startingTime, running)
		v.Since, v.Warm = now, false
		if c.is(FaultStuck) {
			return "", nil // the guest does not come up
		}
		c.tell(c.e.opts.Hooks.Started, v.UUID)
		if c.e.opts.Hooks.Addr != nil || v.IP.IsValid() {
			return "", nil
		}
		var err error
		v.Leased, err = st.lease(v.MAC, now)
		return "", err
	})
}

func (c *call) wake(v *VM, now time.Time) {
	d := resumeTime + startingTime
	if v.State == paused {
		d = 0
	}
	c.pass(v, now, resuming, d, running)
	v.Since, v.Warm = now, true
	if !c.is(FaultStuck) {
		c.tell(c.e.opts.Hooks.Resumed, v.UUID)
	}
}

func (c *call) resume() error {
	v, _, err := c.one()
	if err != nil {
		return err
	}
	return c.act(v, resumeTime, "", func(v *VM, _ *state, now time.Time) (string, error) {
		switch {
		case transitional(v.State):
			return whyState(v.Name, v.State), nil
		case v.State != suspended && v.State != paused:
			return whyNotSuspended(v.Name), nil
		}
		c.wake(v, now)
		return "", nil
	})
}

func (c *call) suspend() error { return c.freeze(suspending, suspendTime, suspended) }
func (c *call) pause() error   { return c.freeze("pausing", 0, paused) }

func (c *call) freeze(through string, took time.Duration, to string) error {
	v, _, err := c.one()
	if err != nil {
		return err
	}
	return c.act(v, took, "", func(v *VM, _ *state, now time.Time) (string, error) {
		switch {
		case transitional(v.State):
			return whyState(v.Name, v.State), nil
		case v.State == paused:
			return whyPaused, nil
		case v.State != running:
			return whyNotStarted(v.Name), nil
		}
		c.pass(v, now, through, took, to)
		c.tell(c.e.opts.Hooks.Suspended, v.UUID)
		return "", nil
	})
}

func (c *call) stop() error {
	v, has, err := c.one("--kill", "--drop-state", "--fast")
	switch {
	case err != nil:
		return err
	case has["--kill"]:
		return c.act(v, killTime, textKilled, c.kill)
	case has["--drop-state"]:
		return c.act(v, 0, "", c.dropState)
	case c.is(FaultWedged):
		return c.wedged(v)
	}
	err = c.act(v, stopTime, "", func(v *VM, _ *state, now time.Time) (string, error) {
		switch {
		case transitional(v.State):
			return whyState(v.Name, v.State), nil
		case v.State != running: // A: a paused guest cannot shut down
			return whyNotStarted(v.Name), nil
		}
		c.pass(v, now, stopping, stopTime, stopped)
		c.tellStopped(v.UUID, false)
		return "", nil
	})
	return c.idempotent(v, err)
}

// idempotent is the habit of OpenVZ's edition: what does not run was stopped
// well, with a complaint. S
func (c *call) idempotent(v VM, err error) error {
	if f, ok := err.(*failure); ok && v.State == stopped && c.set.StopIsIdempotent {
		return &failure{f.text, 0}
	}
	return err
}

// kill cuts the power. Some transitional states are not refused, as that is
// what it is used for (A); the VM reads as before for some seconds more. C
func (c *call) kill(v *VM, _ *state, now time.Time) (string, error) {
	switch {
	case v.State == stopped, v.State == suspended, v.State == invalid: // A for a suspended one
		return whyNotStarted(v.Name), nil
	case transitional(v.State) && v.State != starting && v.State != stopping:
		return whyState(v.Name, v.State), nil
	case c.is(FaultStuck):
		return "", nil
	}
	v.become(now, c.set.scaled(killTime)+c.set.killLag(), stopped)
	c.tellStopped(v.UUID, true)
	return "", nil
}

// dropState throws the memory of a suspended VM away. C (DEV)
func (c *call) dropState(v *VM, _ *state, _ time.Time) (string, error) {
	if v.State != suspended {
		return whyNotSuspended(v.Name), nil
	}
	v.State = stopped
	c.tellStopped(v.UUID, true)
	return "", nil
}

// wedged is a guest that does not shut down. C that it blocks for about 120 s,
// A the text
func (c *call) wedged(v VM) error {
	d := c.set.scaled(wedgedTime)
	if c.fault.After > 0 {
		d = c.fault.After
	}
	w := wordsOf(c.verb)
	if err := c.end(w.first+"\n", "", 0); err != nil {
		return err
	}
	err := c.vm(v.UUID, func(_ *state, v *VM, now time.Time) error {
		if v.State != running {
			return refused("%s%s", w.failed, whyNotStarted(v.Name))
		}
		v.State = stopping
		v.become(now, d, running)
		return nil
	})
	if err == nil {
		err = c.wait(d)
	}
	if err != nil {
		return err
	}
	return refused("%s%s", w.failed, whyGeneric)
}

func (c *call) restart() error {
	v, _, err := c.one()
	if err != nil {
		return err
	}
	return c.act(v, startTime, "", func(v *VM, _ *state, now time.Time) (string, error) {
		switch {
		case transitional(v.State):
			return whyState(v.Name, v.State), nil
		case v.State != running:
			return whyNotStarted(v.Name), nil
		}
		c.pass(v, now, starting, startTime+startingTime, running)
		v.Since, v.Warm = now, false
		c.tellStopped(v.UUID, c.verb == "reset")
		c.tell(c.e.opts.Hooks.Started, v.UUID)
		return "", nil
	})
}

// print is end for one line.
func (c *call) print(format string, a ...any) error {
	_, err := fmt.Fprintf(c.out, format+"\n", a...)
	return err
}
