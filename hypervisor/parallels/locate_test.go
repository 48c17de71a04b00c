package parallels

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// detailOf is the long form of the VM u150 with the given changes.
func detailOf(t *testing.T, pairs ...string) call {
	t.Helper()
	return call{argv: "prlctl list " + u150 + " -a -i -j", stdout: strings.NewReplacer(pairs...).Replace(fixture(t, "detail-running.json"))}
}

func TestLocate(t *testing.T) {
	const octet = hypervisor.Octet(150)
	stopped, running := u150+" stopped - mpd-150", u150+" running - mpd-150"
	at37 := netip.MustParseAddr("10.211.55.37")
	leases := fixture(t, "leases.txt")
	for _, tc := range []struct {
		name  string
		query hypervisor.Query
		calls []call
		lease string
		uuid  string
		addr  string
		err   error
		says  string // in the error
	}{
		{"by name, one process", hypervisor.Query{Octet: octet}, []call{list(u151+" running - mpd-151", stopped)}, "", u150, "", nil, ""},
		{"by name, running", hypervisor.Query{Octet: octet}, []call{list(running), detailOf(t)}, "", u150, "10.211.55.130", nil, ""},
		{"the canonical address first", hypervisor.Query{Octet: octet}, []call{list(running),
			detailOf(t, `"ipAddresses":[`, `"ipAddresses":[{"type":"ipv4","ip":"10.211.55.37"},{"type":"ipv4","ip":"10.211.55.150"},`)}, "", u150, "10.211.55.150", nil, ""},
		{"no Tools: the lease", hypervisor.Query{Octet: octet}, []call{list(running), detailOf(t, "10.211.55.130", "fe80::1")}, leases, u150, "10.211.55.37", nil, ""},
		{"no Tools, no lease", hypervisor.Query{Octet: octet}, []call{list(running), detailOf(t, "10.211.55.130", "169.254.1.1")}, "", u150, "", nil, ""},
		{"stopped meanwhile", hypervisor.Query{Octet: octet}, []call{list(running), detailOf(t, `"running"`, `"stopped"`)}, leases, u150, "", nil, ""},
		{"old release", hypervisor.Query{Octet: octet}, []call{list(running),
			{argv: "prlctl list " + u150 + " -a -i -j", stdout: fixture(t, "detail-16.json")},
			{argv: "prlctl list " + u150 + " -a -f -j", stdout: brief(u150 + " running 10.211.55.37 mpd-150")}}, "", u150, "10.211.55.37", nil, ""},
		{"by UUID in braces", hypervisor.Query{Octet: octet, UUID: "{" + strings.ToUpper(u150) + "}"}, []call{list(u150+" stopped - precious", u151+" stopped - mpd-150")}, "", u150, "", nil, ""},
		{"UUID gone", hypervisor.Query{Octet: octet, UUID: u150}, []call{list(u151 + " stopped - mpd-151")}, "", "", "", hypervisor.ErrNoMachine, u150},
		{"UUID gone, another has the name", hypervisor.Query{Octet: octet, UUID: u150}, []call{list(u151 + " stopped - mpd-150")}, "", "", "", hypervisor.ErrDrift, u151},
		{"by address", hypervisor.Query{Octet: octet, Addr: at37}, []call{full(u150+" running fe80::1,10.211.55.37 Debian", u151+" running 10.211.55.38 b")}, "", u150, "10.211.55.37", nil, ""},
		{"a name before the address", hypervisor.Query{Octet: octet, Addr: at37}, []call{full(u151+" running 10.211.55.37 b", u150+" running 10.211.55.40 mpd-150")}, "", u150, "10.211.55.40", nil, ""},
		{"an old address of a stopped VM", hypervisor.Query{Octet: octet, Addr: at37}, []call{full(u150 + " stopped 10.211.55.37 Debian")}, "", "", "", hypervisor.ErrNoMachine, ""},
		{"two at the address", hypervisor.Query{Octet: octet, Addr: at37}, []call{full(u150+" running 10.211.55.37 a", u151+" running 10.211.55.37 b")}, "", "", "", hypervisor.ErrAmbiguous, u151},
		{"F59: two of the name", hypervisor.Query{Octet: octet}, []call{list(stopped, u151+" running - mpd-150")}, "", "", "", hypervisor.ErrAmbiguous, u151},
		{"other letters", hypervisor.Query{Octet: octet}, []call{list(u150 + " stopped - MPD-150")}, "", "", "", hypervisor.ErrNoMachine, "other letters"},
		{"F54: no output", hypervisor.Query{Octet: octet}, []call{{argv: "prlctl list -a -j"}}, "", "", "", nil, "cannot be read"},
		{"F54: status 1 with a good answer", hypervisor.Query{Octet: octet}, []call{{argv: "prlctl list -a -j", stdout: brief(stopped), status: 1}}, "", "", "", nil, "exit status 1"},
		{"the service is down", hypervisor.Query{Octet: octet}, []call{{argv: "prlctl list -a -j", stderr: saysDown, status: 253}}, "", "", "", hypervisor.ErrService, ""},
		{"gone while it was looked at", hypervisor.Query{Octet: octet}, []call{list(running), {argv: "prlctl list " + u150 + " -a -i -j", stderr: saysUnknown, status: 255}}, "", "", "", hypervisor.ErrNoMachine, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := backend(t, tc.calls...)
			b.leases = filepath.Join(t.TempDir(), "leases")
			if err := os.WriteFile(b.leases, []byte(tc.lease), 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := b.Locate(t.Context(), tc.query)
			if tc.uuid == "" {
				if err == nil || m != (hypervisor.Machine{}) || tc.err != nil && !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("Locate = %+v, %v; want %v that says %q", m, err, tc.err, tc.says)
				}
				if tc.err == nil && errors.Is(err, hypervisor.ErrNoMachine) {
					t.Errorf("a tool that told nothing is ErrNoMachine: %v", err)
				}
				return
			}
			if err != nil || m.UUID != tc.uuid || m.Addr.IsValid() != (tc.addr != "") || tc.addr != "" && m.Addr.String() != tc.addr {
				t.Errorf("Locate = %+v, %v; want %s at %q", m, err, tc.uuid, tc.addr)
			}
		})
	}
}
