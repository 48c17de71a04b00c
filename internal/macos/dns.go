package macos

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Reach is what macOS thinks of its way to a name server.
type Reach string

// The values of Reach. That a server is reachable means that there is a route,
// not that it answers.
const (
	ReachUnknown Reach = "" // macOS did not say
	Reachable    Reach = "reachable"
	Unreachable  Reach = "not reachable"
)

// Resolver is one of the places where macOS looks names up. A program that
// sends DNS queries by itself (dig, host) does not ask these.
type Resolver struct {
	// Domain is the domain whose names it is asked for, in lower case and
	// without a dot at the end; "" for all names.
	Domain       string
	Nameservers  []netip.Addr
	Port         uint16   // 0 for the usual one
	Flags        []string // such as "Request A records"
	Options      string   // such as "mdns"
	Reachable    Reach    // whether there is a way to Nameservers
	Interface    string   // over which it is asked; "" if that is not fixed
	Supplemental bool     // a VPN's; never so for a file in /etc/resolver
}

// SystemDNS returns the resolvers that programs on this Mac use, in macOS's
// order, without those for one interface or service only. None is no error:
// then the Mac has no network.
func (m *Mac) SystemDNS(ctx context.Context) ([]Resolver, error) {
	const what = "scutil --dns"
	res, err := m.ask(ctx, scutilTool, "--dns")
	if err != nil {
		return nil, err
	}
	if res.Status == 1 && has(res, "No DNS configuration available") {
		return nil, nil
	}
	if res.Status != 0 {
		return nil, strange(what, res)
	}
	list, err := parseDNS(string(res.Stdout))
	if err != nil {
		return nil, unclear(what, "%v", err)
	}
	return list, nil
}

// ResolversFor returns those of the list that macOS may ask for name: the ones
// with the longest domain that fits, else those for all names, of which the
// first counts. If several have the same domain, a VPN's and a file's for
// instance, it cannot be told here which one wins.
func ResolversFor(list []Resolver, name string) []Resolver {
	var best []Resolver
	for _, r := range list {
		switch {
		case !inDomain(name, r.Domain) || len(r.Nameservers) == 0:
		case len(best) == 0 || len(r.Domain) > len(best[0].Domain):
			best = []Resolver{r}
		case len(r.Domain) == len(best[0].Domain):
			best = append(best, r)
		}
	}
	return best
}

// inDomain says whether name is domain or below it; "" is the domain of all.
func inDomain(name, domain string) bool {
	name, domain = plainName(name), plainName(domain)
	return domain == "" || name == domain || strings.HasSuffix(name, "."+domain)
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

var (
	resolverLine = regexp.MustCompile(`^resolver #[0-9]+$`)
	// dnsLine is "  domain   : mpd.test" or "  nameserver[0] : 10.163.0.3".
	dnsLine  = regexp.MustCompile(`^\s+([a-z_][a-z_ ]*?)(?:\[[0-9]+\])?\s*:(?:\s+(.*))?$`)
	indexFor = regexp.MustCompile(`^[0-9]+ \((\S+)\)$`)
	reachFor = regexp.MustCompile(`^0x([0-9a-f]{8})(?: |$)`)
)

// parseDNS reads the first section of `scutil --dns`.
func parseDNS(text string) ([]Resolver, error) {
	var list []Resolver
	begun := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		switch {
		case line == "":
		case !begun:
			if line != "DNS configuration" {
				return nil, fmt.Errorf("begins with: %s", line)
			}
			begun = true
		case strings.HasPrefix(line, "DNS configuration (for"):
			return list, nil
		case resolverLine.MatchString(line):
			list = append(list, Resolver{})
		default:
			m := dnsLine.FindStringSubmatch(line)
			if m == nil || len(list) == 0 {
				return nil, fmt.Errorf("line: %s", line)
			}
			if err := list[len(list)-1].set(m[1], m[2]); err != nil {
				return nil, err
			}
		}
	}
	if !begun {
		return nil, fmt.Errorf("no output")
	}
	return list, nil
}

// set takes one line of a resolver. Keys that are not known say nothing that
// matters here.
func (r *Resolver) set(key, value string) error {
	bad := fmt.Errorf("%s %q", key, plaintext.Short(value))
	switch key {
	case "domain":
		r.Domain = plaintext.Short(plainName(value))
	case "nameserver":
		a, err := parseServer(value)
		if err != nil {
			return bad
		}
		r.Nameservers = append(r.Nameservers, a)
	case "port":
		// scutil prints ports above 32767 as negative numbers.
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < -1<<15 || n >= 1<<16 {
			return bad
		}
		r.Port = uint16(n)
	case "flags":
		for f := range strings.SplitSeq(value, ",") {
			r.Flags = append(r.Flags, plaintext.Short(f))
		}
		r.Supplemental = slices.Contains(r.Flags, "Supplemental")
	case "options":
		r.Options = plaintext.Short(value)
	case "if_index":
		// An interface that is gone has a number and no name.
		if m := indexFor.FindStringSubmatch(value); m != nil && interfaceName.MatchString(m[1]) {
			r.Interface = m[1]
		}
	case "reach":
		return r.setReach(value, bad)
	}
	return nil
}

// parseServer reads an address of either kind. Behind "%" there may be an
// interface; package netip takes anything there.
func parseServer(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err == nil && a.Zone() != "" && !interfaceName.MatchString(a.Zone()) {
		err = errors.New("no interface behind the address")
	}
	if err != nil {
		return netip.Addr{}, err
	}
	return a, nil
}

func (r *Resolver) setReach(value string, bad error) error {
	m := reachFor.FindStringSubmatch(value)
	if m == nil {
		return bad
	}
	bits, err := strconv.ParseUint(m[1], 16, 32)
	if err != nil {
		return bad
	}
	r.Reachable = Unreachable
	if bits&2 != 0 { // kSCNetworkReachabilityFlagsReachable
		r.Reachable = Reachable
	}
	return nil
}
