package main

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// A hypervisor of a stranger's keeps the contract, over the suite of the SDK.
func TestShed(t *testing.T) {
	hypervisortest.Run(t, hypervisortest.Harness{Renames: true, New: func(t *testing.T) hypervisortest.World {
		s := &shed{}
		return hypervisortest.World{
			Backend: s,
			Add:     func(vm hypervisor.Machine) string { s.vms = append(s.vms, vm); return vm.UUID },
			Look:    func() []hypervisor.Machine { return slices.Clone(s.vms) },
			SetState: func(uuid string, state hypervisor.State) {
				s.vms[s.index(uuid)].State = state
			},
			Rename: func(uuid, name string) { s.vms[s.index(uuid)].Name = name },
			Remove: func(uuid string) { i := s.index(uuid); s.vms = slices.Delete(s.vms, i, i+1) },
		}
	}})
}

// The whole way of a VM, on that hypervisor, in the played world.
func TestManager(t *testing.T) {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{Addr: netip.MustParseAddr("10.211.55.37")})
	if err != nil {
		t.Fatal(err)
	}
	const uuid = "5c0ffee0-0001-4d1e-8b00-0123456789ab"
	s := &shed{vms: []hypervisor.Machine{{UUID: uuid, Name: "Debian", State: hypervisor.Running, Addr: vm.Addr()}}}

	var told strings.Builder
	config := world.Config()
	config.Backends = []hypervisor.Hypervisor{s}
	config.Observer = teller(&told)
	m, err := mpdvirt.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: 150, Backend: "shed", Addr: vm.Addr(), User: "dev"}); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := list(t.Context(), m, &out); err != nil || !strings.Contains(out.String(), "mpd-150 at 10.211.55.150 is running\n") {
		t.Errorf("%v, %q", err, out.String())
	}

	config.Prompter = refuser{}
	refusing, err := mpdvirt.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := refusing.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: 150}); !errors.Is(err, mpdvirt.ErrDeclined) {
		t.Errorf("Delete = %v", err)
	}
	if err := m.Stop(t.Context(), mpdvirt.StopRequest{Octet: 150}); err != nil {
		t.Error(err)
	}
	if _, err := m.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: 150, Yes: true}); err != nil || len(s.vms) != 0 {
		t.Errorf("Delete = %v, and %d VMs are left", err, len(s.vms))
	}
}
