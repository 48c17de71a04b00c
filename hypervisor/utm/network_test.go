package utm_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/utm"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

func TestNetwork(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings utmemu.Settings
		want     string // "" is ErrNetwork
	}{
		{"nothing is known", utmemu.Settings{}, "192.168.64.0/24"},
		{"the bridge", utmemu.Settings{Bridge: "192.168.66.1"}, "192.168.66.0/24"},
		{"the bridge before what was written down", utmemu.Settings{Bridge: "192.168.66.1", Recorded: "192.168.64.1"}, "192.168.66.0/24"},
		{"what was written down", utmemu.Settings{Recorded: "192.168.65.1"}, "192.168.65.0/24"},
		{"Parallels' bridge", utmemu.Settings{Bridge: "10.211.55.2"}, "192.168.64.0/24"},
		{"a public address", utmemu.Settings{Bridge: "8.8.8.1"}, "192.168.64.0/24"},
		{"no address", utmemu.Settings{Recorded: "(null)"}, "192.168.64.0/24"},
		{"no /24", utmemu.Settings{Bridge: "192.168.64.1", Mask: "0xffff0000"}, ""},
		{"no UTM", utmemu.Settings{Absent: true}, "192.168.64.0/24"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMac(t, tc.settings)
			got, err := m.backend.Network(t.Context())
			if tc.want == "" {
				if !errors.Is(err, hypervisor.ErrNetwork) || hint.Of(err) == "" || got.IsValid() {
					t.Errorf("Network = %v, %v", got, err)
				}
			} else if err != nil || got.String() != tc.want {
				t.Errorf("Network = %v, %v; want %s", got, err, tc.want)
			}
			calls, _ := m.emu.Calls()
			for _, c := range calls {
				if strings.HasSuffix(c[0], "utmctl") || c[0] == "osascript" {
					t.Errorf("UTM was asked: %q", c)
				}
			}
		})
	}
}

func TestAvailable(t *testing.T) {
	version := new(utm.VersionError)
	for _, tc := range []struct {
		name     string
		settings utmemu.Settings
		want     error
	}{
		{"all is well", utmemu.Settings{}, nil},
		{"App Store, as some say", utmemu.Settings{NoUtmctl: true}, nil},
		{"UTM does not run", utmemu.Settings{NotRunning: true}, nil},
		{"no UTM", utmemu.Settings{Absent: true}, hypervisor.ErrToolMissing},
		{"not permitted", utmemu.Settings{Denied: true}, fs.ErrPermission},
		{"too old", utmemu.Settings{Version: "4.5.4"}, version},
		{"a release that may not tell states", utmemu.Settings{Version: "4.7.2", StatusBroken: true}, nil},
		{"newer", utmemu.Settings{Version: "5.0.3"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMac(t, tc.settings)
			err := m.backend.Available(t.Context())
			ok := errors.Is(err, tc.want)
			if tc.want == version {
				ok = errors.As(err, new(*utm.VersionError))
			}
			if !ok || (err != nil) != (hint.Of(err) != "") {
				t.Errorf("Available = %v, hint %q; want %v", err, hint.Of(err), tc.want)
			}
			calls, _ := m.emu.Calls()
			for _, c := range calls {
				if strings.HasSuffix(c[0], "utmctl") {
					t.Errorf("%q starts UTM", c)
				}
			}
		})
	}
	if err := utm.New(utm.Config{}).Available(t.Context()); !errors.Is(err, hypervisor.ErrToolMissing) {
		t.Errorf("Available without a runner = %v", err)
	}
}

// A release that may not tell states is no obstacle, but a finding.
func TestInspect(t *testing.T) {
	for version, found := range map[string]int{"": 0, "4.7.0": 0, "4.7.1": 1, "4.7.2": 1, "4.7.3": 0, "5.0.3": 0} {
		m := newMac(t, utmemu.Settings{Version: version, StatusBroken: true})
		got, err := m.backend.Inspect(t.Context())
		if err != nil || len(got) != found {
			t.Fatalf("%s: Inspect = %+v, %v", version, got, err)
		}
		for _, f := range got {
			if !strings.Contains(f.Text, "UTM "+version) || !strings.Contains(f.Advice, "update UTM") || f.Fix != nil || f.Root {
				t.Errorf("%s: finding %+v", version, f)
			}
		}
		if calls, _ := m.emu.Calls(); len(calls) != 1 || calls[0][0] != "defaults" {
			t.Errorf("%s: calls %q", version, calls)
		}
	}
	for want, s := range map[error]utmemu.Settings{hypervisor.ErrToolMissing: {Absent: true}, nil: {Version: "x"}} {
		m := newMac(t, s)
		if got, err := m.backend.Inspect(t.Context()); err == nil || want != nil && !errors.Is(err, want) || got != nil {
			t.Errorf("Inspect = %v, %v; want %v", got, err, want)
		}
	}
}
