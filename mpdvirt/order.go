package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/internal/shell"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// What Create and Clone have in common: what is being made is recorded before
// it is made, so that whoever comes next knows whose it is.

// StepStart is the step of Create and Clone that turns the VM on.
const StepStart = "start"

// managing is a whole backend that also turns VMs on and off and destroys them.
type managing interface {
	hypervisor.Hypervisor
	hypervisor.Lifecycle
}

// order is a request for a VM.
type order struct {
	octet   Octet
	user    User
	making  bootstrap.Making
	source  SetupRequest // Repo, Branch and BootstrapURL
	refused func(ctx context.Context) error
}

// ordered is the VM that a request orders: a new one, whose order is recorded
// after all checks, or one whose making or setup did not finish.
func (m *Manager) ordered(ctx context.Context, r *run, b hypervisor.Hypervisor, want order) (*target, error) {
	entry, err := m.state.Load(want.octet)
	registered := err == nil
	if err != nil && !errors.Is(err, registry.ErrNotRegistered) {
		return nil, err
	}
	j, err := bootstrap.LoadJournal(m.files, m.journalFile(want.octet), want.octet)
	same := err == nil && j.Making != nil && *j.Making == want.making && j.Backend == b.Name() && j.User == want.user
	switch {
	case registered && !same:
		return nil, alreadyThere(want.octet)
	case registered:
		t := &target{backend: b, journal: j, known: &entry}
		t.agree(entry)
		return t, m.setSource(j, want.source)
	case same:
		return &target{backend: b, journal: j}, m.setSource(j, want.source)
	case err == nil:
		return nil, hint.Wrap(fmt.Errorf("%s %w: another order for it did not finish", want.octet.VMName(), ErrExists),
			nextOf(want.octet, j)+fmt.Sprintf("     (goes on with it)\nmpd-virt delete %s     (destroys what there is of it)", want.octet))
	case !bootstrap.Missing(err):
		return nil, err
	}
	return m.newOrder(ctx, r, b, want)
}

func (m *Manager) newOrder(ctx context.Context, r *run, b hypervisor.Hypervisor, want order) (*target, error) {
	network, err := b.Network(ctx)
	if err != nil {
		return nil, err
	}
	err = want.refused(ctx)
	if errors.Is(err, hypervisor.ErrTaken) && hint.Of(err) == "" {
		err = hint.Wrap(err, fmt.Sprintf("take another number than %s, or adopt the VM that there is:\n%s", want.octet, adoption(want.octet, b, want.user)))
	}
	if err != nil {
		return nil, err
	}
	j := bootstrap.NewJournal(m.files, m.journalFile(want.octet))
	j.Octet, j.Backend, j.User, j.Making, j.Rotate = want.octet, b.Name(), want.user, &want.making, want.making.Clones()
	j.Canonical = want.octet.In(network.Addr())
	t := &target{backend: b, journal: j}
	if err := m.login(ctx, r, t).unanswered(ctx, j.Canonical); err != nil {
		return nil, err
	}
	if err := m.setSource(j, want.source); err != nil {
		return nil, err
	}
	if err := m.files.EnsureDir(m.state.Dir(want.octet)); err != nil {
		return nil, err
	}
	return t, j.Save()
}

// started turns on a VM of which only setup is left to do.
func (t *target) started(ctx context.Context, r *run, b managing) error {
	return r.step(StepStart, func() (string, error) {
		err := sameVM(ctx, b, *t.known)
		if err == nil {
			err = gone(r.m.turnOn(ctx, b, t.journal.Octet, t.journal.UUID), t.journal.Octet)
		}
		return "running", err
	})
}

// setUp is the rest of Create and Clone once the VM runs: Setup, and then the
// person mending what failed. err is that of the making.
func (m *Manager) setUp(ctx context.Context, r *run, t *target, warnings []string, err error, lock *statefile.Lock) (*SetupResult, error) {
	if err != nil {
		return &SetupResult{Schema: SetupSchema, VM: t.vm(), Steps: r.steps, Log: r.logPath(), Warnings: warnings}, r.fail(err)
	}
	res, err := m.setup(ctx, r, SetupRequest{Octet: r.octet}, lock)
	if res != nil {
		res.Warnings = warnings
	}
	if res != nil && res.Report != nil {
		if err = m.mend(ctx, r, res.Report); err == nil {
			err = res.Report.Err()
		}
		err = r.fail(err)
	}
	again := "mpd-virt setup " + r.octet.String()
	if e := (*Error)(nil); errors.As(err, &e) && !strings.Contains(e.Hint, again) {
		ways := fmt.Sprintf("%s     (goes on with %s, %s)\nmpd-virt delete %s     (destroys it)", again, r.octet.VMName(), t.journal.UUID, r.octet)
		e.Hint = strings.TrimPrefix(e.Hint+"\n"+ways, "\n")
	}
	return res, err
}

// resumable gives an error that stopped the making of a VM the ways on, behind
// what mends its cause. If nothing was made, there is nothing to go on with.
func (t *target) resumable(err error) error {
	j := t.journal
	if !j.Exists() {
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

// adoption is the command that sets up a VM that has the name. A backend that
// creates VMs does not know the addresses of those that others made.
func adoption(o Octet, b hypervisor.Hypervisor, u User) string {
	if can[hypervisor.Creator](b) {
		return fmt.Sprintf("mpd-virt setup %s --backend=%s --ip=ADDRESS --username=%s", o, b.Name(), u)
	}
	return fmt.Sprintf("mpd-virt setup %s --backend=%s --username=%s", o, b.Name(), u)
}

// nextOf is the command that goes on with a VM that is not registered yet: the
// order's own, which also turns the VM on, or that of its setup.
func nextOf(o Octet, j *bootstrap.Journal) string {
	if j.Making != nil && (!j.Making.Clones() || !j.First.IsValid()) {
		return orderCommand(j)
	}
	return "mpd-virt setup " + o.String()
}

// orderCommand is the command that ordered the VM that j is of.
func orderCommand(j *bootstrap.Journal) string {
	o := j.Making
	verb := "create"
	if o.Clones() {
		verb = "clone"
	}
	command := fmt.Sprintf("mpd-virt %s %s --backend=%s", verb, j.Octet, j.Backend)
	for _, f := range []struct {
		set        bool
		flag, text string // text "" is a flag without a value
	}{
		{o.Clones(), "template", o.Template},
		{o.Image != "", "image", o.Image},
		{o.Build != "", "image-build", o.Build},
		{o.Kind != "", "image-kind", o.Kind},
		{o.SHA512 != "", "image-sha512", o.SHA512},
		{true, "username", string(j.User)},
		{o.Linked, "linked", ""},
		{o.RAM > 0, "vm-ram", o.RAM.String()},
		{o.Disk > 0, "vm-disk", o.Disk.String()},
	} {
		if f.set {
			command += " --" + f.flag
		}
		if f.set && f.text != "" {
			command += "=" + shell.Quote(f.text)
		}
	}
	return command
}

// ours is the VM that an earlier run made for the order, ErrNoMachine if there
// is none. A VM whose UUID no run lived to record has its name, and no run has
// started it either: one that is on is somebody else's.
func (t *target) ours(ctx context.Context, addr netip.Addr) (hypervisor.Machine, error) {
	j := t.journal
	if j.UUID == "" && !j.Begun {
		return hypervisor.Machine{}, fmt.Errorf("%s was not made yet: %w", j.Octet.VMName(), hypervisor.ErrNoMachine)
	}
	if j.UUID == hypervisor.NilUUID && !can[hypervisor.Rehearser](t.backend) {
		machine := standin(j.Octet).Machine // whose backend would look for it in vain
		machine.State = hypervisor.Running
		return machine, nil
	}
	machine, err := t.backend.Locate(ctx, hypervisor.Query{Octet: j.Octet, UUID: j.UUID, Addr: addr})
	if err != nil || j.UUID != "" || machine.State == hypervisor.Stopped {
		return machine, err
	}
	err = fmt.Errorf("there is %s, %s, which is %s, but the one that was ordered was never started: %w", machine.Name, machine.UUID, machine.State, hypervisor.ErrDrift)
	return hypervisor.Machine{}, hint.Wrap(err, "give that VM another name; or, if it is the one that was ordered, turn it off")
}

// forgetOrder removes the record of a VM that was not made after all, because
// of err.
func (m *Manager) forgetOrder(ctx context.Context, b hypervisor.Hypervisor, o Octet, err error) error {
	if !errors.Is(err, hypervisor.ErrTaken) { // then what is there is not ours
		if _, err := b.Locate(ctx, hypervisor.Query{Octet: o}); !errors.Is(err, hypervisor.ErrNoMachine) {
			return nil // something is there after all: the next run looks again
		}
	}
	return m.state.Remove(o)
}

// recorded is called when the hypervisor has made the VM, also if something
// failed after it.
func (t *target) recorded(uuid string, err error) error {
	if uuid == "" || uuid == t.journal.UUID {
		return err
	}
	t.journal.UUID = uuid
	return errors.Join(err, t.journal.Save())
}

func alreadyThere(o Octet) error {
	return hint.Wrap(fmt.Errorf("%s %w", o.VMName(), ErrExists), "mpd-virt show "+o.String())
}

// can says whether a backend has the methods of a capability.
func can[Capability any](b hypervisor.Hypervisor) bool {
	_, ok := b.(Capability)
	return ok
}

// cannotMake says why a backend does not make VMs this way: it makes them
// another way, or none of them is its own.
func cannotMake(b hypervisor.Hypervisor, verb string, o Octet) error {
	switch {
	case can[hypervisor.Cloner](b):
		return unsupported(b, verb, "it clones them from a template",
			fmt.Sprintf("mpd-virt clone %s --backend=%s --template=NAME --username=NAME", o, b.Name()))
	case can[hypervisor.Creator](b):
		return unsupported(b, verb, "it creates them from a disk image",
			fmt.Sprintf("mpd-virt create %s --backend=%s --username=NAME", o, b.Name()))
	}
	return unsupported(b, verb, "it only takes machines that exist",
		fmt.Sprintf("make a Debian trixie VM yourself, then adopt it:\nmpd-virt setup %s --backend=%s --ip=ADDRESS --username=NAME", o, b.Name()))
}
