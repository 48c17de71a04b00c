package macos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// ErrNoRoute: macOS has no route to the address, not even a default one.
var ErrNoRoute = errors.New("no route")

// Route is one IPv4 route of macOS.
type Route struct {
	Dest      netip.Prefix // 0.0.0.0/0 for a default route, /32 for one machine
	Gateway   netip.Addr   // the next machine on the way; invalid if Dest is reached directly
	Interface string       // such as en0, bridge100, utun4
	Default   bool         // the route for all that has no other
	Host      bool         // to one machine only
	Static    bool         // set by a person or a program, not by the kernel
}

// OnLink says whether what is behind the route is in a network of this Mac's
// own, one in which macOS asks for the permission "Local Network": no gateway,
// no tunnel, not this Mac itself.
func (r Route) OnLink() bool {
	return r.Interface != "" && !r.Gateway.IsValid() && !r.Default && !r.Tunnel() && !strings.HasPrefix(r.Interface, "lo")
}

// Tunnel says whether the route leads into a tunnel of whatever VPN.
func (r Route) Tunnel() bool { return tunnelName.MatchString(r.Interface) }

var (
	tunnelName    = regexp.MustCompile(`^utun[0-9]+$`)
	interfaceName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,15}$`)
)

// RouteTo says which way packets to the IPv4 address take now. With a default
// route there is always one, so the caller looks at Interface and Dest.
// ErrNoRoute if there is none.
func (m *Mac) RouteTo(ctx context.Context, addr netip.Addr) (Route, error) {
	what := fmt.Sprintf("route get %v", addr)
	if !addr.Is4() {
		return Route{}, fmt.Errorf("%s: no IPv4 address", what)
	}
	res, err := m.ask(ctx, routeTool, "-n", "get", addr.String())
	if err != nil {
		return Route{}, err
	}
	return readRoute(what, addr, res)
}

// readRoute judges by what was printed: route exits with 0 also where it has
// found nothing.
func readRoute(what string, addr netip.Addr, res hypervisor.Result) (Route, error) {
	nothing := strings.TrimSpace(string(res.Stdout)) == ""
	switch {
	case nothing && has(res, "not in table"):
		return Route{}, fmt.Errorf("%s: %w", what, ErrNoRoute)
	case nothing || res.Status != 0:
		return Route{}, strange(what, res)
	}
	r, err := parseRoute(addr, string(res.Stdout))
	if err != nil {
		return Route{}, unclear(what, "%v", err)
	}
	return r, nil
}

// parseRoute reads the "key: value" lines of `route -n get`; the table of
// metrics below them has none.
func parseRoute(addr netip.Addr, text string) (Route, error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		key = strings.TrimSpace(key)
		if _, twice := values[key]; twice {
			return Route{}, fmt.Errorf("two lines %q", plaintext.Short(key))
		}
		values[key] = strings.TrimSpace(value)
	}
	if got := values["route to"]; got != addr.String() {
		return Route{}, fmt.Errorf("an answer for %q", plaintext.Short(got))
	}
	flags, err := routeFlags(values["flags"])
	if err != nil {
		return Route{}, err
	}
	r := Route{Interface: values["interface"], Static: slices.Contains(flags, "STATIC")}
	if !interfaceName.MatchString(r.Interface) {
		return Route{}, fmt.Errorf("interface %q", plaintext.Short(r.Interface))
	}
	if r.Dest, err = routeDest(values["destination"], values["mask"]); err != nil {
		return Route{}, err
	}
	if !r.Dest.Contains(addr) {
		return Route{}, fmt.Errorf("destination %v does not hold %v", r.Dest, addr)
	}
	r.Default, r.Host = r.Dest.Bits() == 0, r.Dest.Bits() == 32
	if slices.Contains(flags, "GATEWAY") {
		if r.Gateway, err = parseIPv4(values["gateway"]); err != nil {
			return Route{}, fmt.Errorf("gateway %q", plaintext.Short(values["gateway"]))
		}
	}
	return r, nil
}

// routeFlags splits "<UP,GATEWAY,DONE>".
func routeFlags(text string) ([]string, error) {
	list, opened := strings.CutPrefix(text, "<")
	list, closed := strings.CutSuffix(list, ">")
	if !opened || !closed {
		return nil, fmt.Errorf("flags %q", plaintext.Short(text))
	}
	return strings.Split(list, ","), nil
}

// routeDest makes a prefix of an address and a mask; no mask is a route to one
// machine.
func routeDest(dest, mask string) (netip.Prefix, error) {
	if dest == "default" && (mask == "default" || mask == "") {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), nil
	}
	addr, err := parseIPv4(dest)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("destination %q", plaintext.Short(dest))
	}
	bits := 32
	if mask != "" {
		if bits, err = maskBits(mask); err != nil {
			return netip.Prefix{}, err
		}
	}
	p := netip.PrefixFrom(addr, bits)
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("destination %s does not fit the mask %s", dest, mask)
	}
	return p, nil
}

func maskBits(mask string) (int, error) {
	if mask == "default" {
		return 0, nil
	}
	a, err := parseIPv4(mask)
	if err != nil {
		return 0, fmt.Errorf("mask %q", plaintext.Short(mask))
	}
	four := a.As4()
	ones, size := net.IPMask(four[:]).Size()
	if size == 0 {
		return 0, fmt.Errorf("mask %s", mask)
	}
	return ones, nil
}

func parseIPv4(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err == nil && !a.Is4() {
		err = errors.New("no IPv4 address")
	}
	if err != nil {
		return netip.Addr{}, err
	}
	return a, nil
}

// DeleteRouteCommand removes the route to dest by way of gw, or whichever there
// is if gw is invalid. A route that is gone makes it fail.
func DeleteRouteCommand(dest netip.Prefix, gw netip.Addr) Command {
	argv := []string{routeTool, "-n", "delete", "-net", dest.Masked().String()}
	if gw.IsValid() {
		argv = append(argv, gw.String())
	}
	return Command{Argv: argv, Root: true, Note: fmt.Sprintf("removes the route to %v", dest.Masked())}
}
