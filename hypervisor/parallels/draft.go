package parallels

import (
	"context"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/rehearsal"
)

// draft is a rehearsal: what was told, and what it would have made of the VMs. A
// nil one is none.
type draft struct {
	vms *rehearsal.VMs

	mu       sync.Mutex
	template string            // UUID of what the new VM would be a clone of
	sizes    map[string]detail // by UUID, of those VMs whose sizes would be other ones
}

// Rehearse tells prlctl's commands. Whether Parallels takes the memory and disk
// that are asked for, only they can tell.
func (b *Backend) Rehearse(tell func(hypervisor.Command)) hypervisor.Hypervisor {
	return &Backend{run: b.run, leases: b.leases, draft: &draft{vms: rehearsal.New(tell), sizes: map[string]detail{}}}
}

func (d *draft) on() bool { return d != nil }

// over is the list as it would be if all that was told had been done.
func (d *draft) over(vms []vm) []vm {
	if d == nil {
		return vms
	}
	out := which(vms, func(v vm) bool { return !d.assumes(v.uuid) })
	for _, m := range d.vms.Over(nil) {
		out = append(out, assumed(m))
	}
	return out
}

func assumed(m hypervisor.Machine) vm { return vm{uuid: m.UUID, name: m.Name, state: m.State} }

// assumes says whether something was told of the VM.
func (d *draft) assumes(uuid string) bool {
	if d == nil {
		return false
	}
	_, ok := d.vms.Assumed(uuid)
	return ok
}

// does tells a command that makes the VM to what v says.
func (d *draft) does(c hypervisor.Command, v vm) { d.vms.Tell(c, v.machine()) }

func (d *draft) clone(c hypervisor.Command, template vm, name string) vm {
	d.mu.Lock()
	defer d.mu.Unlock()
	made := vm{uuid: hypervisor.NilUUID, name: name, state: hypervisor.Stopped}
	d.does(c, made)
	d.template = template.uuid
	return made
}

// resized takes in the sizes that a VM would have.
func (d *draft) resized(now detail) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sizes[plainUUID(now.uuid)] = now
}

// detail is b.detail in a rehearsal: a VM that is not made yet has the sizes of
// its template, unless others were told.
func (d *draft) detail(ctx context.Context, b *Backend, uuid string) (detail, error) {
	d.mu.Lock()
	now, told := d.sizes[plainUUID(uuid)]
	template := d.template
	d.mu.Unlock()
	m, assumes := d.vms.Assumed(uuid)
	var err error
	switch {
	case told:
	case assumes && sameUUID(uuid, hypervisor.NilUUID):
		now, err = b.described(ctx, argvTemplateDetail(template), template)
	default:
		now, err = b.described(ctx, argvDetail(uuid), uuid)
	}
	if assumes {
		now.vm = assumed(m)
	}
	return now, err
}
