package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/internal/shell"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// Steps that Clone does before those of Setup, as events and results name them.
const (
	StepMake  = "clone"
	StepStart = "start"
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
// sent to it. The error is errors.ErrUnsupported if the backend clones no VMs,
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
	t, err := m.ordered(ctx, r, c, req)
	if err != nil {
		return nil, r.fail(err)
	}
	if err := r.openLog(); err != nil {
		return nil, r.fail(err)
	}
	defer r.end()
	r.emit(Event{Kind: VerbStarted, Text: fmt.Sprintf("%s on %s, from %s", r.octet.VMName(), b.Name(), req.Template)})
	warnings, err := m.made(ctx, r, c, t)
	if err != nil {
		return &SetupResult{Schema: SetupSchema, VM: t.vm(), Steps: r.steps, Log: r.logPath(), Warnings: warnings}, r.fail(t.resumable(err))
	}
	res, err := m.setup(ctx, r, SetupRequest{Octet: req.Octet}, lock)
	if res != nil {
		res.Warnings = warnings
	}
	if e := (*Error)(nil); errors.As(err, &e) && e.Hint == "" {
		e.Hint = fmt.Sprintf("mpd-virt setup %s     (goes on with %s, %s)\nmpd-virt delete %s     (destroys it)", t.journal.Octet, t.journal.Octet.VMName(), t.journal.UUID, t.journal.Octet)
	}
	return res, err
}

// resumable gives an error that stopped the making of a VM the ways on, behind
// what mends its cause. If nothing was made, there is nothing to go on with.
func (t *target) resumable(err error) error {
	j := t.journal
	if !exists(j.File()) {
		return err
	}
	ways := orderCommand(j) + "     (goes on)\n" + fmt.Sprintf("mpd-virt delete %s     (destroys what there is of it)", j.Octet)
	if j.UUID != "" {
		ways = fmt.Sprintf("%s     (goes on with %s, %s)\nmpd-virt delete %s     (destroys it)", orderCommand(j), j.Octet.VMName(), j.UUID, j.Octet)
	}
	if first := hint.Of(err); first != "" {
		ways = first + "\n" + ways
	}
	return hint.Wrap(err, ways)
}

// nextOf is the command that goes on with a VM that is not registered yet.
func nextOf(o Octet, j *bootstrap.Journal) string {
	if j.Making != nil && !j.First.IsValid() {
		return orderCommand(j)
	}
	return "mpd-virt setup " + o.String()
}

// orderCommand is the command that ordered the VM that j is of.
func orderCommand(j *bootstrap.Journal) string {
	flags := ""
	for _, f := range []struct {
		set  bool
		text string
	}{
		{j.Making.Linked, " --linked"},
		{j.Making.RAM > 0, " --vm-ram=" + j.Making.RAM.String()},
		{j.Making.Disk > 0, " --vm-disk=" + j.Making.Disk.String()},
	} {
		if f.set {
			flags += f.text
		}
	}
	return fmt.Sprintf("mpd-virt clone %s --backend=%s --template=%s --username=%s%s", j.Octet, j.Backend, shell.Quote(j.Making.Template), j.User, flags)
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

// ordered is the VM that a request orders: a new one, whose order is recorded
// after all checks, or one whose clone did not finish.
func (m *Manager) ordered(ctx context.Context, r *run, c cloning, req CloneRequest) (*target, error) {
	if _, err := m.state.Load(req.Octet); !errors.Is(err, registry.ErrNotRegistered) {
		if err == nil {
			err = alreadyThere(req.Octet)
		}
		return nil, err
	}
	order := bootstrap.Making{Template: req.Template, Linked: req.Linked, RAM: req.RAM, Disk: req.Disk}
	j, err := bootstrap.LoadJournal(m.journalFile(req.Octet), req.Octet)
	if err == nil {
		if j.Making == nil || *j.Making != order || j.Backend != c.Name() || j.User != req.User {
			return nil, hint.Wrap(fmt.Errorf("%s %w: another order for it did not finish", req.Octet.VMName(), ErrExists),
				nextOf(req.Octet, j)+fmt.Sprintf("     (goes on with it)\nmpd-virt delete %s     (destroys what there is of it)", req.Octet))
		}
		return &target{backend: c, journal: j}, nil
	}
	if !bootstrap.Missing(err) {
		return nil, err
	}
	network, err := c.Network(ctx)
	if err != nil {
		return nil, err
	}
	err = c.CanClone(ctx, order.Spec(req.Octet))
	if errors.Is(err, hypervisor.ErrTaken) && hint.Of(err) == "" {
		err = hint.Wrap(err, fmt.Sprintf("take another number than %s, or adopt the VM that there is:\nmpd-virt setup %s --backend=%s --username=%s", req.Octet, req.Octet, c.Name(), req.User))
	}
	if err != nil {
		return nil, err
	}
	j = bootstrap.NewJournal(m.journalFile(req.Octet))
	j.Octet, j.Backend, j.User, j.Making, j.Rotate = req.Octet, c.Name(), req.User, &order, true
	j.Canonical = req.Octet.In(network.Addr())
	t := &target{backend: c, journal: j}
	if err := m.login(ctx, r, t).unanswered(ctx, j.Canonical); err != nil {
		return nil, err
	}
	if err := m.setSource(j, SetupRequest{Repo: req.Repo, Branch: req.Branch, BootstrapURL: req.BootstrapURL}); err != nil {
		return nil, err
	}
	if err := statefile.EnsureDir(m.state.Dir(req.Octet)); err != nil {
		return nil, err
	}
	return t, j.Save()
}

// made makes the VM, unless an earlier run has, starts it and waits for its
// address.
func (m *Manager) made(ctx context.Context, r *run, c cloning, t *target) (warnings []string, err error) {
	j := t.journal
	err = r.step(StepMake, func() (string, error) {
		warnings, err = m.cloned(ctx, r, c, t)
		return j.Octet.VMName() + ", " + j.UUID, err
	})
	if err != nil {
		return warnings, err
	}
	err = r.step(StepStart, func() (string, error) { return "running", c.Start(ctx, j.UUID) })
	if err != nil {
		return warnings, err
	}
	return warnings, r.step(StepLease, func() (string, error) {
		addr, err := leased(ctx, r, c, j)
		if err != nil {
			return "", err
		}
		if addr != j.First {
			clear(j.Done)
		}
		j.First = addr
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
	// Under the turn: the VM of an earlier run is either there now or not.
	machine, err := c.Locate(ctx, hypervisor.Query{Octet: j.Octet, UUID: j.UUID})
	made := hypervisor.Made{Machine: machine}
	if errors.Is(err, hypervisor.ErrNoMachine) {
		progress := func(line string) { r.emit(Event{Kind: StepOutput, Step: StepMake, Text: line}) }
		made, err = c.Clone(ctx, j.Making.Spec(j.Octet), progress)
		if err != nil && made.UUID == "" && ctx.Err() == nil {
			return nil, errors.Join(err, m.forgetOrder(ctx, c, j.Octet))
		}
	}
	if made.UUID != "" && made.UUID != j.UUID {
		j.UUID = made.UUID
		if saved := j.Save(); saved != nil {
			return made.Warnings, errors.Join(err, saved)
		}
	}
	return made.Warnings, err
}

// turn is the right to clone: hypervisors fail when one template is cloned
// twice at the same time, so clones of one user queue.
func (m *Manager) turn(ctx context.Context, r *run) (*statefile.Lock, error) {
	file := filepath.Join(filepath.Dir(m.state.SharedLockFile()), ".lock-clone")
	lock, err := statefile.Acquire(ctx, file, r.verb, 0)
	if errors.As(err, new(*statefile.LockedError)) {
		r.note("waiting for another clone to end")
		lock, err = statefile.Acquire(ctx, file, r.verb, cloneTurn)
	}
	return lock, err
}

// forgetOrder removes the record of a VM that was not made after all.
func (m *Manager) forgetOrder(ctx context.Context, c cloning, o Octet) error {
	if _, err := c.Locate(ctx, hypervisor.Query{Octet: o}); !errors.Is(err, hypervisor.ErrNoMachine) {
		return nil // something is there after all: the next run looks again
	}
	return m.state.Remove(o)
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
