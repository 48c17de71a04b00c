package mpdvirt

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// startLimit bounds the wait for a started VM to answer SSH.
const startLimit = 3 * time.Minute

// Start turns a VM on, waits until it can be logged in to, and looks at it
// with Diag. The error is errors.ErrUnsupported if the VM's backend does not
// manage VMs, and ErrUnhealthy with a Report if the VM is on but not well.
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
	if err := l.Start(ctx, t.known.UUID); err != nil {
		return nil, r.fail(err)
	}
	conn, err := m.login(ctx, r, t).dial(ctx, []netip.Addr{t.known.Addr}, startLimit)
	if err != nil {
		return nil, r.fail(fmt.Errorf("it is on, but: %w", err))
	}
	defer conn.Close()
	report := m.examine(ctx, r, conn)
	return report, r.fail(report.Err())
}

// Stop saves a VM's memory and turns it off, or cuts its power. The error is
// errors.ErrUnsupported if the VM's backend does not manage VMs.
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
		return r.fail(l.Kill(ctx, t.known.UUID))
	}
	return r.fail(l.Suspend(ctx, t.known.UUID))
}

// managed is a registered VM whose backend can turn it on and off, locked.
func (m *Manager) managed(ctx context.Context, r *run) (*target, hypervisor.Lifecycle, func() error, error) {
	e, err := m.registered(r.octet)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := m.backend(e.Backend)
	if err != nil {
		return nil, nil, nil, err
	}
	l, ok := b.(hypervisor.Lifecycle)
	if !ok {
		return nil, nil, nil, unsupported(b, r.verb+" VMs", "it manages no VMs",
			fmt.Sprintf("turn %s on or off where it runs, then look at it:\nmpd-virt diag %s", e.Name(), e.Octet))
	}
	lock, err := m.lockOctet(ctx, r.octet, r.verb)
	if err != nil {
		return nil, nil, nil, err
	}
	t, err := m.loaded(r.octet)
	if err != nil {
		lock.Unlock()
		return nil, nil, nil, err
	}
	return t, l, lock.Unlock, nil
}

func unsupported(b hypervisor.Hypervisor, verb, why, next string) error {
	return hint.Wrap(&UnsupportedError{Backend: b.Name(), Verb: verb, Why: why}, next)
}

// Create makes a VM from nothing and sets it up. The error is
// errors.ErrUnsupported if the backend makes no VMs, ErrExists if the octet is
// taken, and else that of Setup.
func (m *Manager) Create(ctx context.Context, req CreateRequest) (*SetupResult, error) {
	r, err := m.begun("create", req.Octet)
	if err != nil {
		return nil, err
	}
	return m.made(ctx, r, req.Backend, req.User, func(b hypervisor.Hypervisor) (hypervisor.Machine, error) {
		c, ok := b.(hypervisor.Creator)
		if !ok {
			return hypervisor.Machine{}, cannotMake(b, "create VMs", req.Octet)
		}
		return c.Create(ctx, hypervisor.CreateSpec{Octet: req.Octet, User: req.User, RAM: req.RAM, Disk: req.Disk})
	})
}

// Clone makes a VM from a template and sets it up. Errors are those of Create.
func (m *Manager) Clone(ctx context.Context, req CloneRequest) (*SetupResult, error) {
	r, err := m.begun("clone", req.Octet)
	if err != nil {
		return nil, err
	}
	return m.made(ctx, r, req.Backend, req.User, func(b hypervisor.Hypervisor) (hypervisor.Machine, error) {
		c, ok := b.(hypervisor.Cloner)
		if !ok {
			return hypervisor.Machine{}, cannotMake(b, "clone VMs", req.Octet)
		}
		return c.Clone(ctx, hypervisor.CloneSpec{
			Octet: req.Octet, Template: req.Template, Linked: req.Linked, RAM: req.RAM, Disk: req.Disk,
		})
	})
}

func cannotMake(b hypervisor.Hypervisor, verb string, o Octet) error {
	return unsupported(b, verb, "it only takes machines that exist",
		fmt.Sprintf("make a Debian trixie VM yourself, then adopt it:\nmpd-virt setup %s --backend=%s --ip=ADDRESS --username=NAME", o, b.Name()))
}

// made lets a backend make a VM and takes it through setup, all under the
// octet's lock.
func (m *Manager) made(ctx context.Context, r *run, backend string, u User,
	make func(hypervisor.Hypervisor) (hypervisor.Machine, error)) (*SetupResult, error) {
	b, err := m.chosenBackend(backend)
	if err != nil {
		return nil, r.fail(err)
	}
	if exists(m.state.Dir(r.octet)) {
		return nil, r.fail(hint.Wrap(fmt.Errorf("%s %w", r.octet.VMName(), ErrExists), "mpd-virt show "+r.octet.String()))
	}
	lock, err := m.lockOctet(ctx, r.octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	machine, err := make(b)
	if err != nil {
		return nil, r.fail(err)
	}
	return m.setup(ctx, r, SetupRequest{Octet: r.octet, Backend: b.Name(), Addr: machine.Addr, User: u}, lock)
}

// guestAt logs in once at one address.
func guestAt(ctx context.Context, l *login, addr netip.Addr) (*guest.Conn, error) {
	return l.dial(ctx, []netip.Addr{addr}, 0)
}
