package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// startLimit bounds the wait for a started VM to answer SSH.
const startLimit = 3 * time.Minute

// Start turns a VM on, waits until it can be logged in to, and looks at it
// with Diag; a VM that is on is fine. The error is as for Stop, an
// *UnreachableError or ErrLogin if nobody can be logged in to, and ErrUnhealthy
// with a Report if the VM is on but not well.
func (m *Manager) Start(ctx context.Context, req StartRequest) (*Report, error) {
	r, err := m.begun("start", req.Octet)
	if err != nil {
		return nil, err
	}
	t, l, unlock, err := m.managed(ctx, r)
	if err != nil {
		return nil, r.fail(err)
	}
	defer unlock()
	if err := m.turnOn(ctx, l, t.known.Octet, t.known.UUID); err != nil {
		return nil, r.fail(gone(err, t.known.Octet))
	}
	conn, err := m.login(ctx, r, t).dial(ctx, []netip.Addr{t.known.Addr}, startLimit)
	if err != nil {
		return nil, r.fail(fmt.Errorf("it is on, but: %w", err))
	}
	defer conn.Close()
	if m.rehearsal != nil {
		m.rehearsal.wait("diag has looked whether all of it works")
		return nil, r.fail(m.looked(ctx, r))
	}
	report := m.examine(ctx, r, conn)
	return report, r.fail(report.Err())
}

// Stop saves a VM's memory and turns it off, or cuts its power; a VM that is off
// is fine. The error is errors.ErrUnsupported if the VM's backend does not manage
// VMs, ErrNotRegistered if there is no entry, ErrRefused if the VM is not the one
// that was recorded, and *LockedError if another run works on it.
func (m *Manager) Stop(ctx context.Context, req StopRequest) error {
	r, err := m.begun("stop", req.Octet)
	if err != nil {
		return err
	}
	t, l, unlock, err := m.managed(ctx, r)
	if err != nil {
		return r.fail(err)
	}
	defer unlock()
	if req.Kill {
		err = m.does(l, r.octet, func() error { return l.Kill(ctx, t.known.UUID) }, "cut the power of %s, %s", r.octet.VMName(), t.known.UUID)
	} else {
		err = m.does(l, r.octet, func() error { return l.Suspend(ctx, t.known.UUID) }, "save the memory of %s, %s, and stop it", r.octet.VMName(), t.known.UUID)
	}
	return r.fail(gone(err, t.known.Octet))
}

// turnOn starts a VM.
func (m *Manager) turnOn(ctx context.Context, l managing, o Octet, uuid string) error {
	return m.does(l, o, func() error { return l.Start(ctx, uuid) }, "turn on %s, %s", o.VMName(), uuid)
}

// gone adds to an error that says that the VM is no more what to do then.
func gone(err error, o Octet) error {
	if !errors.Is(err, hypervisor.ErrNoMachine) || hint.Of(err) != "" {
		return err
	}
	return hint.Wrap(err, fmt.Sprintf("mpd-virt delete %s     (forgets it)", o))
}

// managed is a registered VM whose backend can turn it on and off, locked.
func (m *Manager) managed(ctx context.Context, r *run) (*target, managing, func() error, error) {
	e, err := m.registered(r.octet)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := m.backend(e.Backend)
	if err != nil {
		return nil, nil, nil, err
	}
	l, ok := b.(managing)
	if !ok {
		return nil, nil, nil, unsupported(b, r.verb+" VMs", "it manages no VMs",
			fmt.Sprintf("turn %s on or off where it runs, then look at it:\nmpd-virt diag %s", e.Name(), e.Octet))
	}
	lock, err := m.lockOctet(ctx, r.octet, r.verb)
	if err != nil {
		return nil, nil, nil, err
	}
	t, err := m.loaded(r.octet)
	switch {
	case err != nil:
	case t.known.UUID == "":
		err = hint.Wrap(m.noUUID(*t.known), fmt.Sprintf("turn it on in the window of %s, then:\nmpd-virt setup %s     (records which VM it is)", b.Name(), e.Octet))
	default:
		err = sameVM(ctx, b, *t.known)
	}
	if err != nil {
		lock.Unlock()
		return nil, nil, nil, err
	}
	return t, l, lock.Unlock, nil
}

// noUUID is the error of verbs that must know which VM is meant.
func (m *Manager) noUUID(e registry.Entry) error {
	return fmt.Errorf("%s: no UUID is recorded, so it is not known which VM is meant", m.state.EnvFile(e.Octet))
}

// off adds to an error that says that nobody answers what to do if the VM's
// backend knows that it is off.
func (m *Manager) off(ctx context.Context, e registry.Entry, err error) error {
	if !errors.As(err, new(*guest.UnreachableError)) {
		return err
	}
	machines, unasked := m.states(ctx, e.Backend)
	if unasked != nil || machines == nil {
		return err // diag is the verb that complains
	}
	switch s := stateIn(machines, viewOf(e)); s {
	case hypervisor.Running, hypervisor.Missing:
		return err
	default:
		return hint.Wrap(err, fmt.Sprintf("mpd-virt start %s     (%s says that the VM is %s)", e.Octet, e.Backend, s))
	}
}

// sameVM refuses to act on a VM whose name is another VM's by now: a person who
// says the name may mean either.
func sameVM(ctx context.Context, b hypervisor.Hypervisor, e registry.Entry) error {
	named, err := b.Locate(ctx, hypervisor.Query{Octet: e.Octet})
	switch {
	case errors.Is(err, hypervisor.ErrNoMachine): // gone, or renamed: the UUID says
		return nil
	case err != nil:
		return err
	case strings.EqualFold(named.UUID, e.UUID):
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s is now the name of the VM %s, but the one that is registered is %s: %w", e.Name(), named.UUID, e.UUID, hypervisor.ErrDrift),
		fmt.Sprintf("give the other VM another name, or forget the registered one:\nmpd-virt delete %s --keep-vm", e.Octet))
}

func unsupported(b hypervisor.Hypervisor, verb, why, next string) error {
	return hint.Wrap(&UnsupportedError{Backend: b.Name(), Verb: verb, Why: why}, next)
}

// guestAt logs in once at one address.
func guestAt(ctx context.Context, l *login, addr netip.Addr) (*guest.Conn, error) {
	return l.dial(ctx, []netip.Addr{addr}, 0)
}
