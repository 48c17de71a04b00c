package parallels

import (
	"context"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// setLimit: a larger disk takes its file system along.
const setLimit = 5 * time.Minute

// Resize costs one process if the VM has its sizes.
func (b *Backend) Resize(ctx context.Context, uuid string, spec hypervisor.CloneSpec, progress func(string)) ([]string, error) {
	if spec.RAM == 0 && spec.Disk == 0 {
		return nil, nil
	}
	if progress == nil {
		progress = func(string) {}
	}
	d, err := b.detail(ctx, uuid)
	if err == nil {
		var warnings []string
		if warnings, err = b.resize(ctx, d.vm, d, spec, progress); err == nil {
			return warnings, nil
		}
	}
	return nil, fmt.Errorf("set the sizes of %s: %w", spec.Octet.VMName(), err)
}

// resize gives the VM the memory and disk of the spec. What Parallels refuses is
// a warning; what was set is read back.
func (b *Backend) resize(ctx context.Context, v vm, t detail, spec hypervisor.CloneSpec, progress func(string)) ([]string, error) {
	memory, disk := spec.RAM != 0 && spec.RAM != t.ram, spec.Disk > t.disk
	if !memory && !disk {
		return nil, nil
	}
	var memoryErr, diskErr error
	if memory {
		progress("setting the memory to " + spec.RAM.String())
		if memoryErr = b.set(ctx, v, argvMemory(v.uuid, spec.RAM)); final(ctx, memoryErr) {
			return nil, memoryErr
		}
	}
	if disk {
		progress("growing the disk to " + spec.Disk.String())
		if diskErr = b.set(ctx, v, argvDisk(v.uuid, spec.Disk)); final(ctx, diskErr) {
			return nil, diskErr
		}
	}
	if b.draft.on() {
		// There is nothing to be read back.
		now := detail{vm: v, ram: t.ram, disk: max(t.disk, spec.Disk)}
		if memory {
			now.ram = spec.RAM
		}
		b.draft.resized(now)
		return nil, nil
	}
	now, err := b.detail(ctx, v.uuid)
	if err != nil {
		return nil, err
	}
	var warnings []string
	if memory && now.ram != spec.RAM {
		warnings = append(warnings, kept("memory", now.ram, spec.RAM, memoryErr))
	}
	if disk && now.disk < spec.Disk {
		warnings = append(warnings, kept("disk", now.disk, spec.Disk, diskErr))
	}
	return warnings, nil
}

// detail is all about one VM.
func (b *Backend) detail(ctx context.Context, uuid string) (detail, error) {
	if b.draft.on() {
		return b.draft.detail(ctx, b, uuid)
	}
	return b.described(ctx, argvDetail(uuid), uuid)
}

// described is what argv tells of the VM or template uuid.
func (b *Backend) described(ctx context.Context, argv []string, uuid string) (detail, error) {
	out, err := b.ask(ctx, argv)
	if err != nil {
		return detail{}, err
	}
	return decodeDetail(out, uuid)
}

// set changes a VM that has just been made and may still be busy.
func (b *Backend) set(ctx context.Context, v vm, argv []string) error {
	for try := 0; ; try++ {
		err := b.do(ctx, argv, setLimit, v)
		if kindOf(err) != busy || try == busyTries {
			return err
		}
		if err := wait(ctx, patience); err != nil {
			return err
		}
	}
}

// kept says that a size is not what was asked for, and why.
func kept(what string, is, want hypervisor.Size, why error) string {
	text := fmt.Sprintf("the %s is %v, not %v", what, is, want)
	switch {
	case kindOf(why) == snapshots:
		text += ": a disk with snapshots cannot grow, and a linked clone is one; clone without --linked for a larger disk"
	case why != nil:
		text += ": " + why.Error()
	}
	return text
}
