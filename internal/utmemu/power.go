package utmemu

import (
	"time"
)

// start boots a stopped VM, or resumes its snapshot, and resumes a paused one.
// C
func (c *call) start() error {
	return c.vm(func(_ *state, v *VM, now time.Time) error {
		switch v.State {
		case stopped:
			v.pass(starting, started, now, c.set.scaled(startTime))
			c.tell(c.e.opts.Hooks.Started, v.UUID)
		case paused:
			v.pass(resuming, started, now, c.set.scaled(resumeTime))
			c.tell(c.e.opts.Hooks.Resumed, v.UUID)
		default:
			return said(textNoStart)
		}
		v.Saved = false
		return nil
	})
}

// suspend pauses the VM and, if asked to, saves its memory: the status is
// "paused" either way. C
func (c *call) suspend() error {
	return c.vm(func(_ *state, v *VM, now time.Time) error {
		if v.State != started {
			return said(textNotRunning)
		}
		c.tell(c.e.opts.Hooks.Paused, v.UUID)
		if !c.saves() {
			v.pass(pausing, paused, now, c.set.scaled(resumeTime))
			return nil
		}
		if c.set.Intel {
			v.pass(paused, paused, now, 0)
			return said(textNoSnapshot)
		}
		v.pass(pausing, paused, now, c.set.scaled(saveTime))
		v.Saved = true
		return nil
	})
}

// kill ends the process of QEMU in each state; a snapshot stays. C
func (c *call) kill() error {
	return c.vm(func(_ *state, v *VM, now time.Time) error {
		if v.State != stopped {
			// The status follows when the process is gone.
			v.pass(v.State, stopped, now, c.set.scaled(killTime))
			c.stopped(v.UUID, true)
		}
		return nil
	})
}

// force is the power cut that a stop without a flag is. C
func (c *call) force() error {
	return c.vm(func(_ *state, v *VM, now time.Time) error {
		if v.State != started { // C: also when paused
			return said(textNotRunning)
		}
		v.pass(stopping, stopped, now, c.set.scaled(killTime))
		c.stopped(v.UUID, true)
		return nil
	})
}

// request presses the power button, which the guest may ignore. C
func (c *call) request() error {
	return c.vm(func(_ *state, v *VM, now time.Time) error {
		if v.State != started {
			return said(textNotRunning)
		}
		if !v.Deaf {
			v.pass(started, stopped, now, c.set.scaled(requestTime))
			c.stopped(v.UUID, false)
		}
		return nil
	})
}

func (c *call) stopped(uuid string, killed bool) {
	if hook := c.e.opts.Hooks.Stopped; hook != nil {
		c.after.Add(func() { hook(uuid, killed) })
	}
}

// remove deletes a stopped VM and its bundle, and asks nobody. C
func (c *call) remove() error {
	return c.vm(func(st *state, v *VM, _ time.Time) error {
		if v.State != stopped {
			return said(textNotStopped)
		}
		st.remove(v)
		c.tell(c.e.opts.Hooks.Deleted, v.UUID)
		return nil
	})
}

// saves says whether a suspend was asked to save the memory.
func (c *call) saves() bool {
	if c.tool == "osascript" {
		return c.says("saving true")
	}
	return c.flag("-s") || c.flag("--save-state")
}
