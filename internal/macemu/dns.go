package macemu

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

const asksA = "Request A records"

// resolvers are those of the first section of scutil --dns, in its order: a
// tunnel's, the network's, those of multicast DNS, and the files'. C
func (e *Emulator) resolvers(st *state) (out []resolver) {
	if t, c := st.active(); t != nil && len(c.DNS) > 0 {
		utun := st.tunnelInterface(t, c)
		out = append(out, resolver{search: c.Search, servers: c.DNS, index: utun.indexed(), flags: "Supplemental, " + asksA, reach: st.reach(c.DNS)})
	}
	if !st.Settings.Offline {
		out = append(out, st.network(asksA))
		out = append(out, multicast()...)
	}
	for _, r := range e.resolverFiles() {
		r.flags, r.reach = asksA, st.reach(r.servers)
		out = append(out, r)
	}
	return out
}

// network is what DHCP said of name servers.
func (st *state) network(flags string) resolver {
	servers := []netip.Addr{st.Settings.router()}
	return resolver{search: []string{"lan"}, servers: servers, index: fmt.Sprintf("%d (en0)", en0Index), flags: flags, reach: st.reach(servers)}
}

// multicast are the resolvers that every Mac has for names of the link.
func multicast() (out []resolver) {
	for i, domain := range []string{"local", "254.169.in-addr.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa"} {
		out = append(out, resolver{domain: domain, options: "mdns", timeout: "5", flags: asksA, reach: unreachable, order: fmt.Sprint(300000 + 200*i)})
	}
	return out
}

const unreachable = "0x00000000 (Not Reachable)"

// reach is how the first of the servers is reached. C for the first and the
// last, A for the form of the others
func (st *state) reach(servers []netip.Addr) string {
	if len(servers) == 0 {
		return unreachable
	}
	r, ok := st.lookup(servers[0], "")
	switch {
	case !ok:
		return unreachable
	case strings.HasPrefix(r.iface, "utun"):
		return "0x00000003 (Reachable,Transient Connection)"
	case r.onLink:
		return "0x00020002 (Reachable,Directly Reachable Address)"
	}
	return "0x00000002 (Reachable)"
}

// dns prints all resolvers. C
func (c *call) dns() (int, error) {
	none := false
	err := c.look(func(st *state, _ time.Time) {
		all := c.e.resolvers(st)
		if none = len(all) == 0; none {
			return
		}
		c.section("DNS configuration", all)
		if !st.Settings.Offline {
			c.section("DNS configuration (for scoped queries)", []resolver{st.network("Scoped, " + asksA)})
		}
		if t, conf := st.active(); t != nil && len(conf.DNS) > 0 {
			utun := st.tunnelInterface(t, conf)
			c.section("DNS configuration (for service-specific queries)", []resolver{{
				search: conf.Search, servers: conf.DNS, index: utun.indexed(), flags: "Service-specific, Supplemental, " + asksA, reach: st.reach(conf.DNS),
			}})
		}
	})
	if err == nil && none {
		fmt.Fprintln(c.out, "No DNS configuration available")
		return 1, nil
	}
	return 0, err
}

func (c *call) section(title string, all []resolver) {
	if c.out.Len() > 0 {
		c.out.WriteByte('\n')
	}
	fmt.Fprintln(c.out, title)
	for i, r := range all {
		fmt.Fprintf(c.out, "\nresolver #%d\n", i+1)
		line := func(key, value string) {
			if value != "" {
				fmt.Fprintf(c.out, "  %-9s: %s\n", key, value)
			}
		}
		line("domain", r.domain)
		for j, s := range r.search {
			fmt.Fprintf(c.out, "  search domain[%d] : %s\n", j, s)
		}
		for j, s := range r.servers {
			fmt.Fprintf(c.out, "  nameserver[%d] : %s\n", j, s)
		}
		if r.port != 0 { // C: as a signed number
			line("port", fmt.Sprint(int16(r.port))) // the tool's own mistake
		}
		line("options", r.options)
		line("timeout", r.timeout)
		line("if_index", r.index)
		line("flags", r.flags)
		line("reach", r.reach)
		line("order", r.order)
	}
}

// dscacheutil looks a name up as programs do, and flushes the cache. C
func (c *call) dscacheutil() (int, error) {
	switch {
	case slices.Equal(c.args, []string{"-flushcache"}):
		if !c.root { // A: silent, and in vain
			return 0, nil
		}
		return 0, c.change(func(st *state, _ time.Time, _ *emu.Later) error {
			st.Unknown = nil
			return nil
		})
	case len(c.args) == 5 && slices.Equal(c.args[:4], []string{"-q", "host", "-a", "name"}):
		return 0, c.host(strings.ToLower(strings.TrimSuffix(c.args[4], ".")))
	}
	return c.notPlayed()
}

// host prints nothing for a name that is not known. C
func (c *call) host(name string) error {
	addr, found, err := c.e.lookup(c.ctx, name, c.dry)
	if err == nil && found {
		fmt.Fprintf(c.out, "name: %s\nip_address: %s\n\n", name, addr)
	}
	return err
}

// Lookup is the IPv4 address of a name as all programs of the Mac learn it: by
// /etc/hosts, the cache, or the hook Lookup, to which it hands the name server
// that is responsible. The error is ctx's, whose end is how a server is silent.
func (e *Emulator) Lookup(ctx context.Context, name string) (addr netip.Addr, found bool, err error) {
	return e.lookup(ctx, strings.ToLower(strings.TrimSuffix(name, ".")), false)
}

func (e *Emulator) lookup(ctx context.Context, name string, dry bool) (addr netip.Addr, found bool, err error) {
	addr, found = e.hosts(name)
	var server netip.AddrPort
	err = e.tx(func(st *state, _ time.Time) error {
		if !found && !(st.Settings.CachesUnknown && st.Unknown[name]) {
			server = e.serverFor(st, name)
		}
		return nil
	})
	if hook := e.opts.Hooks.Lookup; err == nil && server.IsValid() && hook != nil {
		addr, found = hook(ctx, name, server)
	}
	switch {
	case err != nil || found:
		return addr, found, err
	case ctx.Err() != nil:
		return netip.Addr{}, false, ctx.Err()
	case dry:
		return netip.Addr{}, false, nil
	}
	return netip.Addr{}, false, e.tx(func(st *state, _ time.Time) error {
		if st.Unknown == nil {
			st.Unknown = map[string]bool{}
		}
		st.Unknown[name] = true
		return nil
	})
}

// serverFor is the name server that is asked for a name: of the longest domain
// that the name is in, and for all other names that of a tunnel before that of
// the network. C
func (e *Emulator) serverFor(st *state, name string) (server netip.AddrPort) {
	best := -1
	for _, r := range e.resolvers(st) {
		if r.options == "mdns" || name != r.domain && r.domain != "" && !strings.HasSuffix(name, "."+r.domain) {
			continue
		}
		if s, ok := r.server(); ok && len(r.domain) > best && r.reach != unreachable {
			best, server = len(r.domain), s
		}
	}
	return server
}

// killall has one use: it tells mDNSResponder to forget what it knows. C
func (c *call) killall() (int, error) {
	switch {
	case !slices.Equal(c.args, []string{"-HUP", "mDNSResponder"}):
		return c.notPlayed()
	case !c.root: // A
		return c.say(1, "No matching processes belonging to you were found")
	}
	return 0, nil
}
