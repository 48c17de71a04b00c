package hypervisortest_test

import (
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor/general"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
)

// A backend that has nobody to ask: there is nothing to look at but the backend
// itself.
func ExampleRun() {
	_ = func(t *testing.T) { // TestConformance, in a test file of the backend
		hypervisortest.Run(t, hypervisortest.Harness{
			Stateless: true,
			New: func(t *testing.T) hypervisortest.World {
				return hypervisortest.World{Backend: general.New()}
			},
		})
	}
}

// The backend of the package's example passes.
func TestExample(t *testing.T) {
	hypervisortest.Run(t, hypervisortest.Harness{
		New: func(*testing.T) hypervisortest.World { return (&shelfctl{}).world() },
	})
}
