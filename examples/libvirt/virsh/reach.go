package virsh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	// settleLimit is how long a state of transition is waited for.
	settleLimit = time.Minute
	// mostSteps is more than any way is long.
	mostSteps = 4
)

// goal is a set of states to bring a VM to, and the way.
type goal struct {
	name string // for people
	// limit is how long a step may take to be seen once virsh said that it is
	// done.
	limit time.Duration
	done  func(hypervisor.State) bool
	// next is the command of virsh that leads on from the VM's state, without
	// the VM; nil if none is known.
	next func(hypervisor.Machine) []string
}

func is(states ...hypervisor.State) func(hypervisor.State) bool {
	return func(s hypervisor.State) bool { return slices.Contains(states, s) }
}

// passing says whether a VM leaves a state by itself.
func passing(s hypervisor.State) bool {
	return slices.Contains([]hypervisor.State{hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming}, s)
}

// reach brings a VM to a goal. Each step is chosen by the state that was read
// before it, and what it did is known by the state that is read after it:
// neither virsh's yes nor its no is the last word.
func (b *Backend) reach(ctx context.Context, uuid string, g goal) error {
	m, err := b.follow(ctx, uuid, settleLimit, func(m hypervisor.Machine) bool { return !passing(m.State) })
	for step := 0; err == nil && !g.done(m.State); step++ {
		words := g.next(m)
		switch {
		case m.State == hypervisor.Missing:
			err = hypervisor.ErrNoMachine
		case len(words) == 0 || step == mostSteps:
			err = fmt.Errorf("it is %q: %w", m.State, hypervisor.ErrState)
		default:
			m, err = b.step(ctx, m, g, words)
		}
	}
	if err != nil {
		return fmt.Errorf("%s VM %s: %w", g.name, shown(uuid), err)
	}
	return nil
}

// step runs one command and returns the VM after it, in another state.
func (b *Backend) step(ctx context.Context, m hypervisor.Machine, g goal, words []string) (hypervisor.Machine, error) {
	args := append([]string{words[0], "--domain=" + m.UUID}, words[1:]...)
	_, failed := b.virsh(ctx, args...)
	if failed != nil && !errors.As(failed, new(*ToolError)) {
		return m, failed // it did not run to its end
	}
	limit := g.limit
	if failed != nil {
		limit = 0
	}
	now, err := b.follow(ctx, m.UUID, limit, func(now hypervisor.Machine) bool { return now.State != m.State && !passing(now.State) })
	switch {
	case err != nil:
		return m, errors.Join(failed, err)
	case now.State != m.State:
		return now, nil
	case failed != nil:
		return m, failed
	}
	return m, fmt.Errorf("virsh %s says that it is done, but the VM is still %s after %v: %w", words[0], now.State, limit, hypervisor.ErrState)
}

// follow reads a VM until it fits or the time is over.
func (b *Backend) follow(ctx context.Context, uuid string, limit time.Duration, fits func(hypervisor.Machine) bool) (hypervisor.Machine, error) {
	return eventually(ctx, limit, func() (hypervisor.Machine, error) { return b.read(ctx, uuid) }, fits)
}

// read is a VM as it is now; one that is not there is Missing.
func (b *Backend) read(ctx context.Context, uuid string) (hypervisor.Machine, error) {
	vms, err := b.States(ctx)
	if err != nil {
		return hypervisor.Machine{}, err
	}
	i := slices.IndexFunc(vms, func(m hypervisor.Machine) bool { return strings.EqualFold(m.UUID, uuid) })
	if i < 0 {
		return hypervisor.Machine{UUID: uuid, State: hypervisor.Missing}, nil
	}
	return vms[i], nil
}
