package macos

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

const interfaces = `lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
	options=1203<RXCSUM,TXCSUM,TXSTATUS,SW_TIMESTAMP>
	inet 127.0.0.1 netmask 0xff000000
	inet6 ::1 prefixlen 128 
utun0: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1500
	inet6 fe80::f2%utun0 prefixlen 64 scopeid 0xf 
	nd6 options=201<PERFORMNUD,DAD>
bridge100: flags=8a63<UP,BROADCAST,SMART,RUNNING,ALLMULTI,SIMPLEX,MULTICAST> mtu 1500
	ether 1e:00:da:00:00:64
	inet 10.211.55.2 netmask 0xffffff00 broadcast 10.211.55.255
	member: vmenet0 flags=3<LEARNING,DISCOVER>
utun4: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1420
	inet 10.164.0.1 --> 10.164.0.1 netmask 0xfffffffc
	inet 10.164.0.1 --> 10.164.0.1 netmask 0xfffffffc
`

func TestWithAddr(t *testing.T) {
	for _, tt := range []struct {
		name, addr, want string
	}{
		{"tunnel", "10.164.0.1", "utun4"},
		{"bridge", "10.211.55.2", "bridge100"},
		{"nobody", "10.164.0.2", ""},
		{"only part of an address", "10.164.0.10", ""},
		{"a broadcast address is nobody's", "10.211.55.255", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := says("/sbin/ifconfig -a", answer{out: interfaces})
			got, ok, err := m.WithAddr(t.Context(), netip.MustParseAddr(tt.addr))
			if err != nil || got != tt.want || ok != (tt.want != "") {
				t.Errorf("%q, %t, %v; want %q", got, ok, err, tt.want)
			}
		})
	}
}

func TestWithAddrUnclear(t *testing.T) {
	for name, text := range map[string]string{
		"two have it":         interfaces + "utun5: flags=8051<UP> mtu 1420\n\tinet 10.164.0.1 --> 10.164.0.1 netmask 0xfffffffc\n",
		"an address alone":    "\tinet 10.164.0.1 netmask 0xff\n",
		"no address":          interfaces + "\tinet 10.164.0.300 netmask 0xff\n",
		"no interface's name": "ut\x1bun: flags=1<UP>\n",
		"interface not found": "ifconfig: interface utun9 does not exist\n",
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := says("/sbin/ifconfig -a", answer{out: text})
			got, ok, err := m.WithAddr(t.Context(), macEnd)
			if !errors.Is(err, ErrUnclear) || ok || got != "" {
				t.Fatalf("%q, %t, %v", got, ok, err)
			}
			harmless(t, err.Error())
		})
	}
}

func FuzzInterfaces(f *testing.F) {
	f.Add(interfaces)
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseInterfaces(text, macEnd)
		if err != nil && found != nil {
			t.Errorf("%v beside %v", found, err)
		}
		if slices.ContainsFunc(found, func(s string) bool { return !interfaceName.MatchString(s) }) {
			t.Errorf("found %q", found)
		}
	})
}
