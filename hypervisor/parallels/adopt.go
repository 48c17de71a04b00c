package parallels

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Adopted gives the VM the name mpd-NNN. A VM that has it costs one process.
//
// Parallels refuses to rename a VM that runs; then it is shut down, renamed and
// started again, which ends its connections. On return it runs, unless the
// error says otherwise; its address comes some time later. A guest that does
// not shut down in two minutes is left running under its old name.
//
// If another VM or a template has the name, in whatever letters, that is
// ErrDrift.
func (b *Backend) Adopted(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
	if err := b.adopt(ctx, o, m); err != nil {
		return fmt.Errorf("rename %s: %w", o.VMName(), err)
	}
	return nil
}

func (b *Backend) adopt(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
	want := o.VMName()
	if m.UUID == "" {
		found, err := b.Locate(ctx, hypervisor.Query{Octet: o, Addr: m.Addr})
		if err != nil {
			return err
		}
		m.UUID = found.UUID
	}
	v, err := b.nameFree(ctx, m.UUID, want)
	if err != nil || v.name == want {
		return err
	}
	if b.draft.on() && (v.state == hypervisor.Suspended || v.state == hypervisor.Paused) {
		// Of what Parallels refuses, a draft knows nothing.
		return fmt.Errorf("it is %s, and keeps its name %s until it is stopped: %w", v.state, v, hypervisor.ErrState)
	}
	if v.state != hypervisor.Running {
		return b.renameSoon(ctx, v, want)
	}
	if b.draft.on() {
		// It refuses this, too, and is then asked again with the VM stopped.
		b.draft.does(hypervisor.Command{Argv: argvRename(v.uuid, want), Limit: hypervisor.DefaultLimit}, v)
	} else if err := b.rename(ctx, v, want); kindOf(err) != busy {
		return err
	}
	return b.renameStopped(ctx, v, want)
}

// nameFree is the VM uuid, if no other one and no template has the name.
func (b *Backend) nameFree(ctx context.Context, uuid, name string) (vm, error) {
	vms, err := b.list(ctx)
	if err != nil {
		return vm{}, err
	}
	var mine vm
	holders := which(vms, func(v vm) bool {
		if sameUUID(v.uuid, uuid) {
			mine = v
			return false
		}
		return strings.EqualFold(v.name, name)
	})
	switch {
	case len(holders) > 0:
		return vm{}, fmt.Errorf("%w: UUID %s is recorded, and there is %s", hypervisor.ErrDrift, plainUUID(uuid), each(holders))
	case mine.uuid == "":
		return vm{}, fmt.Errorf("%w with UUID %s", hypervisor.ErrNoMachine, plainUUID(uuid))
	case mine.name == name:
		return mine, nil
	}
	templates, err := b.templates(ctx)
	if err != nil {
		return vm{}, err
	}
	if t := which(templates, func(t vm) bool { return strings.EqualFold(t.name, name) }); len(t) > 0 {
		return vm{}, fmt.Errorf("%w: UUID %s is recorded, and there is the template %s", hypervisor.ErrDrift, plainUUID(uuid), each(t))
	}
	return mine, nil
}

// rename sets the name, and believes only the name that it reads afterwards.
func (b *Backend) rename(ctx context.Context, v vm, want string) error {
	now, _, err := b.read(ctx, v.uuid)
	switch {
	case err != nil:
		return err
	case now.state == hypervisor.Missing:
		return hypervisor.ErrNoMachine
	case now.name != v.name:
		return renamed(now, v.name)
	}
	failed := b.do(ctx, argvRename(v.uuid, want), hypervisor.DefaultLimit, vm{uuid: v.uuid, name: want, state: now.state})
	if final(ctx, failed) {
		return failed
	}
	if now, _, err = b.read(ctx, v.uuid); err != nil {
		return err
	}
	switch {
	case now.name == want:
		return nil
	case failed != nil:
		return failed
	}
	return errors.New("prlctl set said that it was done, but the name is still " + now.String())
}

// renameStopped shuts a running VM down, renames it, and starts it again
// whatever came of that.
func (b *Backend) renameStopped(ctx context.Context, v vm, want string) error {
	again := "shut the VM down in Parallels Desktop, start it, and run the setup again"
	down := goal{name: "shut down", plan: toShutDown, careful: true, anyName: true, settle: vStop.bound(),
		done: func(s hypervisor.State) bool { return s == hypervisor.Stopped }}
	if err := b.reach(ctx, v.uuid, down); err != nil {
		return hint.Wrap(fmt.Errorf("it keeps its name %s, since it cannot be renamed while it runs: %w", v, err), again)
	}
	err := b.renameSoon(ctx, v, want)
	up := start()
	up.anyName = true
	if down := b.reach(ctx, v.uuid, up); down != nil {
		err = errors.Join(err, hint.Wrap(fmt.Errorf("it was shut down for that, and is not up again: %w", down), "prlctl start "+v.uuid))
	}
	return err
}

// renameSoon is rename of a VM that does not run, but may still be busy with
// stopping.
func (b *Backend) renameSoon(ctx context.Context, v vm, want string) error {
	for try := 0; ; try++ {
		err := b.rename(ctx, v, want)
		if kindOf(err) != busy || try == busyTries {
			return err
		}
		if err := wait(ctx, patience); err != nil {
			return err
		}
	}
}
