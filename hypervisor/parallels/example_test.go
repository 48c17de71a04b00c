package parallels_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
)

// Any Runner will do. This one plays prlctl with one VM; internal/command has
// the one that starts the real tool.
func Example() {
	prlctl := func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		if c.String() != "prlctl list -a -j" {
			return hypervisor.Result{Stderr: []byte("Unrecognized option"), Status: 1}, nil
		}
		return hypervisor.Result{Stdout: []byte(`[{"uuid": "bb586bcf-5a5c-4a1c-9d2e-0f3f7e0b6a11",
			"status": "suspended", "ip_configured": "-", "name": "mpd-150"}]`)}, nil
	}
	backend := parallels.New(parallels.Config{Run: prlctl})

	vms, err := backend.States(context.Background())
	fmt.Println(vms[0].Name, vms[0].State, err)

	_, err = backend.Locate(context.Background(), hypervisor.Query{Octet: 151})
	fmt.Println(strings.SplitAfter(err.Error(), ":")[0], err != nil)
	// Output:
	// mpd-150 suspended <nil>
	// locate mpd-151: true
}
