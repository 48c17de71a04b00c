package mpdvirttest_test

import (
	"context"
	"fmt"
	"log"
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
