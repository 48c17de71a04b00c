package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// List returns all VMs of the registry in the order of their octets, with the
// states that their backends report; none is an empty list that is not nil.
// A broken or unfinished entry is in the list as such. A backend that cannot
// be asked leaves State empty and says why in Error: only a registry that
// cannot be read at all is an error.
//
// The error is that of ctx, too. List takes no lock and costs one call of each
// backend's tool, whatever the number of VMs.
func (m *Manager) List(ctx context.Context) ([]VM, error) {
	items, err := m.state.List()
	if err != nil {
		return nil, m.begin("list", 0).fail(err)
	}
	vms := make([]VM, len(items))
	for i, it := range items {
		vms[i] = m.view(it)
	}
	m.addStates(ctx, vms)
	return vms, m.begin("list", 0).fail(ctx.Err())
}

// view is an item of the registry before its state is known.
func (m *Manager) view(it registry.Item) VM {
	vm := viewOf(it.Entry)
	switch {
	case it.Err != nil:
		vm = VM{Octet: it.Entry.Octet, Name: it.Entry.Name(), State: Broken, Error: it.Err.Error()}
		vm.Next = "correct the named line, or remove " + m.state.Dir(vm.Octet)
	case it.Unfinished:
		vm = m.unfinishedView(vm.Octet)
	}
	return vm
}

// unfinishedView shows what the journal knows of a VM that is not registered
// yet.
func (m *Manager) unfinishedView(o Octet) VM {
	vm := VM{Octet: o, Name: o.VMName(), State: Unfinished, Next: "mpd-virt setup " + o.String()}
	if j, err := bootstrap.LoadJournal(m.files, m.journalFile(o), o); err == nil {
		vm.Backend, vm.User, vm.UUID, vm.Addr, vm.Next = j.Backend, j.User, j.UUID, j.Addresses()[0], nextOf(o, j)
	}
	return vm
}

func viewOf(e registry.Entry) VM {
	return VM{
		Octet: e.Octet, Name: e.Name(), Backend: e.Backend, Addr: e.Addr, User: e.User,
		UUID: e.UUID, Disk: e.Disk, RAM: e.RAM,
	}
}

// addStates asks each backend that is needed once, all at the same time.
func (m *Manager) addStates(ctx context.Context, vms []VM) {
	byBackend := map[string][]*VM{}
	for i := range vms {
		if vm := &vms[i]; vm.State == "" {
			byBackend[vm.Backend] = append(byBackend[vm.Backend], vm)
		}
	}
	var wg sync.WaitGroup
	for name, some := range byBackend {
		wg.Go(func() { m.addStatesOf(ctx, name, some) })
	}
	wg.Wait()
}

func (m *Manager) addStatesOf(ctx context.Context, name string, vms []*VM) {
	machines, err := m.states(ctx, name)
	for _, vm := range vms {
		if err != nil {
			vm.Error = err.Error()
		} else if machines != nil {
			vm.State = stateIn(machines, *vm)
		}
	}
}

func (m *Manager) states(ctx context.Context, backend string) ([]hypervisor.Machine, error) {
	b, err := m.backend(backend)
	if err != nil {
		return nil, err
	}
	machines, err := b.States(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", backend, err)
	}
	return machines, nil
}

// stateIn finds a VM among its hypervisor's: by UUID if one was recorded, else
// by name.
func stateIn(machines []hypervisor.Machine, vm VM) State {
	i := slices.IndexFunc(machines, func(c hypervisor.Machine) bool {
		if vm.UUID != "" {
			return strings.EqualFold(c.UUID, vm.UUID)
		}
		return c.Name == vm.Name
	})
	if i < 0 {
		return hypervisor.Missing
	}
	return machines[i].State
}

// Backends returns the backends of this program: whether each can be used on
// this machine, and which verbs it has, computed from its methods. A tool that is
// missing is a Reason in the result; the error is that of ctx, or of a default
// backend that cannot be read.
func (m *Manager) Backends(ctx context.Context) ([]BackendInfo, error) {
	r := m.begin("backend list", 0)
	chosen, err := m.state.DefaultBackend()
	if err != nil {
		return nil, r.fail(err)
	}
	var out []BackendInfo
	for _, b := range m.cfg.Backends {
		info := BackendInfo{Name: b.Name(), Available: true, Default: b.Name() == chosen, Verbs: verbsOf(b)}
		if err := b.Available(ctx); err != nil {
			info.Available, info.Reason = false, err.Error()
		}
		out = append(out, info)
	}
	return out, r.fail(ctx.Err())
}

func verbsOf(b hypervisor.Hypervisor) []string {
	verbs := []string{"setup", "diag", "update", "delete"}
	if can[hypervisor.Creator](b) {
		verbs = append(verbs, "create")
	}
	if can[hypervisor.Cloner](b) {
		verbs = append(verbs, "clone")
	}
	if can[hypervisor.Lifecycle](b) {
		verbs = append(verbs, "start", "stop")
	}
	return verbs
}

// SetDefaultBackend records which backend requests without one mean. The error
// is ErrUsage if there is no such backend. It also repairs a damaged record.
func (m *Manager) SetDefaultBackend(ctx context.Context, name string) error {
	r := m.begin("backend set-default", 0)
	if _, err := m.backend(name); err != nil {
		return r.fail(hint.Wrap(usage("%w", err), "mpd-virt backend list"))
	}
	return r.fail(m.locked(ctx, r.verb, func() error {
		return m.state.SetDefaultBackend(name)
	}))
}

// registered reads the entry of a VM that must be registered; the error leads to
// setup.
func (m *Manager) registered(o Octet) (registry.Entry, error) {
	e, err := m.state.Load(o)
	if errors.Is(err, registry.ErrNotRegistered) {
		return e, m.notRegistered(o)
	}
	return e, err
}
