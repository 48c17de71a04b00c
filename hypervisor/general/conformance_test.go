package general_test

import (
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor/general"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
)

func TestConformance(t *testing.T) {
	hypervisortest.Run(t, hypervisortest.Harness{
		Stateless: true,
		New:       func(*testing.T) hypervisortest.World { return hypervisortest.World{Backend: general.New()} },
	})
}
