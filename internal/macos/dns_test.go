package macos

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// resolvers is the form of `scutil --dns` (configd-1405, dnsinfo_logging.h) on
// a Mac with our file, a VPN and mDNS.
const resolvers = `DNS configuration

resolver #1
  search domain[0] : lan
  nameserver[0] : 192.168.1.1
  nameserver[1] : fe80::1%en0
  if_index : 15 (en0)
  flags    : Request A records, Request AAAA records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)

resolver #2
  domain   : local
  options  : mdns
  timeout  : 5
  flags    : Request A records, Request AAAA records
  reach    : 0x00000000 (Not Reachable)
  order    : 300000

resolver #3
  domain   : Corp.Example.
  nameserver[0] : 10.9.0.1
  port     : -12345
  if_index : 22 (utun4)
  flags    : Supplemental, Request A records
  order    : 100000

resolver #8
  domain   : mpd.test
  nameserver[0] : 10.163.0.3
  flags    : Request A records
  reach    : 0x00000002 (Reachable)

DNS configuration (for scoped queries)

resolver #1
  nameserver[0] : 192.168.1.99
  if_index : 15 (en0)
  flags    : Scoped, Request A records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)
`

func TestSystemDNS(t *testing.T) {
	m, _ := says("/usr/sbin/scutil --dns", answer{out: resolvers})
	got, err := m.SystemDNS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, both := netip.MustParseAddr, []string{"Request A records", "Request AAAA records"}
	want := []Resolver{
		{Nameservers: []netip.Addr{a("192.168.1.1"), a("fe80::1%en0")}, Interface: "en0", Flags: both, Reachable: Reachable},
		{Domain: "local", Options: "mdns", Flags: both, Reachable: Unreachable},
		{Domain: "corp.example", Nameservers: []netip.Addr{a("10.9.0.1")}, Port: 53191, Interface: "utun4",
			Flags: []string{"Supplemental", "Request A records"}, Supplemental: true},
		{Domain: "mpd.test", Nameservers: []netip.Addr{nameServer}, Flags: []string{"Request A records"}, Reachable: Reachable},
	}
	if diff := cmp.Diff(want, got, addrCmp); diff != "" {
		t.Error(diff)
	}
}

func TestSystemDNSNone(t *testing.T) {
	m, _ := says("/usr/sbin/scutil --dns", answer{out: "No DNS configuration available\n", status: 1})
	if got, err := m.SystemDNS(t.Context()); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSystemDNSUnclear(t *testing.T) {
	for name, text := range map[string]string{
		"before a resolver": "DNS configuration\n  domain   : x\n",
		"a name server":     strings.Replace(resolvers, "10.163.0.3", "vm.mpd.test", 1),
		"a port":            strings.Replace(resolvers, "-12345", "70000", 1),
		"reach":             strings.Replace(resolvers, "0x00000002", "yes", 1),
		"a line":            strings.Replace(resolvers, "  options  : mdns", "hello", 1),
		"another language":  strings.Replace(resolvers, "DNS configuration\n", "DNS-Konfiguration\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := says("/usr/sbin/scutil --dns", answer{out: text})
			if got, err := m.SystemDNS(t.Context()); !errors.Is(err, ErrUnclear) || got != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestResolversFor(t *testing.T) {
	servers := []netip.Addr{nameServer}
	list := []Resolver{
		{Nameservers: servers, Interface: "first"}, {Nameservers: servers, Interface: "second"},
		{Domain: "local", Options: "mdns"},
		{Domain: "test", Nameservers: servers, Interface: "test"},
		{Domain: "mpd.test", Nameservers: servers, Interface: "file"},
		{Domain: "mpd.test", Nameservers: servers, Interface: "vpn", Supplemental: true},
	}
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"vm.service.mpd.test", []string{"file", "vpn"}},
		{"MPD.test.", []string{"file", "vpn"}},
		{"xmpd.test", []string{"test"}},
		{"example.org", []string{"first", "second"}},
		{"printer.local", []string{"first", "second"}},
	} {
		var got []string
		for _, r := range ResolversFor(list, tt.name) {
			got = append(got, r.Interface)
		}
		if !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := ResolversFor(nil, "x"); got != nil {
		t.Errorf("of none: %v", got)
	}
}

func FuzzSystemDNS(f *testing.F) {
	f.Add(resolvers)
	f.Add("DNS configuration\nresolver #1\n  flags : \x1b[2J, b\n  domain : " + rude)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseDNS(text)
		if err != nil && list != nil {
			t.Errorf("%v beside %v", list, err)
		}
		for _, r := range list {
			harmless(t, r.Domain+r.Options+r.Interface+strings.Join(r.Flags, ""))
			for _, a := range r.Nameservers {
				if !a.IsValid() {
					t.Errorf("%+v", r)
				}
				harmless(t, a.String())
			}
		}
	})
}
