package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// Steps that Clone does before those of Setup, as events and results name them.
const (
	StepMake  = "clone"
	StepLease = "address-lease"
)

// Bounds of a clone. A hypervisor copies tens of GB, and a desktop system
// takes minutes to tell its address.
const (
	cloneTurn  = 30 * time.Minute // for another clone of this user to end
	leaseLimit = 4 * time.Minute
	leasePoll  = 2 * time.Second
)

// cloning is a whole backend that is also a Cloner.
type cloning interface {
	hypervisor.Hypervisor
	hypervisor.Cloner
}

// Clone makes a VM from a template and sets it up. What is being made is
// recorded before it is made: a Clone that was interrupted is continued by the
// next one with the same request, or by Delete taken away.
//
// The VM gets host keys and a machine-id of its own before anything secret is
// sent to it. With a Prompter, Clone ends as Diag does: with the person mending
// what failed. The error is errors.ErrUnsupported if the backend clones no VMs,
// ErrExists if the octet is registered, ErrRefused if the VM's name or address
// is another VM's, and else that of Setup.
func (m *Manager) Clone(ctx context.Context, req CloneRequest) (*SetupResult, error) {
	r, err := m.begun("clone", req.Octet)
	if err != nil {
		return nil, err
	}
	b, err := m.chosenBackend(req.Backend, can[cloning])
	if err != nil {
		return nil, r.fail(err)
	}
	c, ok := b.(cloning)
	if !ok {
		return nil, r.fail(cannotMake(b, "clone VMs", req.Octet))
	}
	if err := req.validate(); err != nil {
		return nil, r.fail(err)
	}
	lock, err := m.lockOctet(ctx, req.Octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	making := bootstrap.Making{Template: req.Template, Linked: req.Linked, RAM: req.RAM, Disk: req.Disk}
	t, err := m.ordered(ctx, r, c, order{
		octet: req.Octet, user: req.User, making: making,
		source:  SetupRequest{Repo: req.Repo, Branch: req.Branch, BootstrapURL: req.BootstrapURL},
		refused: func(ctx context.Context) error { return c.CanClone(ctx, making.Spec(req.Octet)) },
	})
	if err != nil {
		return nil, r.fail(err)
	}
	if err := r.openLog(); err != nil {
		return nil, r.fail(err)
	}
	defer r.end()
	r.emit(Event{Kind: VerbStarted, Text: fmt.Sprintf("%s on %s, from %s", r.octet.VMName(), b.Name(), req.Template)})
	warnings, err := m.made(ctx, r, c, t)
	if err != nil && t.known == nil {
		err = t.resumable(err)
	}
	return m.setUp(ctx, r, t, warnings, err, lock)
}

func (req CloneRequest) validate() error {
	example := fmt.Sprintf("mpd-virt clone %s --template=mpd-template-trixie --username=NAME", req.Octet)
	switch {
	case req.Template == "":
		return hint.Wrap(usage("no template given"), example)
	case req.User == "":
		return hint.Wrap(usage("no account given"), example)
	}
	_, err := hypervisor.ParseUser(string(req.User))
	return err
}

// made makes the VM, unless an earlier run has, starts it and waits for its
// address. One that is registered has its address.
func (m *Manager) made(ctx context.Context, r *run, c cloning, t *target) (warnings []string, err error) {
	j := t.journal
	if t.known != nil {
		return nil, t.started(ctx, r, c)
	}
	err = r.step(StepMake, func() (string, error) {
		warnings, err = m.cloned(ctx, r, c, t)
		return j.Octet.VMName() + ", " + j.UUID, err
	})
	if err != nil {
		return warnings, err
	}
	err = r.step(StepStart, func() (string, error) { return "running", m.turnOn(ctx, c, j.Octet, j.UUID) })
	if err != nil {
		return warnings, err
	}
	return warnings, r.step(StepLease, func() (string, error) {
		if m.rehearsal.gone(j.Octet) {
			m.rehearsal.wait("%s tells its address", j.Octet.VMName())
			j.Seen(netip.MustParseAddr(standinAddr))
			return "", j.Save()
		}
		addr, err := leased(ctx, r, c, j)
		if err == nil {
			err = alone(ctx, c, j, addr)
		}
		if err != nil {
			return "", err
		}
		j.Seen(addr)
		return addr.String(), j.Save()
	})
}

// cloned makes the VM and records which one it is. If nothing was made, the
// order is forgotten, so that nothing of it stays.
func (m *Manager) cloned(ctx context.Context, r *run, c cloning, t *target) ([]string, error) {
	j := t.journal
	turn, err := m.turn(ctx, r)
	if err != nil {
		return nil, err
	}
	defer turn.Unlock()
	progress := func(line string) { r.emit(Event{Kind: StepOutput, Step: StepMake, Text: line}) }
	// Under the turn: the VM of an earlier run is either there now or not.
	machine, err := t.ours(ctx, netip.Addr{})
	made := hypervisor.Made{Machine: machine}
	switch {
	case errors.Is(err, hypervisor.ErrNoMachine):
		if err := m.remade(t); err != nil {
			return nil, err
		}
		made = standin(j.Octet)
		err = m.does(c, j.Octet, func() error {
			made, err = c.Clone(ctx, j.Making.Spec(j.Octet), progress)
			return err
		}, "clone %s as %s", j.Making.Template, j.Octet.VMName())
		if err != nil && made.UUID == "" && ctx.Err() == nil {
			return nil, errors.Join(err, m.forgetOrder(ctx, c, j.Octet, err))
		}
	case err == nil && machine.State == hypervisor.Stopped && !j.First.IsValid():
		// The earlier run may have ended before the sizes were set.
		if z, ok := c.(hypervisor.Resizer); ok {
			err = m.does(c, j.Octet, func() error {
				made.Warnings, err = z.Resize(ctx, machine.UUID, j.Making.Spec(j.Octet), progress)
				return err
			}, "set the sizes of %s", j.Octet.VMName())
		}
	}
	return made.Warnings, t.recorded(made.UUID, err)
}

// remade records that the hypervisor is about to be told to clone the VM.
func (m *Manager) remade(t *target) error {
	if err := m.files.Remove(m.state.KnownHosts(t.journal.Octet)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	t.journal.Remade()
	return t.journal.Save()
}

// turn is the right to clone: hypervisors fail when one template is cloned
// twice at the same time, so clones of one user queue.
func (m *Manager) turn(ctx context.Context, r *run) (*statefile.Lock, error) {
	file := filepath.Join(filepath.Dir(m.state.SharedLockFile()), ".lock-clone")
	lock, err := m.files.Acquire(ctx, file, r.verb, 0)
	if errors.As(err, new(*statefile.LockedError)) {
		if m.rehearsal != nil {
			m.rehearsal.wait("another clone has ended")
			return nil, nil
		}
		r.note("waiting for another clone to end")
		lock, err = m.files.Acquire(ctx, file, r.verb, cloneTurn)
	}
	return lock, err
}

// leased waits until the VM has told its address, and shows how long that
// takes.
func leased(ctx context.Context, r *run, c cloning, j *bootstrap.Journal) (netip.Addr, error) {
	limit := time.NewTimer(leaseLimit)
	defer limit.Stop()
	tick := time.NewTicker(leasePoll)
	defer tick.Stop()
	for {
		machine, err := c.Locate(ctx, hypervisor.Query{Octet: j.Octet, UUID: j.UUID})
		if err != nil {
			return netip.Addr{}, err
		}
		if _, err := hypervisor.ParseAddr(machine.Addr.String()); err == nil {
			return machine.Addr, nil
		}
		r.emit(Event{Kind: StepOutput, Step: StepLease, Text: "waiting for the VM to tell its address"})
		select {
		case <-tick.C:
		case <-limit.C:
			return netip.Addr{}, hint.Wrap(fmt.Errorf("%s (%s) is on, but told no address within %s", j.Octet.VMName(), j.UUID, leaseLimit),
				fmt.Sprintf("look at its console; once you know its address:\nmpd-virt setup %s --ip=ADDRESS", j.Octet))
		case <-ctx.Done():
			return netip.Addr{}, ctx.Err()
		}
	}
}

// alone refuses an address that another VM tells, too, as a template's static
// one can be: who would answer there is not known.
func alone(ctx context.Context, b hypervisor.Hypervisor, j *bootstrap.Journal, addr netip.Addr) error {
	a, ok := b.(hypervisor.Addresser)
	if !ok {
		return nil
	}
	all, err := a.At(ctx, addr)
	for _, other := range all {
		if !strings.EqualFold(other.UUID, j.UUID) {
			return hint.Wrap(fmt.Errorf("%s (%s) has the address %v, which is %w: %s (%s)", j.Octet.VMName(), j.UUID, addr, hypervisor.ErrTaken, other.Name, other.UUID),
				"turn the other VM off until this one has its own address; a template should get its address by DHCP")
		}
	}
	return err
}
