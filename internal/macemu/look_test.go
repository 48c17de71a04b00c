package macemu_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// macos-host.md 6: who is an administrator is a group.
func TestID(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		set        macemu.Settings
		admin      bool
	}{
		{"an administrator", "/usr/bin/id -Gn", macemu.Settings{Sudo: macemu.SudoWrong}, true},
		{"somebody else", "/usr/bin/id -Gn", macemu.Settings{Sudo: macemu.SudoNotAllowed}, false},
		{"root", "sudo id -Gn", macemu.Settings{Sudo: macemu.SudoAsksNot}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newMac(t, tt.set).run(tt.line)
			if groups := strings.Fields(string(r.Stdout)); r.Status != 0 || slices.Contains(groups, "admin") != tt.admin || len(groups) < 2 {
				t.Errorf("status %d, %q", r.Status, groups)
			}
		})
	}
	newMac(t, macemu.Settings{}).says("id -u", 64, "", "macemu: not played: id -u\n")
}

// A bridge that is not there keeps its number.
func TestBridgeNumber(t *testing.T) {
	m := newMac(t, macemu.Settings{Bridges: []netip.Prefix{{}, prefix("10.211.55.2/24")}})
	m.says("ifconfig bridge100", 1, "", "ifconfig: interface bridge100 does not exist\n")
	if got := string(m.run("ifconfig bridge101").Stdout); !strings.Contains(got, "\tinet 10.211.55.2 ") {
		t.Errorf("bridge101: %s", got)
	}
	if got := string(m.run("netstat -rn -f inet").Stdout); strings.Contains(got, "bridge100") || !strings.Contains(got, "bridge101") {
		t.Errorf("the routes: %s", got)
	}
}

func TestWayTo(t *testing.T) {
	m := newMac(t, parallels())
	container, vm := netip.MustParseAddr("10.163.0.3"), netip.MustParseAddr("10.211.55.130")
	way := func(to netip.Addr, want macemu.Way) {
		t.Helper()
		if got, err := m.WayTo(to); err != nil || got != want {
			t.Errorf("to %v: %+v, %v, want %+v", to, got, err, want)
		}
	}
	way(container, macemu.Way{Iface: "en0", Gateway: netip.MustParseAddr("192.168.1.1")})
	way(vm, macemu.Way{Iface: "bridge100", OnLink: true})
	way(netip.MustParseAddr("10.211.55.2"), macemu.Way{Iface: "lo0", OnLink: true})
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24")))
	if _, _, up, err := m.Active(); up || err != nil {
		t.Errorf("a tunnel is up: %v", err)
	}
	m.must(m.Activate("mpd-130"))
	if tunnel, c, up, err := m.Active(); !up || err != nil || tunnel.Name != "mpd-130" || len(c.Peers) != 1 {
		t.Errorf("the tunnel: %t, %v", up, err)
	}
	way(container, macemu.Way{Iface: "utun4", Tunnel: true})
	m.must(m.AddRoute(prefix("10.163.0.3/32"), vm))
	way(container, macemu.Way{Iface: "bridge100", Gateway: vm})
	m.must(m.Change(func(s *macemu.Settings) { s.Offline, s.Bridges = true, nil }))
	way(netip.MustParseAddr("192.168.1.1"), macemu.Way{})
}

// What programs learn of a name is what dscacheutil tells.
func TestProgramsLookup(t *testing.T) {
	vm := netip.MustParseAddr("10.211.55.130")
	silent := false
	m := newMac(t, macemu.Settings{CachesUnknown: true, Sudo: macemu.SudoAsksNot}, func(h *macemu.Hooks) {
		h.Lookup = func(ctx context.Context, name string, server netip.AddrPort) (netip.Addr, bool) {
			if silent {
				<-ctx.Done()
			}
			return vm, name == "vm.service.mpd.test" && server.Addr() == netip.MustParseAddr("10.163.0.3")
		}
	})
	lookup := func(name string, want bool) {
		t.Helper()
		if addr, found, err := m.Lookup(t.Context(), name); err != nil || found != want || found && addr != vm {
			t.Errorf("%s: %v, %t, %v", name, addr, found, err)
		}
	}
	lookup("vm.service.mpd.test", false)
	m.resolver("mpd.test", "nameserver 10.163.0.3\n")
	lookup("VM.service.mpd.test.", false) // remembered
	m.run("sudo dscacheutil -flushcache")
	lookup("VM.service.mpd.test.", true)
	silent = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, found, err := m.Lookup(ctx, "other.mpd.test"); found || !errors.Is(err, context.Canceled) {
		t.Errorf("silence: %t, %v", found, err)
	}
}
