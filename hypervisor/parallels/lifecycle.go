package parallels

import (
	"context"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Start resumes a suspended or paused VM and starts a stopped one. It waits at
// most two minutes for each to take effect.
func (b *Backend) Start(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, start())
}

func start() goal {
	return goal{name: "start", plan: toStart, settle: 120 * time.Second,
		done: func(s hypervisor.State) bool { return s == hypervisor.Running }}
}

// Suspend resumes a paused VM first, since Parallels does not suspend it.
func (b *Backend) Suspend(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "suspend", plan: toSuspend, settle: 120 * time.Second,
		done: func(s hypervisor.State) bool { return s == hypervisor.Suspended || s == hypervisor.Stopped }})
}

// Kill resumes a paused VM first if Parallels does not stop it as it is.
func (b *Backend) Kill(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "kill", plan: toKill, careful: true, settle: 60 * time.Second,
		done: func(s hypervisor.State) bool { return s == hypervisor.Stopped }})
}

// Delete cuts the VM's power first. A VM that was turned into a template is
// ErrState: it is not gone. One whose files are missing is ErrState, too, with
// the command that makes Parallels forget it.
func (b *Backend) Delete(ctx context.Context, uuid string) error {
	return b.reach(ctx, uuid, goal{name: "delete", plan: toDelete, careful: true, settle: 60 * time.Second,
		done: func(s hypervisor.State) bool { return s == hypervisor.Missing }})
}
