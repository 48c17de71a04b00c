package utm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Start starts a stopped VM, or goes on from the memory that was saved, and
// resumes a paused one. It waits at most two minutes for it to take effect.
func (b *Backend) Start(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "start", plan: toStart, done: is(hypervisor.Running)})
}

// Suspend saves the VM's memory. UTM then calls the VM paused: its process stays
// until UTM quits. A VM that is paused already is left so, saved or not.
//
// On a Mac with an Intel processor UTM saves no memory; the VM is paused then,
// which is an error that is errors.ErrUnsupported.
func (b *Backend) Suspend(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "suspend", plan: toSuspend, done: is(hypervisor.Paused, hypervisor.Stopped), strict: true})
}

// Kill resumes a paused VM first, because UTM would start it with its saved
// memory again otherwise. The saved memory of a VM that UTM calls stopped is
// not seen, and stays.
func (b *Backend) Kill(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "kill", plan: toKill, done: is(hypervisor.Stopped)})
}

// Delete cuts the VM's power first. UTM asks nobody and keeps nothing.
func (b *Backend) Delete(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "delete", plan: toDelete, done: is(hypervisor.Missing)})
}

// shutdownLimit is how long a guest may take to shut down: systemd gives a service
// 90 seconds to stop (DefaultTimeoutStopSec in systemd-system.conf).
const shutdownLimit = 2 * time.Minute

// Shutdown presses the VM's power button and waits for two minutes at the most. A
// paused VM is resumed first. The other errors are those of Lifecycle.
func (b *Backend) Shutdown(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "shut down", plan: toShutDown, done: is(hypervisor.Stopped), asked: shutdownLimit})
}

func is(states ...hypervisor.State) func(hypervisor.State) bool {
	return func(s hypervisor.State) bool {
		for _, want := range states {
			if s == want {
				return true
			}
		}
		return false
	}
}

// verb is one way to change the state of a VM. There is none that cuts the power
// without saying so.
type verb struct {
	name   string
	word   string // of utmctl
	flags  []string
	script string
	bound  time.Duration // of the tool, and then again of the state
}

func vStart() verb { return verb{"start", "start", nil, scriptStart, 120 * time.Second} }

func vSuspend() verb {
	return verb{"suspend", "suspend", []string{"--save-state"}, scriptSuspend, 120 * time.Second}
}

func vKill() verb {
	return verb{"kill", "stop", []string{"--kill"}, scriptKill, 60 * time.Second}
}

func vRequest() verb {
	return verb{"request", "stop", []string{"--request"}, scriptRequest, 60 * time.Second}
}

func vDelete() verb { return verb{"delete", "delete", nil, scriptDelete, 60 * time.Second} }

// argv are the words of utmctl for the VM uuid.
func (v verb) argv(uuid string) []string { return append([]string{v.word, uuid}, v.flags...) }

// leads is the state that the verb brings a VM to.
func (v verb) leads() hypervisor.State {
	switch v.name {
	case "start":
		return hypervisor.Running
	case "suspend":
		return hypervisor.Paused
	case "delete":
		return hypervisor.Missing
	}
	return hypervisor.Stopped
}

// plan says for a state which verbs lead on from it: the first, and if that is
// refused, the next. None means that the way is not known.
type plan func(hypervisor.State) []verb

func toStart(s hypervisor.State) []verb {
	if s == hypervisor.Stopped || s == hypervisor.Paused {
		return []verb{vStart()}
	}
	return nil
}

func toSuspend(s hypervisor.State) []verb {
	if s == hypervisor.Running {
		return []verb{vSuspend()}
	}
	return nil
}

func toShutDown(s hypervisor.State) []verb {
	switch s {
	case hypervisor.Running:
		return []verb{vRequest()}
	case hypervisor.Paused: // in which UTM refuses the button
		return []verb{vStart()}
	}
	return nil
}

func toKill(s hypervisor.State) []verb {
	if s == hypervisor.Paused {
		return []verb{vStart(), vKill()}
	}
	return cut(s)
}

func toDelete(s hypervisor.State) []verb {
	if s == hypervisor.Stopped {
		return []verb{vDelete()}
	}
	return cut(s)
}

// cut ends the process of the VM, which UTM does in each state. It comes to a
// passing state only if that did not pass.
func cut(s hypervisor.State) []verb {
	switch s {
	case hypervisor.Running, hypervisor.Paused, hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming:
		return []verb{vKill()}
	}
	return nil
}

// unsaved is the error of a Suspend that UTM refused but that paused the VM.
func unsaved(failed error) error {
	err := fmt.Errorf("the VM is paused, but its memory may not be saved: %w", failed)
	if numberOf(failed) == -2700 {
		err = fmt.Errorf("%w: %w", err, errors.ErrUnsupported)
	}
	return hint.Wrap(err, "start the VM again, and shut it down from inside instead")
}
