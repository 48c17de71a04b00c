package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// shed is a hypervisor of our own, whose VMs are entries of a list.
type shed struct {
	mu  sync.Mutex
	vms []hypervisor.Machine
}

var (
	_ hypervisor.Hypervisor = (*shed)(nil)
	_ hypervisor.Lifecycle  = (*shed)(nil)
	_ hypervisor.Adopter    = (*shed)(nil)
	_ hypervisor.Inspector  = (*shed)(nil)
	_ hypervisor.Versioner  = (*shed)(nil)
)

// Name is shed.
func (s *shed) Name() string { return "shed" }

// Network is that of the played Mac.
func (s *shed) Network(context.Context) (netip.Prefix, error) {
	return netip.MustParsePrefix("10.211.55.0/24"), nil
}

// Available is always.
func (s *shed) Available(context.Context) error { return nil }

// Version is the first.
func (s *shed) Version(context.Context) (string, error) { return "1.0", nil }

// Inspect finds a shed without VMs.
func (s *shed) Inspect(ctx context.Context) ([]hypervisor.Finding, error) {
	if vms, _ := s.States(ctx); len(vms) > 0 {
		return nil, nil
	}
	return []hypervisor.Finding{{Text: "the shed is empty", Advice: "put a VM into it"}}, nil
}

// States copies the list.
func (s *shed) States(context.Context) ([]hypervisor.Machine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]hypervisor.Machine{}, s.vms...), nil
}

// Locate looks into the list.
func (s *shed) Locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	vms, _ := s.States(ctx)
	var found []hypervisor.Machine
	for _, fits := range []func(hypervisor.Machine) bool{
		func(m hypervisor.Machine) bool { return q.UUID != "" && strings.EqualFold(m.UUID, q.UUID) },
		func(m hypervisor.Machine) bool { return q.UUID == "" && m.Name == q.Octet.VMName() },
		func(m hypervisor.Machine) bool {
			return q.UUID == "" && q.Addr.IsValid() && m.Addr == q.Addr && m.State == hypervisor.Running
		},
	} {
		for _, m := range vms {
			if len(found) == 0 || fits(found[0]) {
				if fits(m) {
					found = append(found, m)
				}
			}
		}
	}
	switch len(found) {
	case 0:
		return hypervisor.Machine{}, fmt.Errorf("look for %s in the shed: %w", q.Octet.VMName(), hypervisor.ErrNoMachine)
	case 1:
		return found[0], nil
	}
	return hypervisor.Machine{}, fmt.Errorf("look for %s in the shed: %w", q.Octet.VMName(), hypervisor.ErrAmbiguous)
}

// Adopted gives the VM its name, if no other VM has that.
func (s *shed) Adopted(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
	vms, _ := s.States(ctx)
	for _, other := range vms {
		if other.Name == o.VMName() && other.UUID != m.UUID {
			return fmt.Errorf("VM %s of the shed is called %s, too: %w", other.UUID, other.Name, hypervisor.ErrDrift)
		}
	}
	return s.change(m.UUID, func(vm *hypervisor.Machine) error {
		vm.Name, vm.Addr = o.VMName(), o.In(m.Addr)
		return nil
	})
}

// Start runs a VM.
func (s *shed) Start(_ context.Context, uuid string) error { return s.turn(uuid, hypervisor.Running) }

// Suspend saves a VM that runs.
func (s *shed) Suspend(_ context.Context, uuid string) error {
	return s.change(uuid, func(vm *hypervisor.Machine) error {
		switch vm.State {
		case hypervisor.Running, hypervisor.Paused:
			vm.State = hypervisor.Suspended
		case hypervisor.Stopped, hypervisor.Suspended:
		default:
			return fmt.Errorf("VM %s is %s: %w", uuid, vm.State, hypervisor.ErrState)
		}
		return nil
	})
}

// Kill stops a VM.
func (s *shed) Kill(_ context.Context, uuid string) error { return s.turn(uuid, hypervisor.Stopped) }

// Delete throws a VM away.
func (s *shed) Delete(_ context.Context, uuid string) error {
	err := s.change(uuid, func(vm *hypervisor.Machine) error {
		gone := vm.UUID // vm is a part of the list
		s.vms = slices.DeleteFunc(s.vms, func(m hypervisor.Machine) bool { return m.UUID == gone })
		return nil
	})
	if errors.Is(err, hypervisor.ErrNoMachine) {
		return nil
	}
	return err
}

func (s *shed) turn(uuid string, state hypervisor.State) error {
	return s.change(uuid, func(vm *hypervisor.Machine) error {
		vm.State = state
		return nil
	})
}

// change changes a VM whose state is known.
func (s *shed) change(uuid string, f func(vm *hypervisor.Machine) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(uuid)
	switch {
	case i < 0:
		return fmt.Errorf("VM %q of the shed: %w", uuid, hypervisor.ErrNoMachine)
	case !s.vms[i].State.Known():
		return fmt.Errorf("VM %s is %q: %w", uuid, s.vms[i].State, hypervisor.ErrState)
	}
	return f(&s.vms[i])
}

func (s *shed) index(uuid string) int {
	return slices.IndexFunc(s.vms, func(m hypervisor.Machine) bool { return uuid != "" && strings.EqualFold(m.UUID, uuid) })
}
