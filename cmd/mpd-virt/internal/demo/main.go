// Demo shows the main job of mpd-virt from start to end in some seconds, on any
// machine: a VM is adopted, set up, checked, told apart from another one, and
// deleted; another one is cloned, stopped and deleted, and one is created from
// nothing. The command is the real one; the Mac, the VMs and the network between
// them are those of package mpdvirttest. It leaves nothing behind, and its exit
// code is 1 if anything is not as expected.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// pace is how long a step of the bootstrap takes here; the real ones take
// seconds to minutes.
const pace = 150 * time.Millisecond

// haste is how much faster Parallels is here than on a Mac. UTM takes no time.
const haste = 0.005

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := show(ctx, os.Stdout, lookOnly(os.Environ()), mpdvirttest.Options{Clock: time.Now, Delay: pace})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// lookOnly keeps of the environment what decides how output looks.
func lookOnly(environ []string) []string {
	var out []string
	for _, v := range environ {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "TERM", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE":
			out = append(out, v)
		}
	}
	return out
}

// show plays the whole story on out.
func show(ctx context.Context, out io.Writer, environ []string, o mpdvirttest.Options) error {
	world, err := mpdvirttest.New(o)
	if err != nil {
		return err
	}
	s := &stage{ctx: ctx, world: world, out: out, environ: environ}
	s.story()
	if err := world.Close(); err != nil && s.err == nil {
		s.err = err
	}
	return s.err
}
