package host_test

import (
	"runtime"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/host"
)

func TestLook(t *testing.T) {
	got, err := host.Look()
	if err != nil {
		t.Fatal(err)
	}
	if got.Memory < 256*hypervisor.MiB || got.Memory > 1<<20*hypervisor.GiB || got.Cores != runtime.NumCPU() || got.Arch == "" {
		t.Errorf("Look = %+v, which no machine that runs this test has", got)
	}
	if runtime.GOOS == "linux" && got.Arch != runtime.GOARCH {
		t.Errorf("Arch = %s, want %s", got.Arch, runtime.GOARCH)
	}
}
