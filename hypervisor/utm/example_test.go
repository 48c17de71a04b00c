package utm_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/utm"
)

// Any Runner will do. This one plays utmctl; internal/command has the one that
// starts the real tools. Without the permission to control UTM the tool ends with
// status 0 and lists nothing, which is never taken for "no VMs".
func Example() {
	const head = "UUID                                 Status   Name\n"
	allowed := true
	utmctl := func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
		if !allowed {
			return hypervisor.Result{Stdout: []byte(head), Stderr: []byte("Error from event: ... (OSStatus error -1743.)\n")}, nil
		}
		return hypervisor.Result{Stdout: []byte(head + "5D419106-2824-4FED-BFE1-24A7F7E253D8 started  mpd-150\n")}, nil
	}
	backend := utm.New(utm.Config{Run: utmctl})

	vm, err := backend.Locate(context.Background(), hypervisor.Query{Octet: 150})
	fmt.Println(vm.Name, vm.State, err)

	allowed = false
	_, err = backend.Locate(context.Background(), hypervisor.Query{Octet: 150})
	fmt.Println(errors.Is(err, fs.ErrPermission), errors.Is(err, hypervisor.ErrNoMachine))
	// Output:
	// mpd-150 running <nil>
	// true false
}
