package hypervisortest

import (
	"context"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// wrong is the reference with mistakes: a method that is set is called in the
// place of the right one.
type wrong struct {
	memory
	name      func() string
	network   func(ctx context.Context) (netip.Prefix, error)
	available func(ctx context.Context) error
	locate    func(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error)
	states    func(ctx context.Context) ([]hypervisor.Machine, error)
	start     func(ctx context.Context, uuid string) error
	suspend   func(ctx context.Context, uuid string) error
	kill      func(ctx context.Context, uuid string) error
	delete    func(ctx context.Context, uuid string) error
	canClone  func(ctx context.Context, spec hypervisor.CloneSpec) error
	at        func(ctx context.Context, addr netip.Addr) ([]hypervisor.Machine, error)
	resize    func(ctx context.Context, uuid string, spec hypervisor.CloneSpec) ([]string, error)
	clone     func(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error)
	canCreate func(ctx context.Context, o hypervisor.Octet) error
	create    func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error)
	seed      func(ctx context.Context, uuid string) (string, error)
	detach    func(ctx context.Context, uuid, drive string) error
	shutdown  func(ctx context.Context, uuid string) error
	adopted   func(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error
	rehearse  func(tell func(hypervisor.Command)) hypervisor.Hypervisor
}

func (w *wrong) Name() string {
	if w.name != nil {
		return w.name()
	}
	return w.memory.Name()
}

func (w *wrong) Network(ctx context.Context) (netip.Prefix, error) {
	if w.network != nil {
		return w.network(ctx)
	}
	return w.memory.Network(ctx)
}

func (w *wrong) Available(ctx context.Context) error {
	if w.available != nil {
		return w.available(ctx)
	}
	return w.memory.Available(ctx)
}

func (w *wrong) Locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	if w.locate != nil {
		return w.locate(ctx, q)
	}
	return w.memory.Locate(ctx, q)
}

func (w *wrong) States(ctx context.Context) ([]hypervisor.Machine, error) {
	if w.states != nil {
		return w.states(ctx)
	}
	return w.memory.States(ctx)
}

func (w *wrong) Start(ctx context.Context, uuid string) error {
	if w.start != nil {
		return w.start(ctx, uuid)
	}
	return w.memory.Start(ctx, uuid)
}

func (w *wrong) Suspend(ctx context.Context, uuid string) error {
	if w.suspend != nil {
		return w.suspend(ctx, uuid)
	}
	return w.memory.Suspend(ctx, uuid)
}

func (w *wrong) Kill(ctx context.Context, uuid string) error {
	if w.kill != nil {
		return w.kill(ctx, uuid)
	}
	return w.memory.Kill(ctx, uuid)
}

func (w *wrong) Delete(ctx context.Context, uuid string) error {
	if w.delete != nil {
		return w.delete(ctx, uuid)
	}
	return w.memory.Delete(ctx, uuid)
}

func (w *wrong) CanClone(ctx context.Context, spec hypervisor.CloneSpec) error {
	if w.canClone != nil {
		return w.canClone(ctx, spec)
	}
	return w.memory.CanClone(ctx, spec)
}

func (w *wrong) At(ctx context.Context, addr netip.Addr) ([]hypervisor.Machine, error) {
	if w.at != nil {
		return w.at(ctx, addr)
	}
	return w.memory.At(ctx, addr)
}

func (w *wrong) Resize(ctx context.Context, uuid string, spec hypervisor.CloneSpec, progress func(string)) ([]string, error) {
	if w.resize != nil {
		return w.resize(ctx, uuid, spec)
	}
	return w.memory.Resize(ctx, uuid, spec, progress)
}

func (w *wrong) Clone(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error) {
	if w.clone != nil {
		return w.clone(ctx, spec, progress)
	}
	return w.memory.Clone(ctx, spec, progress)
}

func (w *wrong) CanCreate(ctx context.Context, o hypervisor.Octet) error {
	if w.canCreate != nil {
		return w.canCreate(ctx, o)
	}
	return w.memory.CanCreate(ctx, o)
}

func (w *wrong) Create(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
	if w.create != nil {
		return w.create(ctx, spec, progress)
	}
	return w.memory.Create(ctx, spec, progress)
}

func (w *wrong) Seed(ctx context.Context, uuid string) (string, error) {
	if w.seed != nil {
		return w.seed(ctx, uuid)
	}
	return w.memory.Seed(ctx, uuid)
}

func (w *wrong) Detach(ctx context.Context, uuid, drive string) error {
	if w.detach != nil {
		return w.detach(ctx, uuid, drive)
	}
	return w.memory.Detach(ctx, uuid, drive)
}

func (w *wrong) Shutdown(ctx context.Context, uuid string) error {
	if w.shutdown != nil {
		return w.shutdown(ctx, uuid)
	}
	return w.memory.Shutdown(ctx, uuid)
}

func (w *wrong) Adopted(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
	if w.adopted != nil {
		return w.adopted(ctx, o, m)
	}
	return w.memory.Adopted(ctx, o, m)
}

func (w *wrong) Rehearse(tell func(hypervisor.Command)) hypervisor.Hypervisor {
	if w.rehearse != nil {
		return w.rehearse(tell)
	}
	return w.memory.Rehearse(tell)
}
