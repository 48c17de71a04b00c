package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
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
	if err != nil && t.known == nil {
		err = t.resumable(err)
	}
	if err != nil {
		return &SetupResult{Schema: SetupSchema, VM: t.vm(), Steps: r.steps, Log: r.logPath(), Warnings: warnings}, r.fail(err)
	}
	res, err := m.setup(ctx, r, SetupRequest{Octet: req.Octet}, lock)
	if res != nil {
		res.Warnings = warnings
	}
	if res != nil && res.Report != nil {
		if err = m.mend(ctx, r, res.Report); err == nil {
			err = res.Report.Err()
		}
		err = r.fail(err)
	}
	again := "mpd-virt setup " + req.Octet.String()
	if e := (*Error)(nil); errors.As(err, &e) && !strings.Contains(e.Hint, again) {
		ways := fmt.Sprintf("%s     (goes on with %s, %s)\nmpd-virt delete %s     (destroys it)", again, req.Octet.VMName(), t.journal.UUID, req.Octet)
		e.Hint = strings.TrimPrefix(e.Hint+"\n"+ways, "\n")
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
// after all checks, or one whose clone or setup did not finish.
func (m *Manager) ordered(ctx context.Context, r *run, c cloning, req CloneRequest) (*target, error) {
	entry, err := m.state.Load(req.Octet)
	registered := err == nil
	if err != nil && !errors.Is(err, registry.ErrNotRegistered) {
		return nil, err
	}
	order := bootstrap.Making{Template: req.Template, Linked: req.Linked, RAM: req.RAM, Disk: req.Disk}
	source := SetupRequest{Repo: req.Repo, Branch: req.Branch, BootstrapURL: req.BootstrapURL}
	j, err := bootstrap.LoadJournal(m.journalFile(req.Octet), req.Octet)
	same := err == nil && j.Making != nil && *j.Making == order && j.Backend == c.Name() && j.User == req.User
	switch {
	case registered && !same:
		return nil, alreadyThere(req.Octet)
	case registered:
		t := &target{backend: c, journal: j, known: &entry}
		t.agree(entry)
		return t, m.setSource(j, source)
	case same:
		return &target{backend: c, journal: j}, m.setSource(j, source)
	case err == nil:
		return nil, hint.Wrap(fmt.Errorf("%s %w: another order for it did not finish", req.Octet.VMName(), ErrExists),
			nextOf(req.Octet, j)+fmt.Sprintf("     (goes on with it)\nmpd-virt delete %s     (destroys what there is of it)", req.Octet))
	case !bootstrap.Missing(err):
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
	if err := m.setSource(j, source); err != nil {
		return nil, err
	}
	if err := statefile.EnsureDir(m.state.Dir(req.Octet)); err != nil {
		return nil, err
	}
	return t, j.Save()
}

// made makes the VM, unless an earlier run has, starts it and waits for its
// address. One that is registered has its address.
func (m *Manager) made(ctx context.Context, r *run, c cloning, t *target) (warnings []string, err error) {
	j := t.journal
	if t.known != nil {
		return nil, r.step(StepStart, func() (string, error) {
			err := sameVM(ctx, c, *t.known)
			if err == nil {
				err = gone(c.Start(ctx, j.UUID), j.Octet)
			}
			return "running", err
		})
	}
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
		if err := m.making(t); err != nil {
			return nil, err
		}
		made, err = c.Clone(ctx, j.Making.Spec(j.Octet), progress)
		if err != nil && made.UUID == "" && ctx.Err() == nil {
			return nil, errors.Join(err, m.forgetOrder(ctx, c, j.Octet, err))
		}
	case err == nil && machine.State == hypervisor.Stopped && !j.First.IsValid():
		// The earlier run may have ended before the sizes were set.
		if z, ok := c.(hypervisor.Resizer); ok {
			made.Warnings, err = z.Resize(ctx, machine.UUID, j.Making.Spec(j.Octet), progress)
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

// making records that the hypervisor is about to be told to make the VM.
func (m *Manager) making(t *target) error {
	if err := os.Remove(m.state.KnownHosts(t.journal.Octet)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	t.journal.Remade()
	return t.journal.Save()
}

// ours is the VM that an earlier run made for the order, ErrNoMachine if there
// is none. A VM whose UUID no run lived to record has its name, and no run has
// started it either: one that is on is somebody else's.
func (t *target) ours(ctx context.Context, addr netip.Addr) (hypervisor.Machine, error) {
	j := t.journal
	if j.UUID == "" && !j.Begun {
		return hypervisor.Machine{}, fmt.Errorf("%s was not made yet: %w", j.Octet.VMName(), hypervisor.ErrNoMachine)
	}
	machine, err := t.backend.Locate(ctx, hypervisor.Query{Octet: j.Octet, UUID: j.UUID, Addr: addr})
	if err != nil || j.UUID != "" || machine.State == hypervisor.Stopped {
		return machine, err
	}
	err = fmt.Errorf("there is %s, %s, which is %s, but the one that was ordered was never started: %w", machine.Name, machine.UUID, machine.State, hypervisor.ErrDrift)
	return hypervisor.Machine{}, hint.Wrap(err, "give that VM another name; or, if it is the one that was ordered, turn it off")
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

// forgetOrder removes the record of a VM that was not made after all, because
// of err.
func (m *Manager) forgetOrder(ctx context.Context, c cloning, o Octet, err error) error {
	if !errors.Is(err, hypervisor.ErrTaken) { // then what is there is not ours
		if _, err := c.Locate(ctx, hypervisor.Query{Octet: o}); !errors.Is(err, hypervisor.ErrNoMachine) {
			return nil // something is there after all: the next run looks again
		}
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
