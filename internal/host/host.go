// Package host says what the machine that this program runs on has for VMs.
//
// [Look] is its only call. Nothing in it changes anything.
package host

import (
	"fmt"
	"runtime"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Info is what a machine has.
type Info struct {
	// Arch is that of the processor, in the words of runtime.GOARCH. On a Mac
	// it is arm64 also if this program was built for amd64 and is translated.
	Arch   string
	Memory hypervisor.Size // installed, in bytes
	Cores  int             // from 1
}

// Look asks the system.
func Look() (Info, error) {
	memory, err := memory()
	if err == nil && memory <= 0 {
		err = fmt.Errorf("the system says %d bytes", int64(memory))
	}
	if err != nil {
		return Info{}, fmt.Errorf("find out how much memory this machine has: %w", err)
	}
	return Info{Arch: arch(), Memory: memory, Cores: runtime.NumCPU()}, nil
}
