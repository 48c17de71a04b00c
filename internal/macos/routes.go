package macos

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Routes returns the IPv4 routes that hold for everybody, in macOS's order:
// without the kernel's notes about neighbours (flag W) and those that hold for
// one interface only (flag I). Which of them a packet takes is RouteTo's
// question; what the WireGuard app sets may be among those left out.
func (m *Mac) Routes(ctx context.Context) ([]Route, error) {
	const what = "netstat -rn -f inet"
	res, err := m.ask(ctx, netstatTool, "-rn", "-f", "inet")
	if err != nil {
		return nil, err
	}
	if res.Status != 0 {
		return nil, strange(what, res)
	}
	routes, err := parseRoutes(string(res.Stdout))
	if err != nil {
		return nil, unclear(what, "%v", err)
	}
	return routes, nil
}

// parseRoutes reads the part "Internet:" of netstat's table.
func parseRoutes(text string) ([]Route, error) {
	_, table, found := strings.Cut(text, "Internet:\n")
	if !found {
		return nil, fmt.Errorf("no table in: %s", text)
	}
	table, _, _ = strings.Cut(table, "\n\n") // the table for IPv6
	var routes []Route
	netif := -1 // the column of the interface; older macOS has two more before it
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case netif < 0:
			netif = slices.Index(fields, "Netif")
			if netif < 3 || !slices.Equal(fields[:3], []string{"Destination", "Gateway", "Flags"}) {
				return nil, fmt.Errorf("columns: %s", line)
			}
		case len(fields) <= netif:
			return nil, fmt.Errorf("row: %s", line)
		case strings.ContainsAny(fields[2], "WI"):
		default:
			r, err := tableRow(fields[0], fields[1], fields[2], fields[netif])
			if err != nil {
				return nil, err
			}
			routes = append(routes, r)
		}
	}
	if netif < 0 {
		return nil, fmt.Errorf("no columns in: %s", text)
	}
	return routes, nil
}

func tableRow(dest, gateway, flags, netif string) (Route, error) {
	p, err := expand(dest)
	if err != nil {
		return Route{}, err
	}
	if !interfaceName.MatchString(netif) {
		return Route{}, fmt.Errorf("interface %q", plaintext.Short(netif))
	}
	r := Route{
		Dest: p, Interface: netif,
		Default: p.Bits() == 0, Host: p.Bits() == 32, Static: strings.Contains(flags, "S"),
	}
	// Without G, the column has the Mac's own address, an interface, or the
	// neighbour's hardware address.
	if strings.Contains(flags, "G") {
		if r.Gateway, err = parseIPv4(gateway); err != nil && !strings.HasPrefix(gateway, "link#") {
			return Route{}, fmt.Errorf("gateway %q", plaintext.Short(gateway))
		}
	}
	return r, nil
}

// expand makes a prefix of netstat's short form: zeros at the end are dropped,
// and so is the length if it is that of the address's old class.
func expand(text string) (netip.Prefix, error) {
	if text == "default" {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), nil
	}
	bad := fmt.Errorf("destination %q", plaintext.Short(text))
	short, length, hasLength := strings.Cut(text, "/")
	parts := strings.Split(short, ".")
	if len(parts) > 4 {
		return netip.Prefix{}, bad
	}
	given := len(parts)
	for len(parts) < 4 {
		parts = append(parts, "0")
	}
	addr, err := parseIPv4(strings.Join(parts, "."))
	if err != nil {
		return netip.Prefix{}, bad
	}
	bits := classBits(addr, given)
	if hasLength {
		if bits, err = strconv.Atoi(length); err != nil || strconv.Itoa(bits) != length {
			return netip.Prefix{}, bad
		}
	}
	p := netip.PrefixFrom(addr, bits)
	if !p.IsValid() || p != p.Masked() {
		return netip.Prefix{}, bad
	}
	return p, nil
}

// classBits is the length that goes without saying, -1 if there is none.
func classBits(addr netip.Addr, given int) int {
	first := addr.As4()[0]
	switch {
	case given == 4:
		return 32
	case first < 128:
		return 8
	case first < 192:
		return 16
	case first < 224:
		return 24
	case first < 240:
		return 4 // older macOS wrote the multicast network as 224.0.0
	}
	return -1
}
