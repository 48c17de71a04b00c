package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// target is the VM that a setup works on.
type target struct {
	backend hypervisor.Hypervisor
	journal *bootstrap.Journal
	known   *registry.Entry // nil before registration
}

func (t *target) String() string {
	j := t.journal
	return fmt.Sprintf("%s on %s, %s@%s", j.Octet.VMName(), j.Backend, j.User, t.addr())
}

// addr is where the VM should be now.
func (t *target) addr() netip.Addr {
	if t.known != nil {
		return t.known.Addr
	}
	return t.journal.Addresses()[0]
}

func (t *target) entry() registry.Entry {
	e := registry.Entry{
		Octet: t.journal.Octet, Backend: t.journal.Backend, Addr: t.journal.Canonical,
		User: t.journal.User, UUID: t.journal.UUID,
	}
	if t.known != nil {
		e.Disk, e.RAM = t.known.Disk, t.known.RAM
	} else if o := t.journal.Making; o != nil && !o.Clones() {
		e.Disk, e.RAM = o.Disk, o.RAM
	}
	return e
}

func (t *target) vm() VM {
	if t.known != nil {
		return viewOf(*t.known)
	}
	e := t.entry()
	e.Addr = t.addr()
	vm := viewOf(e)
	vm.State = Unfinished
	return vm
}

// target finds out which VM is meant: a registered one, one whose setup did not
// finish, or a new one.
func (m *Manager) target(ctx context.Context, req SetupRequest) (*target, error) {
	entry, err := m.state.Load(req.Octet)
	if err != nil && !errors.Is(err, registry.ErrNotRegistered) {
		return nil, err
	}
	var known *registry.Entry
	if err == nil {
		known = &entry
	}
	file := m.journalFile(req.Octet)
	journal, err := bootstrap.LoadJournal(m.files, file, req.Octet)
	switch {
	case bootstrap.Missing(err):
		journal = bootstrap.NewJournal(m.files, file)
		journal.Octet = req.Octet
	case err != nil:
		return nil, err
	}
	if known != nil {
		if err := contradicts(req, entry, journal.First); err != nil {
			return nil, err
		}
	}
	t := &target{journal: journal, known: known}
	if known != nil {
		err = t.fromEntry(m, *known)
	} else {
		err = t.fromRequest(m, req)
	}
	if err != nil {
		return nil, err
	}
	if err := t.backend.Available(ctx); err != nil {
		return nil, fmt.Errorf("use the %s backend: %w", t.backend.Name(), err)
	}
	if known == nil {
		if err := t.find(ctx, m, req); err != nil {
			return nil, err
		}
	}
	return t, m.setSource(journal, req)
}

// contradicts refuses to change a registered VM by the way of a setup. The
// address at which it was adopted is no change: a setup that was killed after
// registration goes on by the very command that began it.
func contradicts(req SetupRequest, e registry.Entry, adopted netip.Addr) error {
	differs := func(field, got, recorded string) error {
		return hint.Wrap(usage("%s is registered with %s %s, not %s", e.Name(), field, recorded, got),
			fmt.Sprintf("mpd-virt setup %s     (with what is recorded)\nmpd-virt delete %s --keep-vm     (forget it first)", e.Octet, e.Octet))
	}
	switch {
	case req.Backend != "" && req.Backend != e.Backend:
		return differs("backend", req.Backend, e.Backend)
	case req.Addr.IsValid() && req.Addr != e.Addr && req.Addr != adopted:
		return differs("address", req.Addr.String(), e.Addr.String())
	case req.User != "" && req.User != e.User:
		return differs("user", string(req.User), string(e.User))
	}
	return nil
}

// fromEntry makes the journal agree with the registry, which has the word.
func (t *target) fromEntry(m *Manager, e registry.Entry) (err error) {
	if t.backend, err = m.backend(e.Backend); err != nil {
		return err
	}
	t.agree(e)
	return nil
}

func (t *target) agree(e registry.Entry) {
	j := t.journal
	if j.Canonical != e.Addr {
		j.First, j.Canonical = e.Addr, e.Addr
	}
	j.Backend, j.User, j.UUID = e.Backend, e.User, e.UUID
}

// fromRequest takes what the request says, else what an unfinished setup
// recorded.
func (t *target) fromRequest(m *Manager, req SetupRequest) (err error) {
	j := t.journal
	if j.Making != nil && req.Backend != "" && req.Backend != j.Backend {
		return t.resumable(usage("%s was ordered of the %s backend, not of %s", req.Octet.VMName(), j.Backend, req.Backend))
	}
	if j.Backend == "" || req.Backend != "" {
		if t.backend, err = m.chosenBackend(req.Backend, nil); err != nil {
			return err
		}
	} else if t.backend, err = m.backend(j.Backend); err != nil {
		return err
	}
	j.Backend = t.backend.Name()
	if req.User != "" {
		j.User = req.User
	}
	if j.User == "" {
		return hint.Wrap(usage("the first setup of a VM needs the name of its account"),
			fmt.Sprintf("mpd-virt setup %s --backend=%s --ip=ADDRESS --username=NAME", req.Octet, j.Backend))
	}
	return nil
}

// find lets the backend find the machine, unless an unfinished setup has.
func (t *target) find(ctx context.Context, m *Manager, req SetupRequest) error {
	if t.journal.Making != nil && t.journal.First.IsValid() && !req.Addr.IsValid() {
		return t.resumable(t.there(ctx)) // nil stays nil
	}
	if first := t.journal.First; first.IsValid() && (!req.Addr.IsValid() || req.Addr == first) {
		return nil
	}
	if o := t.journal.Making; o != nil && !o.Clones() { // its seed, with its host key, is still attached
		return t.resumable(fmt.Errorf("the first boot of %s did not finish", req.Octet.VMName()))
	}
	if err := t.notThisMachine(m, req.Addr); err != nil {
		return err
	}
	err := t.locate(ctx, m, req)
	if t.journal.Making != nil {
		err = t.resumable(err) // nil stays nil
	}
	return err
}

// locate asks the backend for the machine and derives the address that it
// shall get.
func (t *target) locate(ctx context.Context, m *Manager, req SetupRequest) error {
	machine, err := t.machine(ctx, req)
	if errors.Is(err, hypervisor.ErrNoMachine) && can[hypervisor.Creator](t.backend) {
		// It knows its VMs by name alone, not by their guests' addresses.
		return hint.Wrap(usage("%w", err), fmt.Sprintf("give the VM the name %s in the window of %s, then:\n%s", req.Octet.VMName(), t.backend.Name(), adoption(req.Octet, t.backend, t.journal.User)))
	}
	if errors.Is(err, hypervisor.ErrNoMachine) && !req.Addr.IsValid() {
		return hint.Wrap(usage("%w", err), fmt.Sprintf("mpd-virt setup %s --backend=%s --ip=ADDRESS --username=%s", req.Octet, t.backend.Name(), t.journal.User))
	}
	if err != nil {
		return err
	}
	if !machine.Addr.IsValid() {
		machine.Addr = req.Addr // the person knows what the hypervisor does not
	}
	if !machine.Addr.IsValid() {
		return hint.Wrap(fmt.Errorf("%s on %s has no address yet", machine.Name, t.backend.Name()),
			fmt.Sprintf("look at its console; once you know its address:\nmpd-virt setup %s --ip=ADDRESS", req.Octet))
	}
	if _, err := hypervisor.ParseAddr(machine.Addr.String()); err != nil {
		return fmt.Errorf("%s on %s: %v", machine.Name, t.backend.Name(), err) // not the caller's wrong usage
	}
	network, err := t.backend.Network(ctx)
	if err != nil {
		return err
	}
	if network.IsValid() && !network.Contains(machine.Addr) {
		return usage("%s is not in the %s network of the %s backend", machine.Addr, network, t.backend.Name())
	}
	j := t.journal
	canonical := req.Octet.In(machine.Addr)
	if machine.Addr != j.First { // it is to be looked for there, whatever was done elsewhere
		clear(j.Done)
	}
	j.First, j.Canonical, j.UUID, j.Moving = machine.Addr, canonical, machine.UUID, false
	return nil
}

// machine is the VM that the request means; if one was ordered, no other.
func (t *target) machine(ctx context.Context, req SetupRequest) (hypervisor.Machine, error) {
	if t.journal.Making == nil {
		return t.backend.Locate(ctx, hypervisor.Query{Octet: req.Octet, Addr: req.Addr})
	}
	machine, err := t.ours(ctx, req.Addr)
	if err == nil && machine.Addr.IsValid() {
		err = alone(ctx, t.backend, t.journal, machine.Addr)
	}
	return machine, err
}

// there is an error unless the VM that was ordered runs, and finds out where
// it is now.
func (t *target) there(ctx context.Context) error {
	machine, err := t.ours(ctx, t.journal.First)
	switch {
	case err != nil:
		return err
	case machine.State != hypervisor.Running:
		return fmt.Errorf("%s (%s) is %s: %w", machine.Name, machine.UUID, machine.State, hypervisor.ErrState)
	}
	if _, err := hypervisor.ParseAddr(machine.Addr.String()); err == nil {
		t.journal.Seen(machine.Addr)
	}
	return nil
}

func (t *target) notThisMachine(m *Manager, addr netip.Addr) error {
	local, err := m.cfg.LocalAddrs()
	if err != nil {
		return fmt.Errorf("ask for this machine's addresses: %w", err)
	}
	if addr.IsValid() && slices.Contains(local, addr) {
		return usage("%s is this machine's own address, not the VM's", addr)
	}
	return nil
}

// setSource decides where the VM's software comes from.
func (m *Manager) setSource(j *bootstrap.Journal, req SetupRequest) error {
	s, err := m.source(j, req)
	if err == nil {
		j.SetSource(s)
	}
	return err
}

// source is what the request says, else what is recorded, else what Config says.
func (m *Manager) source(j *bootstrap.Journal, req SetupRequest) (bootstrap.Source, error) {
	s := bootstrap.Source{
		Repo:   firstOf(req.Repo, j.Source.Repo, m.cfg.Repo),
		Branch: firstOf(req.Branch, j.Source.Branch, m.cfg.Branch),
		Base:   firstOf(req.BootstrapURL, j.Source.Base, m.cfg.BootstrapURL),
	}
	if err := s.Validate(); err != nil {
		return bootstrap.Source{}, usage("%w", err)
	}
	return s, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// loaded reads a VM's entry and journal for verbs that work on registered VMs
// only. A missing journal is empty but usable.
func (m *Manager) loaded(o Octet) (*target, error) {
	entry, err := m.state.Load(o)
	if err != nil {
		return nil, err
	}
	t, err := m.recorded(entry)
	if err != nil {
		return nil, err
	}
	return t, t.fromEntry(m, entry)
}

// recorded is loaded without a backend, which a look at the VM does not need.
func (m *Manager) recorded(e registry.Entry) (*target, error) {
	journal, err := bootstrap.LoadJournal(m.files, m.journalFile(e.Octet), e.Octet)
	if bootstrap.Missing(err) {
		journal, err = bootstrap.NewJournal(m.files, m.journalFile(e.Octet)), nil
		journal.Octet = e.Octet
	}
	if err != nil {
		return nil, err
	}
	t := &target{journal: journal, known: &e}
	t.agree(e)
	return t, nil
}

// unfinished says whether o has a folder without an entry.
func (m *Manager) unfinished(o Octet) bool {
	items, err := m.state.List()
	return err == nil && slices.ContainsFunc(items, func(it registry.Item) bool {
		return it.Unfinished && it.Entry.Octet == o
	})
}
