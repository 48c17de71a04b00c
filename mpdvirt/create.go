package mpdvirt

import (
	"context"
	"fmt"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Create makes a VM from nothing and sets it up. The error is
// errors.ErrUnsupported if the backend makes no VMs, ErrExists if the octet is
// taken, and else that of Setup.
func (m *Manager) Create(ctx context.Context, req CreateRequest) (*SetupResult, error) {
	r, err := m.begun("create", req.Octet)
	if err != nil {
		return nil, err
	}
	b, err := m.chosenBackend(req.Backend, can[hypervisor.Creator])
	if err != nil {
		return nil, r.fail(err)
	}
	c, ok := b.(hypervisor.Creator)
	if !ok {
		return nil, r.fail(cannotMake(b, "create VMs", req.Octet))
	}
	if _, err := hypervisor.ParseUser(string(req.User)); err != nil { // before there is a VM that nobody can use
		return nil, r.fail(err)
	}
	if exists(m.state.Dir(r.octet)) {
		return nil, r.fail(alreadyThere(r.octet))
	}
	lock, err := m.lockOctet(ctx, r.octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	machine, err := c.Create(ctx, hypervisor.CreateSpec{Octet: req.Octet, User: req.User, RAM: req.RAM, Disk: req.Disk})
	if err != nil {
		return nil, r.fail(err)
	}
	return m.setup(ctx, r, SetupRequest{Octet: r.octet, Backend: b.Name(), Addr: machine.Addr, User: req.User}, lock)
}

// can says whether a backend has the methods of a capability.
func can[Capability any](b hypervisor.Hypervisor) bool {
	_, ok := b.(Capability)
	return ok
}

func alreadyThere(o Octet) error {
	return hint.Wrap(fmt.Errorf("%s %w", o.VMName(), ErrExists), "mpd-virt show "+o.String())
}

// cannotMake says why a backend makes no VMs: none of them is its own, or it
// makes them another way.
func cannotMake(b hypervisor.Hypervisor, verb string, o Octet) error {
	if can[hypervisor.Cloner](b) {
		return unsupported(b, verb, "it clones them from a template",
			fmt.Sprintf("mpd-virt clone %s --backend=%s --template=NAME --username=NAME", o, b.Name()))
	}
	return unsupported(b, verb, "it only takes machines that exist",
		fmt.Sprintf("make a Debian trixie VM yourself, then adopt it:\nmpd-virt setup %s --backend=%s --ip=ADDRESS --username=NAME", o, b.Name()))
}

// step runs one step of a verb that is not the pipeline's and tells of it.
func (r *run) step(id string, do func() (summary string, err error)) error {
	r.emit(Event{Kind: StepStarted, Step: id})
	start := r.m.cfg.Now()
	summary, err := do()
	s := StepResult{ID: id, Status: OK, Summary: summary, Elapsed: r.m.cfg.Now().Sub(start)}
	if err != nil {
		s.Status, s.Summary = Fail, unnamed(err, r.verb+" "+r.octet.VMName())
	}
	r.ended(s)
	if err != nil {
		return &bootstrap.StepError{Step: id, Err: err}
	}
	return nil
}
