package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// adopted is a world with VMs that are set up, one for each octet.
func adopted(t *testing.T, octets ...mpdvirt.Octet) (*mpdvirttest.World, []*mpdvirttest.VM) {
	t.Helper()
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	m, err := mpdvirt.New(world.Config())
	if err != nil {
		t.Fatal(err)
	}
	var vms []*mpdvirttest.VM
	for i, o := range octets {
		vm, err := world.AddVM(mpdvirttest.VMOptions{Addr: netip.AddrFrom4([4]byte{10, 211, 55, byte(30 + i)})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: o, Backend: "general", Addr: vm.Addr(), User: "dev"}); err != nil {
			t.Fatal(err)
		}
		vms = append(vms, vm)
	}
	return world, vms
}

// report runs the program and decodes what it prints, as its reader would.
func report(t *testing.T, world *mpdvirttest.World) (healthy bool, r fleet) {
	t.Helper()
	var out bytes.Buffer
	healthy, err := run(t.Context(), world.Config(), &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Schema != "example/fleet/1" || r.Healthy != healthy {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return healthy, r
}

func TestNoVMs(t *testing.T) {
	world, _ := adopted(t)
	if healthy, r := report(t, world); !healthy || r.VMs == nil || len(r.VMs) != 0 {
		t.Errorf("healthy = %t, %+v", healthy, r)
	}
}

func TestFleet(t *testing.T) {
	world, vms := adopted(t, 150, 151, 152, 153, 154)
	healthy, r := report(t, world)
	if !healthy || len(r.VMs) != 5 {
		t.Errorf("healthy = %t, %+v", healthy, r)
	}
	for i, vm := range r.VMs {
		if int(vm.Octet) != 150+i || !vm.Healthy || vm.Verdict == "" {
			t.Errorf("%+v", vm)
		}
	}

	vms[1].PowerOff()
	if err := os.WriteFile(filepath.Join(world.Home(), ".mpd-virt", "152", "env"), []byte("MPD_VM_OCTET=nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	healthy, r = report(t, world)
	if healthy || len(r.VMs) != 5 {
		t.Fatalf("healthy = %t, %+v", healthy, r)
	}
	for i, vm := range r.VMs {
		if vm.Healthy != (i != 1 && i != 2) {
			t.Errorf("%+v", vm)
		}
	}
	if !slices.ContainsFunc(r.VMs[1].Problems, func(p problem) bool {
		return p.Check == "ping" && p.Phase == mpdvirt.Mandatory && p.Status == mpdvirt.Fail && p.Summary != ""
	}) {
		t.Errorf("the VM that is off: %+v", r.VMs[1])
	}
	if r.VMs[2].State != mpdvirt.Broken || r.VMs[2].Error == "" || r.VMs[2].Next == "" {
		t.Errorf("the broken entry: %+v", r.VMs[2])
	}
}

func TestCancelled(t *testing.T) {
	world, _ := adopted(t, 150)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if _, err := run(ctx, world.Config(), &out); err == nil || out.Len() != 0 {
		t.Errorf("%v, and it printed %q", err, out.String())
	}
}
