package hypervisortest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The reference as a Creator.

func (b memory) CanCreate(ctx context.Context, o hypervisor.Octet) error {
	rows, err := b.list(ctx)
	if err == nil {
		err = b.free(rows, o)
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", o.VMName(), err)
	}
	return nil
}

func (b memory) Create(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (made hypervisor.Made, err error) {
	if err := b.CanCreate(ctx, spec.Octet); err != nil {
		return made, err
	}
	if progress != nil {
		progress("copying the disk")
	}
	return b.make(ctx, "create", spec)
}

// make is Create by a verb of the tool, without a look at what there is.
func (b memory) make(ctx context.Context, verb string, spec hypervisor.CreateSpec) (made hypervisor.Made, err error) {
	name := spec.Octet.VMName()
	uuid, err := b.call(ctx, verb, name, size(spec.RAM, 0), spec.MAC.String(), spec.Disk, spec.Seed)
	if err == nil && !strings.HasPrefix(uuid, "made-") && uuid != hypervisor.NilUUID {
		err = fmt.Errorf("the tool says %q", uuid)
	}
	if err == nil {
		made.Machine = hypervisor.Machine{UUID: uuid, Name: name, State: hypervisor.Stopped}
		err = b.await(ctx, uuid, hypervisor.Stopped)
	}
	if err != nil {
		return made, fmt.Errorf("create %s: %w", name, err)
	}
	return made, nil
}

// made is the row of a VM.
func (b memory) made(ctx context.Context, uuid string) (row, error) {
	if _, err := b.recorded(ctx, uuid); err != nil {
		return row{}, err
	}
	rows, err := b.list(ctx)
	if err != nil {
		return row{}, err
	}
	if i := slices.IndexFunc(rows, func(r row) bool { return r.UUID == uuid }); i >= 0 {
		return rows[i], nil
	}
	return row{}, fmt.Errorf("look at %s: %w", uuid, hypervisor.ErrNoMachine)
}

func (b memory) Seed(ctx context.Context, uuid string) (string, error) {
	r, err := b.made(ctx, uuid)
	switch {
	case err != nil:
		return "", fmt.Errorf("find the seed: %w", err)
	case len(r.Drives) != 2:
		return "", fmt.Errorf("find the seed: %s has %d drives", r.Name, len(r.Drives))
	}
	return r.Drives[1].ID, nil
}

func (b memory) Detach(ctx context.Context, uuid, id string) error {
	r, err := b.made(ctx, uuid)
	has := func(r row) bool { return slices.ContainsFunc(r.Drives, func(d drive) bool { return d.ID == id }) }
	switch {
	case err != nil:
		return fmt.Errorf("detach %s: %w", id, err)
	case !has(r):
		return nil
	case r.State != hypervisor.Stopped:
		return fmt.Errorf("detach %s of %s, which is %q: %w", id, r.Name, r.State, hypervisor.ErrState)
	}
	if _, err := b.call(ctx, "detach", uuid, id); err != nil {
		return err
	}
	if r, err = b.made(ctx, uuid); err == nil && has(r) {
		err = fmt.Errorf("detach %s: it is still there", id)
	}
	return err
}

func (b memory) Shutdown(ctx context.Context, uuid string) error {
	return b.act(ctx, uuid, "shutdown", []hypervisor.State{hypervisor.Running}, hypervisor.Stopped)
}
