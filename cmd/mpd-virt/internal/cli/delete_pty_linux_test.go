package cli

import (
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// On a terminal, delete of a VM that would be destroyed asks, and anything but
// a yes leaves the VM.
func TestDeleteManagedOnTerminal(t *testing.T) {
	s := newPrlWorld(t, mpdvirttest.ParallelsOptions{})
	s.mustRun(t, cloneLine...)
	for _, answer := range []struct {
		keys, left string
		code       int
	}{{"\n", "mpd-150 " + template, 1}, {"y\n", template, 0}} {
		p := openPTY(t)
		cmd := s.onTerminal(t, p, "delete", "150")
		p.until("Delete mpd-150 and its disk? [y/N] ")
		p.typed(t, answer.keys)
		if code := exitOf(t, cmd.Wait()); code != answer.code {
			t.Errorf("%q: exit %d, want %d", answer.keys, code, answer.code)
		}
		if left := strings.Join(s.names(t), " "); left != answer.left {
			t.Errorf("%q: Parallels has %s, want %s", answer.keys, left, answer.left)
		}
	}
}
