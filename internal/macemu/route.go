package macemu

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// routeArgs are the words of a route command.
type routeArgs struct {
	verb   string
	dry    bool // -t: only try
	host   bool
	iface  bool // the gateway is an interface
	scope  string
	values []string // destination and gateway
}

// parseRoute reads the words behind route. -n is a must: without it, route asks
// name servers.
func parseRoute(args []string) (r routeArgs, ok bool) {
	numeric := false
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		switch {
		case a == "-n":
			numeric = true
		case a == "-t" && r.verb == "":
			r.dry = true
		case a == "-net" || a == "-inet":
		case a == "-host":
			r.host = true
		case a == "-interface":
			r.iface = true
		case a == "-ifscope" && len(args) > 0:
			r.scope, args = args[0], args[1:]
		case strings.HasPrefix(a, "-"):
			return r, false
		case r.verb == "":
			r.verb = a
		default:
			r.values = append(r.values, a)
		}
	}
	want := map[string][]int{"get": {1}, "add": {2}, "delete": {1, 2}}[r.verb]
	return r, numeric && slices.Contains(want, len(r.values))
}

// route tells and changes routes. Most of its failures end with status 0. C
func (c *call) route() (int, error) {
	r, ok := parseRoute(c.args)
	if !ok {
		return c.notPlayed()
	}
	if r.verb != "get" && !c.root {
		return c.say(77, "route: must be root to alter routing table")
	}
	dst, host, ok := destination(r.values[0])
	if !ok {
		return c.say(68, "route: bad address: %s", r.values[0])
	}
	r.host = r.host || host && r.verb != "get"
	switch r.verb {
	case "get":
		return c.routeGet(dst.Addr(), r.scope)
	case "add":
		return c.routeAdd(r, dst)
	}
	return c.routeDelete(r, dst)
}

// destination reads a network or an address as route does: a number with a zero
// before it is octal, and a length is not checked. C
func destination(text string) (p netip.Prefix, host, ok bool) {
	text, length, network := strings.Cut(text, "/")
	if text == "default" && !network {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), false, true
	}
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return p, false, false
	}
	var b [4]byte
	for i, part := range parts {
		base := 10
		if len(part) > 1 && part[0] == '0' {
			base = 8
		}
		n, err := strconv.ParseUint(part, base, 8)
		if err != nil {
			return p, false, false
		}
		b[i] = byte(n)
	}
	addr := netip.AddrFrom4(b)
	if !network {
		return netip.PrefixFrom(addr, 32), true, true
	}
	bits, err := strconv.ParseUint(length, 10, 8)
	if err != nil {
		return p, false, false
	}
	if bits > 32 {
		bits %= 32
	}
	return netip.PrefixFrom(addr, int(bits)).Masked(), false, true
}

// Words of the routing socket. C
const (
	noRoute     = "not in table"
	routeExists = "File exists"
	noNetwork   = "Network is unreachable"
)

// routed prints what a change came to: nothing on standard error if it was done,
// and status 0 either way. C
func (c *call) routed(line, problem string) (int, error) {
	if problem == "" {
		fmt.Fprintln(c.out, line)
		return 0, nil
	}
	fmt.Fprintf(c.out, "%s: %s\n", line, problem)
	return c.say(0, "route: writing to routing socket: %s", problem)
}

func (r routeArgs) kind() string {
	if r.host {
		return "host"
	}
	return "net"
}

func (c *call) routeAdd(r routeArgs, dst netip.Prefix) (int, error) {
	s := static{Dst: dst, Host: r.host, Scoped: r.scope != "", Iface: r.values[1]}
	if !r.iface {
		gateway, _, ok := destination(r.values[1])
		if !ok || !gateway.IsSingleIP() {
			return c.say(68, "route: bad address: %s", r.values[1])
		}
		s.Gateway = gateway.Addr()
	}
	problem, bad := "", ""
	change := func(st *state, _ time.Time, _ *emu.Later) error {
		if s.Gateway.IsValid() {
			i, ok := st.onLink(s.Gateway)
			if !ok {
				problem = noNetwork
				return nil
			}
			s.Iface = i.name
		}
		if _, ok := st.byName(s.Iface); !ok {
			bad = "route: bad address: " + s.Iface
		} else if _, ok := st.byName(r.scope); r.scope != "" && !ok {
			bad = "route: bad interface name"
		} else if !s.Scoped && st.taken(dst) {
			problem = routeExists
		} else if !r.dry {
			st.Routes = append(st.Routes, s)
		}
		return nil
	}
	err := c.change(change)
	switch {
	case err != nil:
		return 0, err
	case strings.Contains(bad, "interface name"):
		return c.say(1, "%s", bad)
	case bad != "":
		return c.say(68, "%s", bad)
	}
	return c.routed(fmt.Sprintf("add %s %s: gateway %s", r.kind(), dst.Addr(), r.values[1]), problem)
}

// routeDelete takes a route away, whatever its gateway is. That of a tunnel comes
// back with it. A
func (c *call) routeDelete(r routeArgs, dst netip.Prefix) (int, error) {
	problem, unplayed := noRoute, false
	err := c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		st.dropRoutes()
		at := slices.IndexFunc(st.Routes, func(s static) bool { return s.Dst == dst && s.Scoped == (r.scope != "") })
		inTunnel := slices.ContainsFunc(st.tunnelRoutes(), func(t route) bool { return t.dst == dst })
		t, _ := st.active()
		switch {
		case at >= 0:
			problem = ""
			if !r.dry {
				st.Routes = slices.Delete(st.Routes, at, at+1)
			}
		case inTunnel:
			problem = ""
			if !r.dry {
				t.Lost = append(t.Lost, dst)
			}
		default:
			unplayed = st.taken(dst) // one of the Mac's own
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case unplayed:
		return c.notPlayed()
	}
	return c.routed(fmt.Sprintf("delete %s %s", r.kind(), dst.Addr()), problem)
}

// routeGet tells the route of an address. C
func (c *call) routeGet(addr netip.Addr, scope string) (int, error) {
	var found route
	ok, known := false, true
	err := c.look(func(st *state, _ time.Time) {
		if _, known = st.byName(scope); known || scope == "" {
			known = true
			found, ok = st.lookup(addr, scope)
		}
	})
	switch {
	case err != nil:
		return 0, err
	case !known:
		return c.say(1, "route: bad interface name")
	case !ok: // C: with status 0
		return c.say(0, "route: writing to routing socket: %s", noRoute)
	}
	fmt.Fprintf(c.out, "   route to: %s\n", addr)
	switch bits := found.dst.Bits(); {
	case bits == 0:
		c.out.WriteString("destination: default\n       mask: default\n")
	case found.host:
		fmt.Fprintf(c.out, "destination: %s\n", found.dst.Addr())
	default:
		var mask [4]byte
		binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-bits))
		fmt.Fprintf(c.out, "destination: %s\n       mask: %s\n", found.dst.Addr(), netip.AddrFrom4(mask))
	}
	if found.gateway.IsValid() {
		fmt.Fprintf(c.out, "    gateway: %s\n", found.gateway)
	}
	fmt.Fprintf(c.out, "  interface: %s\n      flags: <%s>\n", found.iface, found.words)
	c.out.WriteString(" recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire\n")
	fmt.Fprintf(c.out, "%8d  %8d  %8d  %8d  %8d  %8d  %8d  %8d \n", 0, 0, 0, 0, 0, 0, found.mtu, found.expire)
	return 0, nil
}
