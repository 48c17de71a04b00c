package macos

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// routeAnswer is `route -n get` (captures of macOS 26.6.2), the lines in the
// middle given.
func routeAnswer(lines ...string) string {
	return "   route to: 10.163.0.3\n" + join(lines...) +
		" recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire\n" +
		"       0         0         0         0         0         0      1500       -17 \n"
}

var (
	addrCmp = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	netCmp  = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
)

// F106, the route's part: which way packets to 10.163.0.3 take.
func TestRouteTo(t *testing.T) {
	net24 := netip.MustParsePrefix("10.163.0.0/24")
	for _, tt := range []struct {
		name           string
		a              answer
		want           Route
		onLink, tunnel bool
	}{
		{"by way of the VM", answer{out: routeAnswer("destination: 10.163.0.0", "       mask: 255.255.255.0", "    gateway: 10.211.55.130",
			"  interface: bridge100", "      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING>")},
			Route{Dest: net24, Gateway: netip.MustParseAddr("10.211.55.130"), Interface: "bridge100", Static: true}, false, false},
		{"through WireGuard", answer{out: routeAnswer("destination: 10.163.0.0", "       mask: 255.255.255.0",
			"  interface: utun4", "      flags: <UP,DONE,STATIC,PRCLONING>")},
			Route{Dest: net24, Interface: "utun4", Static: true}, false, true},
		{"not configured", answer{out: routeAnswer("destination: default", "       mask: default", "    gateway: 192.168.1.1",
			"  interface: en0", "      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>")},
			Route{Dest: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.168.1.1"), Interface: "en0", Default: true, Static: true}, false, false},
		{"another VPN takes everything", answer{out: routeAnswer("destination: default", "       mask: default",
			"  interface: utun7", "      flags: <UP,DONE,CLONING,STATIC,GLOBAL>")},
			Route{Dest: netip.MustParsePrefix("0.0.0.0/0"), Interface: "utun7", Default: true, Static: true}, false, true},
		{"a machine next door", answer{out: routeAnswer("destination: 10.163.0.3", "  interface: bridge100",
			"      flags: <UP,HOST,DONE,LLINFO,WASCLONED,IFSCOPE,IFREF>")},
			Route{Dest: netip.MustParsePrefix("10.163.0.3/32"), Interface: "bridge100", Host: true}, true, false},
		{"next door, never contacted", answer{out: routeAnswer("destination: 10.163.0.0", "       mask: 255.255.255.0",
			"  interface: bridge100", "      flags: <UP,DONE,CLONING,STATIC>")},
			Route{Dest: net24, Interface: "bridge100", Static: true}, true, false},
		{"this Mac itself", answer{out: routeAnswer("destination: 10.163.0.3", "       mask: 255.255.255.255",
			"  interface: lo0", "      flags: <UP,HOST,DONE,LOCAL>")},
			Route{Dest: netip.MustParsePrefix("10.163.0.3/32"), Interface: "lo0", Host: true}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := says("/sbin/route -n get 10.163.0.3", tt.a)
			got, err := m.RouteTo(t.Context(), nameServer)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, addrCmp, netCmp); diff != "" {
				t.Error(diff)
			}
			if got.OnLink() != tt.onLink || got.Tunnel() != tt.tunnel {
				t.Errorf("on-link %t, tunnel %t", got.OnLink(), got.Tunnel())
			}
		})
	}
}

func TestRouteToNothing(t *testing.T) {
	good := []string{"destination: 10.163.0.0", "       mask: 255.255.255.0", "  interface: utun4", "      flags: <UP,DONE>"}
	change := func(i int, line string) string {
		lines := append([]string{}, good...)
		lines[i] = line
		return routeAnswer(lines...)
	}
	for _, tt := range []struct {
		name string
		a    answer
		want error
	}{
		{"no route, exit 0", answer{errs: "route: writing to routing socket: not in table\n"}, ErrNoRoute},
		{"another complaint", answer{errs: "route: bad address: 10.163.0.3\n", status: 68}, ErrUnclear},
		{"an answer for another address", answer{out: strings.Replace(routeAnswer(good...), "10.163.0.3", "10.163.0.4", 1)}, ErrUnclear},
		{"a destination elsewhere", answer{out: change(0, "destination: 10.164.0.0")}, ErrUnclear},
		{"a mask with holes", answer{out: change(1, "       mask: 255.0.255.0")}, ErrUnclear},
		{"a mask too short", answer{out: change(1, "       mask: 255.0.0.0")}, ErrUnclear},
		{"no flags", answer{out: change(3, "")}, ErrUnclear},
		{"no interface", answer{out: change(2, "")}, ErrUnclear},
		{"an interface to shudder at", answer{out: change(2, "  interface: \x1b[2J")}, ErrUnclear},
		{"a gateway that is none", answer{out: change(3, "      flags: <UP,GATEWAY,DONE>")}, ErrUnclear},
		{"two destinations", answer{out: change(1, "destination: 10.163.0.0")}, ErrUnclear},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := says("/sbin/route -n get 10.163.0.3", tt.a)
			got, err := m.RouteTo(t.Context(), nameServer)
			if !errors.Is(err, tt.want) || got != (Route{}) {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
			harmless(t, err.Error())
		})
	}
	if _, err := New((&script{}).run).RouteTo(t.Context(), netip.MustParseAddr("::1")); err == nil {
		t.Error("IPv6 was asked for")
	}
}

// table is netstat's on a Mac with two hypervisors and a static route.
const table = `Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.1.1        UGScg                 en0       
default            link#18            UCSIg           bridge100      !
10.163/24          10.211.55.130      UGSc            bridge100       
10.163.1/24        utun4              USc                 utun4       
10.211.55/24       link#22            UC              bridge100      !
10.211.55.130      0:1c:42:35:af:ae   UHLWI           bridge100   1177
127                127.0.0.1          UCS                   lo0       
127.0.0.1          127.0.0.1          UH                    lo0       
169.254            link#7             UCS                   en0      !
192.168.64         link#23            UC              bridge101      !
224.0.0/4          link#7             UmCS                  en0      !

Internet6:
Destination                             Gateway                                 Flags               Netif Expire
default                                 fe80::%utun0                            UGcIg               utun0       
`

func TestRoutes(t *testing.T) {
	m, _ := says("/usr/sbin/netstat -rn -f inet", answer{out: table})
	got, err := m.Routes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	want := []Route{
		{Dest: p("0.0.0.0/0"), Gateway: a("192.168.1.1"), Interface: "en0", Default: true, Static: true},
		{Dest: p("10.163.0.0/24"), Gateway: a("10.211.55.130"), Interface: "bridge100", Static: true},
		{Dest: p("10.163.1.0/24"), Interface: "utun4", Static: true},
		{Dest: p("10.211.55.0/24"), Interface: "bridge100"},
		{Dest: p("127.0.0.0/8"), Interface: "lo0", Static: true},
		{Dest: p("127.0.0.1/32"), Interface: "lo0", Host: true},
		{Dest: p("169.254.0.0/16"), Interface: "en0", Static: true},
		{Dest: p("192.168.64.0/24"), Interface: "bridge101"},
		{Dest: p("224.0.0.0/4"), Interface: "en0", Static: true},
	}
	if diff := cmp.Diff(want, got, addrCmp, netCmp); diff != "" {
		t.Error(diff)
	}
}

func TestRoutesOfOlderMacOS(t *testing.T) {
	got, err := parseRoutes("Routing tables\n\nInternet:\nDestination        Gateway            Flags        Refs      Use   Netif Expire\n" +
		"10.163/24          10.211.55.130      UGSc            1        0   vnic0\n")
	if err != nil || len(got) != 1 || got[0].Interface != "vnic0" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestExpand(t *testing.T) {
	for text, want := range map[string]string{
		"default": "0.0.0.0/0", "10.163/24": "10.163.0.0/24", "10.163.1/24": "10.163.1.0/24", "10.211.55/24": "10.211.55.0/24",
		"192.168.64": "192.168.64.0/24", "10": "10.0.0.0/8", "0/1": "0.0.0.0/1", "128.0/1": "128.0.0.0/1", "100.64/10": "100.64.0.0/10",
		"10.163.0.3": "10.163.0.3/32", "169.254": "169.254.0.0/16", "172.16": "172.16.0.0/16", "224.0.0": "224.0.0.0/4",
		"255.255.255.255/32": "255.255.255.255/32", "10.164/30": "10.164.0.0/30",
	} {
		if got, err := expand(text); err != nil || got.String() != want {
			t.Errorf("expand(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "10.163.0/8", "10.1.1.1.1", "10.163/33", "10.163/-1", "10.163/+24", "10.163/024", "10..1", "010.163/24",
		"256", "240", "fe80::", "10.163/", "/24", "10.163/24/24", "192.168.64.1/24"} {
		if got, err := expand(text); err == nil || got.IsValid() {
			t.Errorf("expand(%q) = %v", text, got)
		}
	}
}

func TestRoutesUnclear(t *testing.T) {
	for name, text := range map[string]string{
		"no table": "Routing tables\n", "no columns": "Internet:\n", "other columns": "Internet:\nZiel Gateway Flags Netif\n",
		"a short row":     strings.Replace(table, "UCS                   lo0", "UCS", 1),
		"no destination":  strings.Replace(table, "10.163/24 ", "10.163/99 ", 1),
		"a gateway":       strings.Replace(table, "10.211.55.130      UGSc", "hello              UGSc", 1),
		"an interface":    strings.Replace(table, "UCS                   lo0", "UCS                   \x1b[2J", 1),
		"another address": strings.Replace(table, "10.211.55.130      UGSc", "::1                UGSc", 1),
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := says("/usr/sbin/netstat -rn -f inet", answer{out: text})
			got, err := m.Routes(t.Context())
			if !errors.Is(err, ErrUnclear) || got != nil {
				t.Fatalf("%v, %v", got, err)
			}
			harmless(t, err.Error())
		})
	}
}

func TestDeleteRouteCommand(t *testing.T) {
	dest := netip.MustParsePrefix("10.163.0.3/24")
	c := DeleteRouteCommand(dest, netip.MustParseAddr("10.211.55.130"))
	if got, want := c.String(), "sudo /sbin/route -n delete -net 10.163.0.0/24 10.211.55.130"; got != want || c.Dialog {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := DeleteRouteCommand(dest, netip.Addr{}).String(), "sudo /sbin/route -n delete -net 10.163.0.0/24"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A route that is believed holds the address that was asked for.
func FuzzRouteTo(f *testing.F) {
	f.Add(routeAnswer("destination: 10.163.0.0", "       mask: 255.255.255.0", "  interface: utun4", "      flags: <UP,DONE,STATIC,PRCLONING>"))
	f.Add(routeAnswer("destination: default", "       mask: default", "    gateway: 192.168.1.1", "  interface: en0", "      flags: <UP,GATEWAY>"))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRoute(nameServer, text)
		if err != nil {
			if r != (Route{}) {
				t.Errorf("%v beside %v", r, err)
			}
			return
		}
		if !r.Dest.Contains(nameServer) || r.Dest != r.Dest.Masked() || r.Interface == "" || r.Default != (r.Dest.Bits() == 0) {
			t.Errorf("%+v", r)
		}
		harmless(t, r.Interface)
	})
}

func FuzzRoutes(f *testing.F) {
	f.Add(table)
	f.Add("Internet:\nDestination Gateway Flags Netif\n0/1 1.2.3.4 UG x\n")
	f.Fuzz(func(t *testing.T, text string) {
		routes, err := parseRoutes(text)
		if err != nil && routes != nil {
			t.Errorf("%v beside %v", routes, err)
		}
		for _, r := range routes {
			if !r.Dest.Addr().Is4() || r.Dest != r.Dest.Masked() || r.Interface == "" {
				t.Errorf("%+v", r)
			}
			harmless(t, r.Interface)
		}
	})
}

// The short form of every network is read back as the network.
func FuzzExpand(f *testing.F) {
	f.Add(uint32(0x0aa30000), 24)
	f.Add(uint32(0xc0a84000), 24)
	f.Fuzz(func(t *testing.T, n uint32, bits int) {
		p, err := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).Prefix(bits)
		if err != nil {
			return
		}
		if got, err := expand(p.String()); err != nil || got != p {
			t.Errorf("expand(%v) = %v, %v", p, got, err)
		}
		short, length, _ := strings.Cut(p.String(), "/")
		for strings.HasSuffix(short, ".0") {
			short = strings.TrimSuffix(short, ".0")
			if got, err := expand(short + "/" + length); err != nil || got != p {
				t.Errorf("expand(%s/%s) = %v, %v", short, length, got, err)
			}
		}
	})
}
