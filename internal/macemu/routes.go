package macemu

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// static is a route that somebody added.
type static struct {
	Dst     netip.Prefix
	Gateway netip.Addr // invalid is Iface itself
	Iface   string
	Scoped  bool // only for what is bound to Iface
	Host    bool
}

// route is one line of the routing table.
type route struct {
	dst     netip.Prefix // with the bits of the host, if somebody wrote them
	host    bool
	gateway netip.Addr // as route tells it; invalid is none
	via     string     // as netstat tells it
	letters string
	words   string
	iface   string
	expire  int
	expires string // as netstat tells it
	mtu     int
	onLink  bool
	tunnel  bool
}

// wins says whether a route is taken before another one for the same address: a
// longer one first, then what somebody added, then a tunnel's. C, the last A
func (r route) wins(o route) bool {
	rank := func(r route) int {
		switch {
		case r.tunnel:
			return 1
		case strings.Contains(r.words, "STATIC") && !r.onLink && r.dst.Bits() > 0:
			return 2
		}
		return 0
	}
	if r.dst.Bits() != o.dst.Bits() {
		return r.dst.Bits() > o.dst.Bits()
	}
	return rank(r) > rank(o)
}

// AddRoute adds a static route through a gateway, as root did some time before.
// It is an error if the gateway is in no network of the Mac.
func (e *Emulator) AddRoute(dst netip.Prefix, gateway netip.Addr) error {
	return e.tx(func(st *state, _ time.Time) error {
		via, ok := st.onLink(gateway)
		if !ok {
			return fmt.Errorf("macemu: route %s: gateway %s: network is unreachable", dst, gateway)
		}
		if st.taken(dst) {
			return fmt.Errorf("macemu: route %s: %w", dst, fs.ErrExist)
		}
		st.Routes = append(st.Routes, static{Dst: dst, Gateway: gateway, Iface: via.name})
		return nil
	})
}

// StaticRoutes are the networks of the static routes.
func (e *Emulator) StaticRoutes() (out []netip.Prefix, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		st.dropRoutes()
		for _, r := range st.Routes {
			out = append(out, r.Dst)
		}
		return nil
	})
	return out, err
}

// Way is where packets to an address go: through an interface, to a gateway, or
// to the address itself if that is the zero Addr. The zero Way is nowhere.
type Way struct {
	Iface   string
	Gateway netip.Addr
	OnLink  bool // the address is in a network of the interface
	Tunnel  bool // the interface is the active tunnel's
}

// WayTo is the way of packets from a program that is bound to no interface.
func (e *Emulator) WayTo(addr netip.Addr) (w Way, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		if r, ok := st.lookup(addr, ""); ok {
			w = Way{Iface: r.iface, Gateway: r.gateway, OnLink: r.onLink, Tunnel: r.tunnel}
		}
		return nil
	})
	return w, err
}

// dropRoutes forgets the static routes whose interface has gone. C
func (st *state) dropRoutes() {
	st.Routes = slices.DeleteFunc(st.Routes, func(r static) bool {
		i, ok := st.byName(r.Iface)
		return !ok || r.Gateway.IsValid() && !(i.addr.IsValid() && i.addr.Contains(r.Gateway))
	})
}

// table are all IPv4 routes, in the order of netstat.
func (st *state) table() []route {
	st.dropRoutes()
	out := slices.Concat(st.linkRoutes(), st.staticRoutes(), st.tunnelRoutes())
	slices.SortStableFunc(out, func(a, b route) int {
		if c := a.dst.Addr().Compare(b.dst.Addr()); c != 0 {
			return c
		}
		return a.dst.Bits() - b.dst.Bits()
	})
	return out
}

// linkRoutes are those that the interfaces bring. C
func (st *state) linkRoutes() (out []route) {
	for _, i := range st.interfaces() {
		switch {
		case i.name == "lo0":
			out = append(out, route{
				dst: i.addr.Masked(), gateway: i.addr.Addr(), via: i.addr.Addr().String(), letters: "UCS", words: "UP,GATEWAY,DONE,STATIC", iface: i.name, mtu: i.mtu,
			}, own(i, i.addr.Addr(), "UH"))
		case i.point || !i.addr.IsValid():
		default:
			letters := "UC"
			if i.name == "en0" {
				letters = "UCS"
			}
			out = append(out, link(i, i.addr.Masked(), letters), own(i, i.addr.Addr(), "UHLWIir"))
		}
		if i.name == "en0" && i.addr.IsValid() {
			out = append(out, link(i, netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16), "UCS"),
				link(i, netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4), "UmCS"), st.defaultRoute())
		}
	}
	for _, n := range st.Settings.Neighbours {
		if i, ok := st.onLink(n.Addr); ok {
			out = append(out, route{
				dst: netip.PrefixFrom(n.Addr, 32), host: true, via: shortMAC(n.MAC), letters: "UHLWI", words: "UP,HOST,DONE,LLINFO,WASCLONED,IFSCOPE,IFREF",
				iface: i.name, mtu: i.mtu, expire: 1177, expires: "1177", onLink: true,
			})
		}
	}
	return out
}

func (st *state) defaultRoute() route {
	router := st.Settings.router()
	return route{
		dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), gateway: router, via: router.String(), letters: "UGScg",
		words: "UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL", iface: "en0", mtu: 1500,
	}
}

// link is the network of an interface. A for the negative time
func link(i netif, dst netip.Prefix, letters string) route {
	return route{
		dst: dst, via: fmt.Sprintf("link#%d", i.index), letters: letters, words: "UP,DONE,CLONING,STATIC", iface: i.name, mtu: i.mtu,
		expire: -1, expires: "!", onLink: true,
	}
}

// own is an address of the Mac itself. C
func own(i netif, addr netip.Addr, letters string) route {
	r := route{dst: netip.PrefixFrom(addr, 32), host: true, via: addr.String(), letters: letters, words: "UP,HOST,DONE,LOCAL", iface: "lo0", mtu: 16384, onLink: true}
	if i.mac != "" {
		r.via = shortMAC(i.mac)
	}
	return r
}

func (st *state) staticRoutes() (out []route) {
	for _, s := range st.Routes {
		i, _ := st.byName(s.Iface)
		r := route{
			dst: s.Dst, host: s.Host, gateway: s.Gateway, via: s.Gateway.String(), letters: "UGSc", words: "UP,GATEWAY,DONE,STATIC,PRCLONING", iface: i.name, mtu: i.mtu,
		}
		if !s.Gateway.IsValid() {
			r.via, r.letters, r.words = s.Iface, "USc", "UP,DONE,STATIC,PRCLONING"
		}
		if s.Host {
			r.letters, r.words = r.letters[:len(r.letters)-2]+"HS", strings.Replace(r.words, ",DONE", ",HOST,DONE", 1)
		}
		if s.Scoped {
			r.letters, r.words = r.letters+"I", r.words+",IFSCOPE"
		}
		out = append(out, r)
	}
	return out
}

// tunnelRoutes are those of the tunnel that is up: one for each AllowedIPs and one
// for the network of its address, as they are written. C. One that is there
// already is only for what is bound to the tunnel. A
func (st *state) tunnelRoutes() (out []route) {
	t, conf := st.active()
	if t == nil {
		return nil
	}
	i := st.tunnelInterface(t, conf)
	add := func(dst netip.Prefix) {
		same := func(r route) bool { return r.dst == dst }
		if !dst.Addr().Is4() || slices.Contains(t.Lost, dst) || slices.ContainsFunc(out, same) {
			return
		}
		r := route{dst: dst, via: i.name, letters: "USc", words: "UP,DONE,STATIC,PRCLONING", iface: i.name, mtu: i.mtu, tunnel: true}
		if slices.ContainsFunc(st.Routes, func(s static) bool { return s.Dst == dst && !s.Scoped }) {
			r.letters, r.words = "UScI", r.words+",IFSCOPE"
		}
		out = append(out, r)
	}
	for _, a := range conf.Address {
		add(a.Masked())
	}
	for _, p := range conf.Peers {
		for _, a := range p.AllowedIPs {
			add(a)
		}
	}
	return out
}

// lookup is the route of an address; scope, if not "", is the interface that a
// program is bound to.
func (st *state) lookup(addr netip.Addr, scope string) (best route, ok bool) {
	if !addr.Is4() {
		return route{}, false
	}
	for _, r := range st.table() {
		p, err := addr.Prefix(r.dst.Bits())
		bound := strings.Contains(r.words, "IFSCOPE") && !r.onLink
		// A destination with bits of the host never fits.
		if err != nil || p.Addr() != r.dst.Addr() || bound && scope != r.iface || scope != "" && scope != r.iface {
			continue
		}
		if !ok || r.wins(best) {
			best, ok = r, true
		}
	}
	return best, ok
}

// taken says whether a route for the same network is there, for all programs.
func (st *state) taken(dst netip.Prefix) bool {
	return slices.ContainsFunc(st.table(), func(r route) bool { return r.dst == dst && !strings.Contains(r.words, "IFSCOPE") })
}

// shortMAC is a hardware address without leading zeros. C
func shortMAC(mac string) string {
	parts := strings.Split(strings.ToLower(mac), ":")
	for i, p := range parts {
		if parts[i] = strings.TrimLeft(p, "0"); parts[i] == "" {
			parts[i] = "0"
		}
	}
	return strings.Join(parts, ":")
}
