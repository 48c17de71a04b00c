// Mpd-virt makes or adopts the Debian VM in which mpd runs, proves that it is
// the right one, and takes it away again. "mpd-virt help" says more.
package main

import (
	"os"

	"github.com/mutms/mpd-virt-macos/cmd/mpd-virt/internal/cli"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func main() { os.Exit(cli.Main(mpdvirt.Config{})) }
