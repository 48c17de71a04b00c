package parallels

import (
	"context"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

const (
	// firstLook and lastLook are the pauses between two looks at a state: short
	// at first, then longer, so that a long wait costs few processes.
	firstLook = 500 * time.Millisecond
	lastLook  = 2 * time.Second
	// patience is how long a state may still follow a verb that was refused:
	// the tool says no of what is already on its way, too. It is also the pause
	// before a busy VM is asked again.
	patience = 2 * time.Second
	// killPatience is that of a kill: the VM may read as running for seconds
	// after it.
	killPatience = 10 * time.Second
	// busyTries is how often a busy VM is asked again.
	busyTries = 5
	// mostVerbs ends the attempts on a VM that turns in circles.
	mostVerbs = 16
)

// goal is what a VM shall come to.
type goal struct {
	name string // of the method, for errors
	plan plan
	done func(hypervisor.State) bool
	// careful says that the VM must keep its name all the while: what is done
	// cannot be undone. Elsewhere it may change, since Parallels can be set to
	// take the guest's host name.
	careful bool
	// anyName says that the VM may have another name than mpd-NNN while it is
	// being adopted.
	anyName bool
	settle  time.Duration // how long a passing state is waited for at first
}

// reach brings the VM uuid to the goal, one verb at a time: each is chosen by
// the state that was read right before it, and what it did is known by the state
// that is read after it.
func (b *Backend) reach(ctx context.Context, uuid string, g goal) error {
	v, err := b.pursue(ctx, uuid, g)
	if err == nil {
		return nil
	}
	if v.name == "" {
		return fmt.Errorf("%s VM %s: %w", g.name, plainUUID(uuid), err)
	}
	return fmt.Errorf("%s %s: %w", g.name, v, err)
}

func (b *Backend) pursue(ctx context.Context, uuid string, g goal) (vm, error) {
	if !uuidText.MatchString(plainUUID(uuid)) {
		return vm{}, fmt.Errorf("%.60q is not the UUID of a VM of Parallels: %w", uuid, hypervisor.ErrNoMachine)
	}
	v, err := b.look(ctx, uuid, g)
	if err != nil {
		return v, err
	}
	if v.state == hypervisor.Missing {
		return v, b.absent(ctx, uuid, g)
	}
	settled := func(s hypervisor.State) bool { return !passing(s) }
	if v, err = b.follow(ctx, v, g, bounds{g.settle, g.settle}, settled); err != nil {
		return v, err
	}
	a := attempts{}
	for range mostVerbs {
		if g.done(v.state) {
			return v, nil
		}
		do, err := a.next(v, g)
		if err != nil {
			return v, err
		}
		before := v
		failed := b.do(ctx, do.argv(v.uuid), do.bound(), vm{uuid: v.uuid, name: v.name, state: do.leads()})
		if final(ctx, failed) {
			return v, failed
		}
		if v, err = b.outcome(ctx, v, g, do, failed); err != nil {
			return v, err
		}
		if err := a.learn(before.state, v.state, do, failed); err != nil {
			return v, err
		}
	}
	return v, fmt.Errorf("it did not get there after %d attempts, and is %s: %w", mostVerbs, v.state, hypervisor.ErrState)
}

// look reads the VM and makes sure that it is the one that is meant.
func (b *Backend) look(ctx context.Context, uuid string, g goal) (vm, error) {
	v, others, err := b.read(ctx, uuid)
	if err == nil && v.state != hypervisor.Missing && !g.anyName {
		err = drift(v, others, g.careful)
	}
	return v, err
}

// absent is what it means that no VM has the UUID. A VM that was turned into a
// template is not in the list of VMs either, and is not gone.
func (b *Backend) absent(ctx context.Context, uuid string, g goal) error {
	templates, err := b.templates(ctx)
	if err != nil {
		return err
	}
	for _, t := range templates {
		if sameUUID(t.uuid, uuid) {
			return hint.Wrap(fmt.Errorf("%s is a template now: %w", t, hypervisor.ErrState), "prlctl set "+t.uuid+" --template off")
		}
	}
	if g.done(hypervisor.Missing) {
		return nil
	}
	return hypervisor.ErrNoMachine
}

// outcome is the VM once its state is another one, or once that is no longer to
// be expected.
func (b *Backend) outcome(ctx context.Context, v vm, g goal, do verb, failed error) (vm, error) {
	limit := bounds{do.bound(), max(do.bound(), vStart.bound())}
	switch {
	case failed == nil || kindOf(failed) == noted:
	case do == vKill && kindOf(failed) != busy:
		limit.same = killPatience
	default:
		limit.same = patience
	}
	was := v.state
	return b.follow(ctx, v, g, limit, func(s hypervisor.State) bool { return s != was && !passing(s) })
}

// bounds are how long follow waits: while nothing happens, and while the VM
// passes from one state to another.
type bounds struct{ same, passing time.Duration }

// follow reads the VM until its state fits or the time is over. What a state
// means that does not pass, the goal's plan knows.
func (b *Backend) follow(ctx context.Context, v vm, g goal, limit bounds, fits func(hypervisor.State) bool) (vm, error) {
	begin, pause := time.Now(), time.Duration(0)
	for !fits(v.state) {
		if err := wait(ctx, pause); err != nil {
			return v, err
		}
		now, err := b.look(ctx, v.uuid, g)
		if err == nil && g.careful && now.state != hypervisor.Missing {
			err = renamed(now, v.name)
		}
		if err != nil {
			return v, err
		}
		v = now
		left := limit.same - time.Since(begin)
		if passing(v.state) {
			left = limit.passing - time.Since(begin)
		}
		if left <= 0 {
			break
		}
		pause = min(left, lastLook, max(firstLook, 2*pause))
	}
	return v, nil
}

// attempts remembers what was refused in the present state of a VM.
type attempts struct {
	refused int   // verbs of the plan that were
	busy    int   // how often the present verb was told to come again
	last    error // the latest refusal
}

// next is the verb to try now.
func (a *attempts) next(v vm, g goal) (verb, error) {
	if v.state == hypervisor.Missing {
		return "", hypervisor.ErrNoMachine
	}
	verbs := g.plan(v.state)
	switch {
	case len(verbs) == 0:
		return "", strange(v)
	case a.refused == len(verbs):
		return "", a.last
	}
	return verbs[a.refused], nil
}

// learn takes in what came of a verb. The error is final.
func (a *attempts) learn(before, now hypervisor.State, do verb, failed error) error {
	switch {
	case now != before:
		*a = attempts{}
	case failed == nil:
		return fmt.Errorf("prlctl %s said that it was done, but the VM is still %s after %v: %w", do, now, do.bound(), hypervisor.ErrState)
	case hung(failed): // it would hang again
		return failed
	case kindOf(failed) == busy && a.busy < busyTries:
		a.busy++
	default:
		a.refused, a.busy, a.last = a.refused+1, 0, failed
	}
	return nil
}

// strange is the error for a state from which no way is known.
func strange(v vm) error {
	err := fmt.Errorf("its state is %q: %w", string(v.state), hypervisor.ErrState)
	if v.state == "invalid" {
		return hint.Wrap(err, "its files are missing; put them back, or make Parallels forget it:\nprlctl unregister "+v.uuid)
	}
	return hint.Wrap(err, "look at the VM in Parallels Desktop")
}
