package cli

import "testing"

// On a terminal, delete of a VM that would be destroyed asks, and anything but
// a yes leaves the VM.
func TestDeleteManagedOnTerminal(t *testing.T) {
	s := newPrlWorld(t)
	s.mustRun(t, s.line...)
	for _, answer := range []struct {
		keys string
		left []string
		code int
	}{{"\n", []string{"mpd-150"}, 1}, {"y\n", nil, 0}} {
		p := openPTY(t)
		cmd := s.onTerminal(t, p, "delete", "150")
		p.until("Delete mpd-150 and its disk? [y/N] ")
		p.typed(t, answer.keys)
		if code := exitOf(t, cmd.Wait()); code != answer.code {
			t.Errorf("%q: exit %d, want %d", answer.keys, code, answer.code)
		}
		s.has(t, answer.left...)
	}
}
