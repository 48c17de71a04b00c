package utm

import (
	"context"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

const (
	// firstLook and lastLook are the pauses between two looks at a state.
	firstLook = 500 * time.Millisecond
	lastLook  = 2 * time.Second
	// patience is how long a state may still follow a verb that was refused.
	patience = 3 * time.Second
	// settleLimit is how long a passing state is waited for at first.
	settleLimit = 120 * time.Second
	// repeats is how often a verb is tried again that UTM cut off.
	repeats = 3
	// mostVerbs ends the attempts on a VM that turns in circles.
	mostVerbs = 12
)

// goal is what a VM shall come to.
type goal struct {
	name string // of the method, for errors
	plan plan
	done func(hypervisor.State) bool
	// strict says that the state alone does not prove it: a verb that was refused
	// is an error also if the state is the wanted one.
	strict bool
	// asked is how long a guest may take that was asked to shut down.
	asked time.Duration
}

// reach brings the VM uuid to the goal, one verb at a time: each is chosen by the
// state that was read right before it, and what it did is known by the state that
// is read after it.
func (b *Backend) reach(ctx context.Context, uuid string, g goal) error {
	m, err := b.pursue(ctx, uuid, g)
	switch {
	case err == nil:
		return nil
	case m.Name == "":
		return fmt.Errorf("%s VM %s: %w", g.name, plaintext.Short(uuid), err)
	}
	return fmt.Errorf("%s %s: %w", g.name, title(m), err)
}

func (b *Backend) pursue(ctx context.Context, uuid string, g goal) (hypervisor.Machine, error) {
	m := hypervisor.Machine{UUID: uuid}
	// utmctl takes a name where it finds no UUID.
	if !uuidText.MatchString(uuid) {
		return m, fmt.Errorf("%.60q is not the UUID of a VM of UTM: %w", uuid, hypervisor.ErrNoMachine)
	}
	m, err := b.follow(ctx, m, settleLimit, func(s hypervisor.State) bool { return s != "" && !passing(s) })
	if err != nil {
		return m, err
	}
	a := attempts{}
	for range mostVerbs {
		if g.done(m.State) {
			return m, a.unproved(g)
		}
		do, err := a.next(m, g)
		if err != nil {
			return m, err
		}
		was := m.State
		failed := b.do(ctx, m, do)
		if final(ctx, failed) {
			return m, failed
		}
		m, err = b.follow(ctx, m, limit(g, do, failed), func(s hypervisor.State) bool { return s != was && !passing(s) })
		if err != nil {
			return m, err
		}
		a.learn(was, m.State, do, failed)
	}
	return m, fmt.Errorf("it did not get there after %d attempts, and is %s: %w", mostVerbs, m.State, hypervisor.ErrState)
}

// do runs a verb. Neither an error nor nil is the last word: the state is.
func (b *Backend) do(ctx context.Context, m hypervisor.Machine, v verb) error {
	if b.draft.on() {
		b.draft.verb(b, m, v)
		return nil
	}
	_, _, err := b.utmctl(ctx, v.argv(m.UUID), v.script, argvScript(v.name, m.UUID), v.bound)
	return err
}

// follow reads the VM until its state fits or the time is over. It reads at least
// once.
func (b *Backend) follow(ctx context.Context, m hypervisor.Machine, limit time.Duration, fits func(hypervisor.State) bool) (hypervisor.Machine, error) {
	for begin, pause := time.Now(), firstLook; ; pause = min(lastLook, 2*pause) {
		now, err := b.read(ctx, m.UUID)
		if err != nil {
			return m, err
		}
		if now.Name == "" {
			now.Name = m.Name
		}
		m = now
		left := limit - time.Since(begin)
		if passing(m.State) { // it is on its way
			left = max(limit, settleLimit) - time.Since(begin)
		}
		if fits(m.State) || left <= 0 {
			return m, nil
		}
		if err := wait(ctx, min(left, pause)); err != nil {
			return m, err
		}
	}
}

// passing says whether a VM leaves the state s by itself.
func passing(s hypervisor.State) bool {
	switch s {
	case hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming:
		return true
	}
	return false
}

// attempts remembers what was refused in the present state of a VM.
type attempts struct {
	refused int   // verbs of the plan that were
	cut     int   // how often the present verb was cut off
	last    error // the latest refusal
	moved   error // the refusal after which the state changed all the same
}

// next is the verb to try now.
func (a *attempts) next(m hypervisor.Machine, g goal) (verb, error) {
	if m.State == hypervisor.Missing {
		return verb{}, hypervisor.ErrNoMachine
	}
	verbs := g.plan(m.State)
	switch {
	case len(verbs) == 0:
		return verb{}, hint.Wrap(fmt.Errorf("its state is %q: %w", string(m.State), hypervisor.ErrState), "look at the VM in UTM")
	case a.refused >= len(verbs):
		return verb{}, a.last
	}
	return verbs[a.refused], nil
}

// limit is how long the state may take to follow a verb.
func limit(g goal, do verb, failed error) time.Duration {
	switch {
	case numberOf(failed) == TimedOut || hung(failed): // UTM may still be at work
		return do.bound
	case failed != nil:
		return patience
	case do.name == "request":
		return g.asked
	}
	return do.bound
}

// learn takes in what came of a verb.
func (a *attempts) learn(was, now hypervisor.State, do verb, failed error) {
	switch {
	case now != was:
		*a = attempts{moved: failed}
		return
	case numberOf(failed) == ConnectionCut && a.cut < repeats:
		a.cut++
		return
	case failed == nil && do.name == "request":
		failed = hint.Wrap(fmt.Errorf("the guest did not shut down, and runs on: %w", hypervisor.ErrState),
			"use --kill to cut its power, or shut it down from inside")
	case failed == nil:
		failed = fmt.Errorf("UTM took the %s without a word, but the VM is still %s after %v: %w", do.name, now, do.bound, hypervisor.ErrState)
	}
	a.refused, a.cut, a.last = a.refused+1, 0, failed
}

// unproved is the error of a goal that was reached only by its state.
func (a *attempts) unproved(g goal) error {
	if !g.strict || a.moved == nil {
		return nil
	}
	return unsaved(a.moved)
}
