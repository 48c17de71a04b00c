package mpdvirttest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mutms/mpd-virt-macos/hypervisor"
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
