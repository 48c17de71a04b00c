package parallels

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

func TestNetwork(t *testing.T) {
	good := fixture(t, "network.json")
	change := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(good) }
	for _, tc := range []struct {
		name, out string
		want      Problem // "": none
		unread    bool
	}{
		{"as it must be", good, "", false},
		{"old release", fixture(t, "network-old.json"), "", false},
		{"as installed", fixture(t, "network-default.json"), DHCPRange, false},
		{"a line before", "This feature is not available. \n" + good, "", false},
		{"the Mac is not connected", fixture(t, "network-unconnected.json"), NotConnected, false},
		{"another subnet", strings.ReplaceAll(good, "10.211.55.", "10.37.129."), OtherSubnet, false},
		{"a larger subnet", change("255.255.255.0", "255.255.0.0"), OtherSubnet, false},
		{"no DHCP", change(`"DHCPv4 server"`, `"DHCPv6 server"`), DHCPOff, false},
		{"DHCP left over from another subnet", change("10.211.55.1\"", "10.37.129.1\"", "10.211.55.99", "10.37.129.254"), DHCPOff, false},
		{"range ends at 100", change("10.211.55.99", "10.211.55.100"), DHCPRange, false},
		{"range inside", change(`start address": "10.211.55.1"`, `start address": "10.211.55.120"`, "10.211.55.99", "10.211.55.130"), DHCPRange, false},
		{"range begins at 254", change(`start address": "10.211.55.1"`, `start address": "10.211.55.254"`, "10.211.55.99", "10.211.55.254"), DHCPRange, false},
		{"range behind", change(`start address": "10.211.55.1"`, `start address": "10.211.55.255"`, "10.211.55.99", "10.211.55.255"), "", false},
		{"empty", "", "", true},
		{"nothing in it", "{\n\n}", "", true},
		{"cut", good[:len(good)-20], "", true},
		{"the start is lost", good[100:], "", true},
		{"no address", change("10.211.55.2", "auto"), "", true},
		{"IPv6 for IPv4", change("10.211.55.2", "fe80::1"), "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := backend(t, call{argv: "prlsrvctl net info Shared -j", stdout: tc.out})
			found, err := b.Findings(t.Context())
			if (err != nil) != tc.unread {
				t.Fatalf("Findings = %v, %v", found, err)
			}
			var got Problem
			if len(found) > 0 {
				got = found[0].Problem
			}
			if got != tc.want || len(found) > 1 {
				t.Errorf("Findings = %v, want %q", found, tc.want)
			}
			for _, f := range found {
				if !errors.Is(f, hypervisor.ErrNetwork) || f.Advice == "" || f.Detail == "" {
					t.Errorf("finding %#v", f)
				}
			}
		})
	}
}

func TestFindingsHaveFixes(t *testing.T) {
	b := backend(t, call{argv: "prlsrvctl net info Shared -j", stdout: fixture(t, "network-default.json")})
	found, err := b.Findings(t.Context())
	if err != nil || len(found) != 1 || !slices.Equal(found[0].Fix, argvScope()) || !found[0].Root {
		t.Fatalf("Findings = %+v, %v", found, err)
	}
	if h := hint.Of(found[0].hinted()); !strings.HasPrefix(h, "sudo prlsrvctl net set Shared --ip-scope-start 10.211.55.1 --ip-scope-end 10.211.55.99 ") {
		t.Errorf("hint %q", h)
	}
}

// Availability: each cause is an error of its own, with a next step.
func TestAvailable(t *testing.T) {
	version := call{argv: "prlctl --version", stdout: "prlctl version 26.4.1 (57516)\n"}
	license := func(c call) call { c.argv = "prlsrvctl info --license --json"; return c }
	network := func(c call) call { c.argv = "prlsrvctl net info Shared -j"; return c }
	pro := license(call{stdout: fixture(t, "license-pro.json")})
	good := network(call{stdout: fixture(t, "network.json")})
	const edition = "This feature is not available in this edition of Parallels Desktop. "
	for _, tc := range []struct {
		name  string
		calls []call
		want  error // nil: available
		plain bool  // an error that is none of the sentinels
	}{
		{"all is well", []call{version, pro, good}, nil, false},
		{"the DHCP range as installed", []call{version, pro, network(call{stdout: fixture(t, "network-default.json")})}, nil, false},
		{"no prlctl", []call{{argv: "prlctl --version", err: hypervisor.ErrToolMissing}}, hypervisor.ErrToolMissing, false},
		{"prlctl is something else", []call{{argv: "prlctl --version", stdout: "hello\n"}}, nil, true},
		{"prlctl fails", []call{{argv: "prlctl --version", status: 1}}, nil, true},
		{"no prlsrvctl", []call{version, license(call{err: hypervisor.ErrToolMissing})}, hypervisor.ErrToolMissing, false},
		{"service down", []call{version, license(call{stderr: saysDown, status: 253})}, hypervisor.ErrService, false},
		{"service down, no text", []call{version, license(call{status: 253})}, hypervisor.ErrService, false},
		{"Standard edition", []call{version, license(call{stdout: fixture(t, "license-standard.json")})}, hypervisor.ErrLicense, false},
		{"Standard edition, refused", []call{version, license(call{stdout: edition, status: 255})}, hypervisor.ErrLicense, false},
		{"expired", []call{version, license(call{stdout: strings.Replace(pro.stdout, "ACTIVE", "EXPIRED", 1)})}, hypervisor.ErrLicense, false},
		{"no licence", []call{version, license(call{stdout: fixture(t, "license-none.json")})}, hypervisor.ErrLicense, false},
		{"no licence, in words", []call{version, license(call{stdout: "Searching for installed licenses...\nNo licenses installed.\n"})}, hypervisor.ErrLicense, false},
		{"unknown words of a licence", []call{version, license(call{stdout: `{"status":"GRACE","edition":"home"}`}), good}, nil, false},
		{"a notice before a good licence", []call{version, license(call{stdout: edition + "\n" + pro.stdout}), good}, nil, false},
		{"the licence cannot be read", []call{version, license(call{stdout: "?"}), good}, nil, false},
		{"the licence is refused", []call{version, license(call{stderr: saysOther, status: 255}), good}, nil, false},
		{"no such network", []call{version, pro, network(call{stderr: "The network Shared could not be found.", status: 255})}, hypervisor.ErrNetwork, false},
		{"the Mac is not connected", []call{version, pro, network(call{stdout: fixture(t, "network-unconnected.json")})}, hypervisor.ErrNetwork, false},
		{"the service goes down meanwhile", []call{version, pro, network(call{stderr: saysDown, status: 253})}, hypervisor.ErrService, false},
		{"the network cannot be read", []call{version, pro, network(call{stdout: "?"})}, nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := backend(t, tc.calls...).Available(t.Context())
			if (err != nil) != (tc.want != nil || tc.plain) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Fatalf("Available = %v, want %v", err, tc.want)
			}
			if tc.want != nil && hint.Of(err) == "" {
				t.Errorf("%v has no hint", err)
			}
			for _, sentinel := range []error{hypervisor.ErrToolMissing, hypervisor.ErrService, hypervisor.ErrLicense, hypervisor.ErrNetwork, hypervisor.ErrNoMachine} {
				if sentinel != tc.want && errors.Is(err, sentinel) {
					t.Errorf("%v is %v, too", err, sentinel)
				}
			}
		})
	}
}

func TestLicenseErrorIsTyped(t *testing.T) {
	b := backend(t, call{argv: "prlctl --version", stdout: "prlctl version 26.4.1 (57516)\n"},
		call{argv: "prlsrvctl info --license --json", stdout: fixture(t, "license-standard.json")})
	var l *LicenseError
	if err := b.Available(t.Context()); !errors.As(err, &l) || l.Edition != "standard" || l.Status != "ACTIVE" {
		t.Errorf("Available = %v, license %+v", err, l)
	}
}
