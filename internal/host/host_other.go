//go:build !darwin && !linux

package host

import (
	"errors"
	"runtime"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func memory() (hypervisor.Size, error) { return 0, errors.ErrUnsupported }

func arch() string { return runtime.GOARCH }
