package parallels

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

const (
	// cloneLimit is for a copy of tens of gigabytes.
	cloneLimit = 30 * time.Minute
	// registerLimit is how long the new VM may take to be listed as stopped.
	registerLimit = 10 * time.Second
)

// Clone copies the template's disk unless spec.Linked is set. Parallels runs
// for at most 30 minutes. If it fails, the VM may be half made; what is not
// listed as a VM may still be a folder mpd-NNN.pvm among Parallels' VMs.
func (b *Backend) Clone(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error) {
	if progress == nil {
		progress = func(string) {}
	}
	made, err := b.clone(ctx, spec, progress)
	if err != nil {
		return made, fmt.Errorf("clone %s: %w", spec.Octet.VMName(), err)
	}
	return made, nil
}

func (b *Backend) clone(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error) {
	progress("looking at templates, names and addresses")
	t, err := b.source(ctx, spec)
	if err != nil {
		return hypervisor.Made{}, err
	}
	what := "copying the template " + plaintext.Short(t.name) + ", which can take minutes"
	if spec.Linked {
		what = "making a VM that shares the disk of the template " + plaintext.Short(t.name)
	}
	progress(what)
	v, err := b.copy(ctx, t.vm, spec)
	made := hypervisor.Made{Machine: v.machine()}
	if err != nil {
		return made, err
	}
	made.Warnings, err = b.resize(ctx, v, t, spec, progress)
	return made, err
}

// copy makes the VM, and believes only the list that it reads afterwards: the
// tool does not tell the new VM's UUID. Beside an error the VM is there if it
// was made.
func (b *Backend) copy(ctx context.Context, template vm, spec hypervisor.CloneSpec) (vm, error) {
	name := spec.Octet.VMName()
	argv := argvClone(template.uuid, name, spec.Linked)
	command := hypervisor.Command{Argv: argv, Limit: cloneLimit}
	if b.draft.on() {
		return b.draft.clone(command, template, name), nil
	}
	res, failed := b.command(ctx, command)
	said := complaint(argv, res)
	if failed == nil && kindOf(said) != other && kindOf(said) != noted {
		failed = said
	}
	switch {
	case failed != nil && ctx.Err() != nil:
		return vm{}, failed
	case kindOf(failed) == taken: // so a VM of that name is not ours
		return vm{}, hint.Wrap(failed, leftover(failed, name))
	case kindOf(failed) == noVM:
		// The template was there a moment ago: Parallels says so of a second
		// linked clone while the first is made.
		failed = hint.Wrap(fmt.Errorf("template %s: %s", template, reason(res)), "if another clone of it is being made, wait for it, and try again")
	case failed == nil:
		v, err := b.listed(ctx, name)
		if err != nil && said != nil {
			err = fmt.Errorf("%w: %w", err, said)
		}
		return v, err
	}
	// A tool that failed may have made the VM all the same, or a part of it.
	if v, err := b.newest(ctx, name); err == nil && v.uuid != "" {
		return v, fmt.Errorf("%s is there, but perhaps not whole: %w", v, failed)
	}
	return vm{}, hint.Wrap(failed, leftover(failed, name))
}

// leftover is the hint for a clone that was not made.
func leftover(failed error, name string) string {
	text := "if there is a folder " + name + ".pvm in ~/Parallels, it is left over from this attempt; remove it"
	if h := hint.Of(failed); h != "" {
		return h + "\n" + text
	}
	return text
}

// listed is the new VM once it is in the list and stopped. Beside an error it is
// what is known of the VM: at least its name if it may be there.
func (b *Backend) listed(ctx context.Context, name string) (vm, error) {
	v := vm{name: name}
	for begin, pause := time.Now(), firstLook; ; pause = min(lastLook, 2*pause) {
		found, err := b.newest(ctx, name)
		if err == nil {
			v = found
		}
		switch {
		case v.state == hypervisor.Stopped:
			return v, nil
		case err == nil && v.uuid == "":
			err = errors.New("prlctl clone said that it was done, but Parallels does not list the VM")
		case err == nil:
			err = strange(v)
		}
		// A list that fails once is asked for again, since the VM's UUID is at
		// stake.
		if time.Since(begin) >= registerLimit {
			return v, err
		}
		if err := wait(ctx, pause); err != nil {
			return v, err
		}
	}
}

// newest is the VM of that name, the zero vm if there is none.
func (b *Backend) newest(ctx context.Context, name string) (vm, error) {
	vms, err := b.list(ctx)
	if err != nil {
		return vm{}, err
	}
	found := which(vms, func(v vm) bool { return v.name == name })
	switch len(found) {
	case 0:
		return vm{}, nil
	case 1:
		return found[0], nil
	}
	return vm{}, fmt.Errorf("%w: %s", hypervisor.ErrAmbiguous, each(found))
}
