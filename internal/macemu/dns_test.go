package macemu_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// section is the first one of scutil --dns.
func section(m *mac) string {
	m.Helper()
	r := m.run("scutil --dns")
	if r.Status != 0 || len(r.Stderr) > 0 {
		m.Fatalf("scutil --dns: %+v", r)
	}
	first, _, _ := strings.Cut(string(r.Stdout), "\n\nDNS configuration (")
	return first + "\n"
}

// macos-host.md 4.2: the sheet's own example, number included.
func TestScutilDNS(t *testing.T) {
	m := newMac(t, parallels())
	m.must(m.AddRoute(prefix("10.163.0.0/24"), netip.MustParseAddr("10.211.55.130")))
	m.resolver("mpd.test", "# ours\nnameserver 10.163.0.3\n")
	const want = "\nresolver #8\n  domain   : mpd.test\n  nameserver[0] : 10.163.0.3\n  flags    : Request A records\n  reach    : 0x00000002 (Reachable)\n"
	got := section(m)
	if !strings.HasSuffix(got, want) {
		t.Errorf("%s\ndoes not end in\n%s", got, want)
	}
	if !strings.HasPrefix(got, "DNS configuration\n\nresolver #1\n  search domain[0] : lan\n  nameserver[0] : 192.168.1.1\n  if_index : 7 (en0)\n  flags    : Request A records\n") {
		t.Errorf("the network's own: %s", got)
	}
	m.must(m.Change(func(s *macemu.Settings) { s.Offline, s.Bridges = true, nil }))
	if got := section(m); got != "DNS configuration\n\nresolver #1\n  domain   : mpd.test\n  nameserver[0] : 10.163.0.3\n  flags    : Request A records\n  reach    : 0x00000000 (Not Reachable)\n\n" {
		t.Errorf("offline: %q", got)
	}
	m.must(os.Remove(filepath.Join(m.root, "etc/resolver/mpd.test")))
	m.says("scutil --dns", 1, "No DNS configuration available\n", "")
}

// The tunnel's server takes all queries: it has no domain.
func TestScutilDNSTunnel(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24")))
	m.must(m.Activate("mpd-130"))
	const want = "DNS configuration\n\nresolver #1\n  search domain[0] : mpd.test\n  nameserver[0] : 10.163.0.3\n  if_index : 38 (utun4)\n  flags    : Supplemental, Request A records\n"
	if got := section(m); !strings.HasPrefix(got, want) {
		t.Errorf("%s\ndoes not start with\n%s", got, want)
	}
	all := string(m.run("scutil --dns").Stdout)
	for _, title := range []string{"DNS configuration\n\n", "\n\nDNS configuration (for scoped queries)\n\n", "\n\nDNS configuration (for service-specific queries)\n\n"} {
		if strings.Count(all, title) != 1 {
			t.Errorf("%q is not there once:\n%s", title, all)
		}
	}
}

// macos-host.md 4.1: what a file of /etc/resolver says.
func TestResolverFiles(t *testing.T) {
	for _, tt := range []struct {
		name, file, text, want string // want "" is no resolver
	}{
		{"plain", "mpd.test", "nameserver 10.163.0.3\n", "domain   : mpd.test|nameserver[0] : 10.163.0.3"},
		{"any file counts", "mpd.test.bak", "nameserver 10.163.0.3", "domain   : mpd.test.bak|nameserver[0] : 10.163.0.3"},
		{"a domain of its own", "x", "domain mpd.test.\nnameserver 10.163.0.3", "domain   : mpd.test|nameserver[0] : 10.163.0.3"},
		{"nothing in it", "mpd.test", "# nothing\n; nothing\nnameservers 10.163.0.3\n", ""},
		{"indented", "mpd.test", "\tnameserver 10.163.0.3\n  port 53\n", ""},
		{"capitals", "mpd.test", "NameServer\t10.163.0.3", "domain   : mpd.test|nameserver[0] : 10.163.0.3"},
		{"carriage return", "mpd.test", "nameserver 10.163.0.3\r\n", "domain   : mpd.test"},
		{"comment behind is no comment", "mpd.test", "nameserver 10.163.0.3# ours\n", "domain   : mpd.test"},
		{"port", "mpd.test", "nameserver 10.163.0.3\nport 5353", "domain   : mpd.test|nameserver[0] : 10.163.0.3|port     : 5353"},
		{"port behind the address", "mpd.test", "nameserver 10.163.0.3.5353", "domain   : mpd.test|nameserver[0] : 10.163.0.3|port     : 5353"},
		{"large port", "mpd.test", "nameserver 10.163.0.3\nport 53535", "domain   : mpd.test|nameserver[0] : 10.163.0.3|port     : -12001"},
		{"four servers", "mpd.test", "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n",
			"domain   : mpd.test|nameserver[0] : 10.0.0.1|nameserver[1] : 10.0.0.2|nameserver[2] : 10.0.0.3"},
		{"more words", "mpd.test", "search a b\nnameserver 10.0.0.1\ntimeout 2\nsearch_order 1\noptions x y\n",
			"domain   : mpd.test|search domain[0] : a|search domain[1] : b|nameserver[0] : 10.0.0.1|options  : x y|timeout  : 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, macemu.Settings{})
			m.resolver(tt.file, tt.text)
			_, got, found := strings.Cut(section(m), "\nresolver #8\n")
			if !found && tt.want == "" {
				return
			}
			got, _, _ = strings.Cut(got, "  flags    : ")
			if want := "  " + strings.ReplaceAll(tt.want, "|", "\n  ") + "\n"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestResolverFilesOfOthers(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	m.resolver("secret", "nameserver 10.163.0.3\n")
	m.must(os.Chmod(filepath.Join(m.root, "etc/resolver/secret"), 0o600))
	m.must(os.Mkdir(filepath.Join(m.root, "etc/resolver/folder"), 0o755))
	if got := section(m); strings.Contains(got, "resolver #8") {
		t.Errorf("got %s", got)
	}
}

// macos-host.md 4.4, and whom a look-up asks.
func TestLookup(t *testing.T) {
	var asked []string
	answers := map[string]string{"vm.service.mpd.test": "10.211.55.130", "example.com": "192.0.2.1"}
	m := newMac(t, macemu.Settings{CachesUnknown: true, Sudo: macemu.SudoAsksNot}, func(h *macemu.Hooks) {
		h.Lookup = func(_ context.Context, name string, server netip.AddrPort) (netip.Addr, bool) {
			asked = append(asked, name+"@"+server.String())
			addr, err := netip.ParseAddr(answers[name])
			return addr, err == nil
		}
	})
	look := func(name, addr, whom string) {
		t.Helper()
		asked = nil
		want := ""
		if addr != "" {
			want = "name: " + strings.TrimSuffix(name, ".") + "\nip_address: " + addr + "\n\n"
		}
		m.says("dscacheutil -q host -a name "+name, 0, want, "")
		if got := strings.Join(asked, " "); got != whom {
			t.Errorf("%s: asked %q, want %q", name, got, whom)
		}
	}
	look("example.com.", "192.0.2.1", "example.com@192.168.1.1:53")
	look("php.mpd.test", "", "php.mpd.test@192.168.1.1:53")
	m.resolver("mpd.test", "nameserver 10.163.0.3\nport 5353\n")
	look("vm.service.mpd.test", "10.211.55.130", "vm.service.mpd.test@10.163.0.3:5353")
	look("notmpd.test", "", "notmpd.test@192.168.1.1:53")

	// What was unknown stays so, until root says otherwise.
	answers["php.mpd.test"] = "10.163.0.100"
	look("php.mpd.test", "", "")
	m.says("dscacheutil -flushcache", 0, "", "")
	look("php.mpd.test", "", "")
	m.says("sudo dscacheutil -flushcache", 0, "", "")
	look("php.mpd.test", "10.163.0.100", "php.mpd.test@10.163.0.3:5353")
	m.says("killall -HUP mDNSResponder", 1, "", "No matching processes belonging to you were found\n")
	m.says("sudo killall -HUP mDNSResponder", 0, "", "")

	// A tunnel takes all names but those of a longer domain.
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24")))
	m.must(m.Activate("mpd-130"))
	look("example.com", "192.0.2.1", "example.com@10.163.0.3:53")
	look("vm.service.mpd.test", "10.211.55.130", "vm.service.mpd.test@10.163.0.3:5353")

	m.must(os.WriteFile(filepath.Join(m.root, "etc/hosts"), []byte("10.0.0.1 x vm.service.mpd.test # F109\n"), 0o644))
	look("vm.service.mpd.test", "10.0.0.1", "")
}
