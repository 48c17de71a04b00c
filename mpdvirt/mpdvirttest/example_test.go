package mpdvirttest_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func Example() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{Hostname: "mpd-sandbox"})
	if err != nil {
		log.Fatal(err)
	}

	// A mpdvirt.Manager is given world.Config(). Here its Runner is enough.
	ping := hypervisor.Command{Argv: []string{"ping", "-n", "-c", "1", "-W", "2", vm.Addr().String()}}
	result, err := world.Config().Runner(context.Background(), ping)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("answers:", result.Status == 0)

	vm.PowerOff()
	result, err = world.Config().Runner(context.Background(), ping)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("answers:", result.Status == 0)
	name, _, err := vm.File("/etc/hostname")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("its disk says: %s", name)
	// Output:
	// answers: true
	// answers: false
	// its disk says: mpd-sandbox
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
