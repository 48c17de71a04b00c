package hypervisortest_test

import (
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor/general"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
)

// A test of a backend is one call. This one has nobody to ask, so there is
// nothing to look at but the backend itself.
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
