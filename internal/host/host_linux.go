package host

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func memory() (hypervisor.Size, error) {
	var info unix.Sysinfo_t
	err := unix.Sysinfo(&info)
	return hypervisor.Size(uint64(info.Totalram) * uint64(info.Unit)), err
}

func arch() string { return runtime.GOARCH }
