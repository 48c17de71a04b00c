package mpdvirt

import (
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/command"
)

// NewRunner returns a Runner that starts programs of this machine, as a Manager
// does whose Config has none: a nil Config.Runner is NewRunner(os.Environ()). It
// is for a program that brings a backend of its own and makes Config.Backends
// itself. Who only uses a Manager does not need it.
//
// env has the form of os.Environ and is what programs get; nil and an empty one
// are an empty environment, not that of this process. It is copied. Bare names
// are looked for in the folders of its PATH and then where macOS, Linux and
// Homebrew keep tools, never in the current folder. A program that is not there
// is hypervisor.ErrToolMissing; one that is there and cannot be started is not.
//
// A program with captured output gets LC_ALL=C, for callers that read what it
// prints, and is in a process group of its own. When the context or the limit
// ends, all of the group gets SIGTERM and half a second later SIGKILL. So it
// does when the program prints more than 16 MiB on one of its outputs, which is
// an error: cut output could be read as a shorter answer. On an error the Result
// is zero. What a program that ended by itself left in the background stays.
//
// A program with the terminal stays in this process's group, has its locale and,
// if it sets no Limit, no limit but the context. The terminal's settings are put
// back when it has ended.
//
// The Runner may be called at the same time from many goroutines. It prints
// nothing and tells nobody: of what a backend starts with it there is no Event.
func NewRunner(env []string) hypervisor.Runner {
	return command.New(slices.Clone(env)).Run
}
