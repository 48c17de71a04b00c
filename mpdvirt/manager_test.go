package mpdvirt_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func TestNew(t *testing.T) {
	t.Run("no home folder", func(t *testing.T) {
		t.Setenv("HOME", "")
		if m, err := mpdvirt.New(mpdvirt.Config{}); err == nil || m != nil {
			t.Errorf("%v, %v", m, err)
		}
	})
	t.Run("home folder from here", func(t *testing.T) {
		if _, err := mpdvirt.New(mpdvirt.Config{Home: "home"}); err == nil || !strings.Contains(err.Error(), `"home"`) {
			t.Errorf("%v", err)
		}
	})
	// Of the real world only this machine's own addresses are asked.
	t.Run("the zero Config", func(t *testing.T) {
		home := t.TempDir()
		m, err := mpdvirt.New(mpdvirt.Config{Home: home})
		check(t, err)
		got, err := m.Backends(t.Context())
		if check(t, err); len(got) != len(mpdvirt.DefaultBackends(nil, "")) || got[0].Name != "general" || !got[0].Available {
			t.Errorf("%+v", got)
		}
		if list, err := os.ReadDir(home); err != nil || len(list) > 0 {
			t.Errorf("New left %v, %v", list, err)
		}
		_, err = m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: octet, Backend: "general", Addr: netip.MustParseAddr("127.0.0.1"), User: "dev"})
		wantError(t, err, mpdvirt.ErrUsage, "127.0.0.1")
	})
}

// The newest logs are kept, the others are not.
func TestOldLogs(t *testing.T) {
	bubble(t, "more than are kept", func(t *testing.T) {
		l := adopted(t, options{})
		for i := range 30 {
			l.write(fmt.Sprintf(".mpd-virt/150/logs/2026-01-%02dT00-00-00-setup.log", i+1), "old\n", 0o600)
		}
		l.write(".mpd-virt/150/logs/notes.txt", "the user's\n", 0o600)
		res := l.setup(alone)
		list, err := os.ReadDir(l.path(".mpd-virt/150/logs"))
		check(t, err)
		if len(list) != 21 || !strings.HasPrefix(list[0].Name(), "2026-01-13") || !l.exists(".mpd-virt/150/logs/notes.txt") {
			t.Errorf("%d files, the first is %s", len(list), list[0].Name())
		}
		if !strings.HasSuffix(res.Log, "2026-11-21T19-04-11-setup.2.log") { // the second in one second
			t.Errorf("the log is %s", res.Log)
		}
	})
}
