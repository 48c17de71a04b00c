package bootstrap

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/guest"
)

// A VM that was made just now tells its address before its sshd runs, and one
// that moves may be between its addresses; any other either answers or not.
func TestConnectLimit(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(j *Journal)
		want   time.Duration
	}{
		{"known VM", func(*Journal) {}, 0},
		{"on its way", func(j *Journal) { j.Moving = true }, moveLimit},
		{"made just now", func(j *Journal) { j.Making = &Making{Template: "mpd-template-trixie"} }, bootLimit},
		{"made and on its way", func(j *Journal) { j.Making, j.Moving = &Making{}, true }, bootLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := NewJournal(nil, filepath.Join(t.TempDir(), "journal.json"))
			j.First, j.Canonical = netip.MustParseAddr("10.211.55.37"), netip.MustParseAddr("10.211.55.150")
			test.change(j)
			gone, got := errors.New("nobody there"), time.Duration(-1)
			r := &run{Config: Config{Journal: j, Dial: func(_ context.Context, _ []netip.Addr, limit time.Duration) (*guest.Conn, error) {
				got = limit
				return nil, gone
			}}}
			if _, err := connect(t.Context(), r); !errors.Is(err, gone) || got != test.want {
				t.Errorf("tried for %v (%v), want %v", got, err, test.want)
			}
		})
	}
}

// machine-id(5): 32 lower-case hexadecimal digits, of a random UUID.
func TestNewMachineID(t *testing.T) {
	a, b := newMachineID(), newMachineID()
	if a == b || len(a) != 32 || a[12] != '4' || (a[16] != '8' && a[16] != '9' && a[16] != 'a' && a[16] != 'b') {
		t.Errorf("%q and %q", a, b)
	}
}
