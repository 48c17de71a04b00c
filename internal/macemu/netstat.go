package macemu

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// netstat prints the IPv4 routes. C for its columns
func (c *call) netstat() (int, error) {
	o, rest, ok := getopt(c.args, "rnf:")
	if !ok || len(rest) > 0 || !o.has('r') || !o.has('n') || !slices.Equal(o['f'], []string{"inet"}) {
		return c.notPlayed()
	}
	c.out.WriteString("Routing tables\n\nInternet:\nDestination        Gateway            Flags               Netif Expire\n")
	return 0, c.look(func(st *state, _ time.Time) {
		for _, r := range st.table() {
			name := short(r.dst)
			if r.host {
				name = r.dst.Addr().String()
			}
			fmt.Fprintf(c.out, "%-18s %-18s %-11s %13s %6s\n", name, r.via, r.letters, r.iface, r.expires)
		}
	})
}

// short is a network as netstat writes it: zeros at the end are left out as far
// as the old class allows, and so is the length if it is that of the class. C
func short(p netip.Prefix) string {
	if p.Bits() == 0 {
		return "default"
	}
	b := p.Addr().As4()
	class := 3
	switch {
	case b[0] < 128:
		class = 1
	case b[0] < 192:
		class = 2
	}
	n := 4
	for n > class && b[n-1] == 0 {
		n--
	}
	parts := make([]string, n)
	for i := range parts {
		parts[i] = strconv.Itoa(int(b[i]))
	}
	out := strings.Join(parts, ".")
	if p.Bits() == 8*class && n == class && b[0] < 224 {
		return out
	}
	return out + "/" + strconv.Itoa(p.Bits())
}

// arp tells of one neighbour. C that it does, A for the texts
func (c *call) arp() (int, error) {
	if len(c.args) != 2 || c.args[0] != "-n" {
		return c.notPlayed()
	}
	found := false
	err := c.look(func(st *state, _ time.Time) {
		for _, n := range st.Settings.Neighbours {
			if i, ok := st.onLink(n.Addr); ok && n.Addr.String() == c.args[1] {
				found = true
				kind := "ethernet"
				if strings.HasPrefix(i.name, "bridge") {
					kind = "bridge"
				}
				fmt.Fprintf(c.out, "? (%s) at %s on %s ifscope [%s]\n", n.Addr, shortMAC(n.MAC), i.name, kind)
			}
		}
	})
	if err != nil || found {
		return 0, err
	}
	fmt.Fprintf(c.out, "%s (%s) -- no entry\n", c.args[1], c.args[1])
	return 1, nil
}
