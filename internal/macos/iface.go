package macos

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// WithAddr says which interface has the IPv4 address, and whether any has. For
// the Mac's end of the tunnel that is the utun of a tunnel that is up; which
// VM is behind it, it does not say, since all tunnels have the same address.
// That an utun exists says nothing at all: macOS has some of its own.
func (m *Mac) WithAddr(ctx context.Context, addr netip.Addr) (iface string, ok bool, err error) {
	res, err := m.ask(ctx, ifconfigTool, "-a")
	if err != nil {
		return "", false, err
	}
	if res.Status != 0 {
		return "", false, strange("ifconfig", res)
	}
	found, err := parseInterfaces(string(res.Stdout), addr)
	switch {
	case err != nil:
		return "", false, unclear("ifconfig", "%v", err)
	case len(found) > 1:
		return "", false, unclear("ifconfig", "%v is on %s", addr, strings.Join(found, " and "))
	case len(found) == 0:
		return "", false, nil
	}
	return found[0], true, nil
}

var (
	ifaceLine = regexp.MustCompile(`^(\S+): flags=`)
	inetLine  = regexp.MustCompile(`^\s+inet (\S+)( |$)`)
)

// parseInterfaces returns the interfaces with addr in ifconfig's list, of which
// each begins with "name: flags=" and has its addresses in indented lines.
func parseInterfaces(text string, addr netip.Addr) ([]string, error) {
	var found []string
	name := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := ifaceLine.FindStringSubmatch(line); m != nil {
			if name = m[1]; !interfaceName.MatchString(name) {
				return nil, fmt.Errorf("interface %q", plaintext.Short(name))
			}
			continue
		}
		m := inetLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		got, err := parseIPv4(m[1])
		if err != nil || name == "" {
			return nil, fmt.Errorf("line: %s", line)
		}
		if got == addr && (len(found) == 0 || found[len(found)-1] != name) {
			found = append(found, name)
		}
	}
	if name == "" { // there always is lo0
		return nil, fmt.Errorf("no interface in: %q", plaintext.Short(text))
	}
	return found, nil
}
