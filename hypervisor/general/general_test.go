package general

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func TestBackendHasNothingOfItsOwn(t *testing.T) {
	var b Backend
	if b != New() || b.Name() != "general" {
		t.Errorf("New() = %#v, named %q", New(), b.Name())
	}
	if p, err := b.Network(t.Context()); p.IsValid() || err != nil {
		t.Errorf("Network = %v, %v; want none", p, err)
	}
	if err := b.Available(t.Context()); err != nil {
		t.Errorf("Available = %v", err)
	}
	if vms, err := b.States(t.Context()); vms != nil || err != nil {
		t.Errorf("States = %v, %v; want none", vms, err)
	}
}

// A backend is exactly what its methods say: this one must not gain a power by
// accident.
func TestBackendHasNoCapabilities(t *testing.T) {
	var b any = New()
	if _, ok := b.(hypervisor.Creator); ok {
		t.Error("it creates VMs")
	}
	if _, ok := b.(hypervisor.Cloner); ok {
		t.Error("it clones VMs")
	}
	if _, ok := b.(hypervisor.Lifecycle); ok {
		t.Error("it starts and deletes VMs")
	}
	if _, ok := b.(hypervisor.Adopter); ok {
		t.Error("it renames VMs")
	}
}

func TestLocate(t *testing.T) {
	addr := netip.MustParseAddr("192.168.64.37")
	for _, tc := range []struct {
		name  string
		query hypervisor.Query
		found bool
	}{
		{"by address", hypervisor.Query{Octet: 150, Addr: addr}, true},
		{"by address, UUID known", hypervisor.Query{Octet: 150, UUID: "x", Addr: addr}, true},
		{"by octet", hypervisor.Query{Octet: 150}, false},
		{"by UUID", hypervisor.Query{Octet: 150, UUID: "x"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := New().Locate(t.Context(), tc.query)
			want := hypervisor.Machine{}
			if tc.found {
				want = hypervisor.Machine{Name: "mpd-150", Addr: addr}
			}
			if got != want || (err == nil) != tc.found {
				t.Fatalf("Locate = %+v, %v; want %+v", got, err, want)
			}
			if err != nil && (!errors.Is(err, hypervisor.ErrNoMachine) || !strings.Contains(err.Error(), "mpd-150")) {
				t.Errorf("error %v, want ErrNoMachine and the VM's name", err)
			}
		})
	}
}
