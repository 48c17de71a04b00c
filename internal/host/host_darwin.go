package host

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func memory() (hypervisor.Size, error) {
	n, err := unix.SysctlUint64("hw.memsize")
	return hypervisor.Size(n), err
}

// arch asks for the processor itself: a program that Rosetta translates reads
// amd64 everywhere else. Macs with an Intel processor do not know the name.
func arch() string {
	if is, err := unix.SysctlUint32("hw.optional.arm64"); err == nil && is == 1 {
		return "arm64"
	}
	return runtime.GOARCH
}
