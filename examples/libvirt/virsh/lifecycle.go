package virsh

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	// effectLimit is how long what virsh said it did may take to be seen.
	effectLimit = time.Minute
	// shutdownLimit is how long a guest may take to shut down: systemd gives a
	// service 90 seconds.
	shutdownLimit = 2 * time.Minute
)

// Start starts a VM, from its saved memory if there is one, and resumes a paused
// one.
func (b *Backend) Start(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{"start", effectLimit, is(hypervisor.Running), func(m hypervisor.Machine) []string {
		switch m.State {
		case hypervisor.Stopped, hypervisor.Suspended:
			return []string{"start"}
		case hypervisor.Paused:
			return []string{"resume"}
		}
		return nil
	}})
}

// Suspend saves the VM's memory to a file of libvirt's. A paused VM is saved,
// too, and runs when it is started again.
func (b *Backend) Suspend(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{"suspend", effectLimit, is(hypervisor.Suspended, hypervisor.Stopped), func(m hypervisor.Machine) []string {
		if m.State == hypervisor.Running || m.State == hypervisor.Paused {
			return []string{"managedsave", "--running"}
		}
		return nil
	}})
}

// Kill cuts the VM's power.
func (b *Backend) Kill(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{"kill", effectLimit, is(hypervisor.Stopped), func(m hypervisor.Machine) []string {
		if m.State == hypervisor.Suspended {
			return []string{"managedsave-remove"}
		}
		return cut(m)
	}})
}

// Delete destroys the VM, its saved memory, and those of its disks that are
// volumes of a pool and are neither read-only nor shared.
func (b *Backend) Delete(ctx context.Context, uuid string) error {
	// The power is cut first: virsh keeps the volumes of a VM that runs.
	err := b.reach(ctx, uuid, goal{"delete", effectLimit, is(hypervisor.Stopped, hypervisor.Suspended, hypervisor.Missing), cut})
	if err != nil {
		return err
	}
	disks, err := b.disks(ctx, uuid)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete VM %s: %w", shown(uuid), err)
	}
	words := []string{"undefine", "--managed-save", "--nvram", "--snapshots-metadata", "--checkpoints-metadata"}
	if targets := ownTargets(disks); len(targets) > 0 {
		words = append(words, "--storage="+strings.Join(targets, ","))
	}
	return b.reach(ctx, uuid, goal{"delete", effectLimit, is(hypervisor.Missing), func(m hypervisor.Machine) []string {
		if m.State != hypervisor.Stopped && m.State != hypervisor.Suspended {
			return nil
		}
		return words
	}})
}

// Shutdown presses the VM's power button and waits for two minutes at the most.
// A VM that is paused or suspended is ErrState: it cannot hear.
func (b *Backend) Shutdown(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{"shut down", shutdownLimit, is(hypervisor.Stopped), func(m hypervisor.Machine) []string {
		if m.State == hypervisor.Running {
			return []string{"shutdown"}
		}
		return nil
	}})
}

// cut ends the process of a VM, whatever it does: a state of transition comes
// here only if it does not pass.
func cut(m hypervisor.Machine) []string {
	switch m.State {
	case hypervisor.Running, hypervisor.Paused, hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming:
		return []string{"destroy"}
	}
	return nil
}
