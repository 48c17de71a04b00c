package mpdvirt_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// played is a world with one fresh VM at 10.211.55.37, and the Config for it.
// Programs need neither: for them the zero Config is the real Mac.
func played() (*mpdvirttest.World, mpdvirt.Config) {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	vm, err := world.AddVM(mpdvirttest.VMOptions{})
	if err != nil {
		log.Fatal(err)
	}
	world.Tunnel(vm) // as the user does in WireGuard.app
	return world, world.Config()
}

// adoptedByExample is played with the VM set up as mpd-150.
func adoptedByExample() (*mpdvirttest.World, *mpdvirt.Manager) {
	world, config := played()
	m, err := mpdvirt.New(config)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.Setup(context.Background(), adoption); err != nil {
		log.Fatal(err)
	}
	return world, m
}

func ExampleManager_Setup() {
	world, config := played()
	defer world.Close()
	config.Observer = func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.StepEnded && strings.Contains(e.Step, "-") && strings.ContainsAny(e.Step[:1], "1234567") {
			fmt.Println(e.Status, e.Step)
		}
	}
	m, err := mpdvirt.New(config)
	if err != nil {
		log.Fatal(err)
	}
	res, err := m.Setup(context.Background(), mpdvirt.SetupRequest{
		Octet: 150, Backend: "general", Addr: netip.MustParseAddr("10.211.55.37"), User: "dev",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.VM.Name, "is at", res.VM.Addr)
	fmt.Println(res.Report.Verdict)
	// Output:
	// ok 10-passwordless-sudo
	// ok 20-git-clone
	// ok 30-networking
	// ok 40-install-software
	// ok 50-build
	// ok 60-wireguard
	// mpd-150 is at 10.211.55.150
	// which VM answers: mpd-150 (its own DNS says so).
}

func ExampleManager_Diag() {
	world, m := adoptedByExample()
	defer world.Close()
	world.Tunnel(nil) // the user turns the tunnel off
	report, err := m.Diag(context.Background(), mpdvirt.DiagRequest{Octet: 150})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range report.Checks {
		fmt.Println(c.Phase, c.ID, c.Status)
	}
	fmt.Println("healthy:", report.Healthy())
	// Output:
	// mandatory registry ok
	// mandatory backend ok
	// mandatory ping ok
	// mandatory platform ok
	// mandatory ssh-alias ok
	// optional tunnel fail
	// optional route skipped
	// optional wireguard-key ok
	// optional dns-identity skipped
	// optional resolver skipped
	// optional dns-scope skipped
	// optional ca-trust warn
	// optional ca-expiry ok
	// optional portal skipped
	// healthy: true
}

func ExampleManager_List() {
	world, m := adoptedByExample()
	defer world.Close()
	vms, err := m.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, vm := range vms {
		fmt.Println(vm.Name, vm.Backend, vm.Addr, vm.User)
	}
	// Output:
	// mpd-150 general 10.211.55.150 dev
}

func ExampleManager_Delete() {
	world, m := adoptedByExample()
	defer world.Close()
	res, err := m.Delete(context.Background(), mpdvirt.DeleteRequest{Octet: 150, Yes: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range append(res.Removed, res.Left...) {
		fmt.Println(strings.ReplaceAll(line, world.Home(), "~"))
	}
	// Output:
	// SSH entries mpd-150 and mpd-150-*
	// ~/.mpd-virt/150: entry, pinned host key, journal, logs
	// the VM itself: the general backend manages no VMs
	// its keys and confs, for the next VM with this number: ~/.mpd-virt/conf/wireguard/150
}
