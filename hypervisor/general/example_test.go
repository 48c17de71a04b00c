package general_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/general"
)

// The general backend cannot look for VMs: who adopts one says where it is.
func Example() {
	ctx := context.Background()
	backend := general.New()

	_, err := backend.Locate(ctx, hypervisor.Query{Octet: 150})
	fmt.Println(errors.Is(err, hypervisor.ErrNoMachine))

	vm, err := backend.Locate(ctx, hypervisor.Query{Octet: 150, Addr: netip.MustParseAddr("192.168.64.37")})
	fmt.Println(vm.Name, vm.Addr, err)
	// Output:
	// true
	// mpd-150 192.168.64.37 <nil>
}
