package mpdvirttest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// A test of a program that uses package mpdvirt: a VM is set up, then it loses its
// power, and the program learns of it.
func Example() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{})
	if err != nil {
		log.Fatal(err)
	}
	world.Tunnel(vm) // as the person does in WireGuard.app

	ctx := context.Background()
	m, err := mpdvirt.New(world.Config())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.Setup(ctx, mpdvirt.SetupRequest{Octet: 150, Backend: "general", Addr: vm.Addr(), User: "dev"}); err != nil {
		log.Fatal(err)
	}
	name, perm, err := vm.File("/etc/hostname")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("at %v, %v %s", vm.Addr(), perm, name)

	vm.PowerOff()
	report, err := m.Diag(ctx, mpdvirt.DiagRequest{Octet: 150})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("healthy:", report.Healthy())
	// Output:
	// at 10.211.55.150, -rw-r--r-- mpd-150
	// healthy: false
}

// Step 40 breaks off in the middle, and the next run goes on there.
func ExampleVM_Inject() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{})
	if err != nil {
		log.Fatal(err)
	}
	m, err := mpdvirt.New(world.Config())
	if err != nil {
		log.Fatal(err)
	}
	vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepInstall, Kind: mpdvirttest.Exit, Text: "Error: it broke"})
	request := mpdvirt.SetupRequest{Octet: 150, Backend: "general", Addr: vm.Addr(), User: "dev"}
	_, err = m.Setup(context.Background(), request)
	var step *mpdvirt.StepError
	if errors.As(err, &step) {
		fmt.Println("failed:", step.Step)
	}
	before := len(vm.Steps())
	if _, err := m.Setup(context.Background(), request); err != nil {
		log.Fatal(err)
	}
	fmt.Println("then ran:", vm.Steps()[before:])
	// Output:
	// failed: 40-install-software
	// then ran: [40-install-software 50-build 60-wireguard mpd --setup]
}

// The programs of the Mac are asked as a Manager asks them.
func ExampleWorld_Run() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{})
	if err != nil {
		log.Fatal(err)
	}
	ping := hypervisor.Command{Argv: []string{"ping", "-n", "-c", "1", "-W", "2", vm.Addr().String()}}
	for range 2 {
		result, err := world.Run(context.Background(), ping)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("answers:", result.Status == 0)
		vm.PowerOff()
	}
	_, err = world.Run(context.Background(), hypervisor.Command{Argv: []string{"emacs"}})
	fmt.Println(errors.Is(err, hypervisor.ErrToolMissing))
	// Output:
	// answers: true
	// answers: false
	// true
}

// A Mac with Parallels Desktop: what prlctl clones is a VM of the world.
func ExampleWorld_AddParallels() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	desktop, err := world.AddParallels(mpdvirttest.ParallelsOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := desktop.AddTemplate("mpd-template-trixie", mpdvirttest.VMOptions{}); err != nil {
		log.Fatal(err)
	}
	m, err := mpdvirt.New(world.Config())
	if err != nil {
		log.Fatal(err)
	}
	clone := mpdvirt.CloneRequest{Octet: 150, Backend: "parallels", Template: "mpd-template-trixie", User: "dev"}
	if _, err := m.Clone(context.Background(), clone); err != nil {
		log.Fatal(err)
	}
	fmt.Println(desktop.VM("mpd-150").Hostname(), "is at", desktop.VM("mpd-150").Addr())
	// Output:
	// mpd-150 is at 10.211.55.150
}

// A Mac with UTM, on which somebody has one VM, and a manager that can make
// others.
func ExampleWorld_AddUTM() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	utm, err := world.AddUTM(mpdvirttest.UTMOptions{CloudInitDelay: 10 * time.Second, RestartSSH: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := utm.AddVM("handmade", mpdvirttest.VMOptions{}); err != nil {
		log.Fatal(err)
	}
	if _, err := mpdvirt.New(world.Config()); err != nil { // its Create uses all of this
		log.Fatal(err)
	}
	machines, err := utm.Machines()
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range machines {
		fmt.Println(m.Name, "is", m.State, "at", m.Addr)
	}
	// Output:
	// handmade is running at 192.168.64.2
}

// A person opens the profile of a tunnel and turns it on, where a program would ask
// scutil; the program's own view is that of the world's Runner.
func ExampleWorld_Mac() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	mac := world.Mac()
	const conf = "[Interface]\nPrivateKey = EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE=\nAddress = 10.164.0.1/30\nDNS = 10.163.0.3\n\n" +
		"[Peer]\nPublicKey = EEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEEE=\nAllowedIPs = 10.164.0.0/30, 10.163.0.0/24\nEndpoint = 10.211.55.150:51820\n"
	if err := mac.ImportTunnel("mpd-150", conf); err != nil {
		log.Fatal(err)
	}
	show := func(argv ...string) {
		result, err := world.Config().Runner(context.Background(), hypervisor.Command{Argv: argv})
		if err != nil {
			log.Fatal(err)
		}
		line, _, _ := strings.Cut(string(result.Stdout)+string(result.Stderr), "\n")
		fmt.Println(line)
	}
	show("/usr/sbin/scutil", "--nc", "status", "mpd-150")
	show("/usr/sbin/scutil", "--nc", "start", "mpd-150")
	show("/usr/sbin/scutil", "--nc", "status", "mpd-150")
	show("/usr/bin/sudo", "-n", "/usr/bin/dscacheutil", "-flushcache")
	if err := mac.Change(func(s *mpdvirttest.MacSettings) { s.NoApps = []string{"WireGuard"} }); err != nil {
		log.Fatal(err)
	}
	show("/usr/bin/open", "-a", "WireGuard")
	// Output:
	// Disconnected
	//
	// Connected
	// sudo: a password is required
	// Unable to find application named 'WireGuard'
}
