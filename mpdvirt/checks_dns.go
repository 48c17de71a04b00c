package mpdvirt

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/probe"
)

// askDNS asks the VM's name server for the VM's own address: only the VM
// behind the tunnel answers there, and only it knows which one it is.
func askDNS(ctx context.Context, x *examination) Check {
	a := probe.QueryA(ctx, x.m.cfg.DialContext, x.m.cfg.DNSServer, identity.VMHost)
	c := Check{Status: Fail, Facts: map[string]string{"answer": string(a.Kind), "server": x.m.cfg.DNSServer.String()}}
	if a.Kind != probe.Address {
		c.Summary, c.Fixes = x.noAddress(a)
		return c
	}
	c.Facts["address"] = a.Addr.String()
	if a.Addr == x.entry.Addr {
		c.Status, c.Facts["vm"] = OK, x.entry.Name()
		c.Summary = fmt.Sprintf("%s is %s, authoritative over %s", identity.VMHost, a.Addr, a.Transport)
		return c
	}
	c.Summary = fmt.Sprintf("%s is %s: another VM answers", identity.VMHost, a.Addr)
	c.Fixes = []Fix{{Text: fmt.Sprintf("turn the active tunnel off and %s on in WireGuard", x.entry.Name())}}
	if other := x.registeredAt(a.Addr); other != "" {
		c.Facts["vm"] = other
		c.Summary = fmt.Sprintf("%s is %s: %s answers", identity.VMHost, a.Addr, other)
		c.Fixes[0].Text = fmt.Sprintf("turn the tunnel %s off and %s on in WireGuard", other, x.entry.Name())
	}
	return c
}

// noAddress words an answer that is no address. What it means for the tunnel
// differs: silence is no tunnel, a wrong answer is somebody's.
func (x *examination) noAddress(a probe.Answer) (string, []Fix) {
	on := Fix{Text: fmt.Sprintf("turn %s on in WireGuard; if it is not there, import %s", x.entry.Name(), x.m.keys.ImportFile(x.entry.Octet))}
	again := mpdVirt("setup", x.entry.Octet.String(), "--from="+bootstrap.StepMPD)
	detail := ""
	if a.Detail != "" {
		detail = " (" + a.Detail + ")"
	}
	server := x.m.cfg.DNSServer.Addr()
	switch a.Kind {
	case probe.NoAnswer, probe.Unreachable, probe.Canceled:
		if x.isMac() { // where a tunnel that is down is found by its address
			return fmt.Sprintf("the tunnel is on, but nothing answers at %s%s: the VM behind it is off, or is another", server, detail), append([]Fix{on}, x.start()...)
		}
		return fmt.Sprintf("no answer from %s: the tunnel is down%s", server, detail), []Fix{on}
	case probe.Refused:
		return fmt.Sprintf("%s refuses DNS: mpd does not run there%s", server, detail), []Fix{again}
	case probe.NXDomain, probe.NoData:
		return fmt.Sprintf("%s does not know %s%s: it is not the name server of an mpd VM", server, identity.VMHost, detail), []Fix{on, again}
	case probe.NotAuthoritative:
		return fmt.Sprintf("%s repeats an answer that is not its own%s: something stands between this Mac and the VM", server, detail), []Fix{on}
	default:
		return fmt.Sprintf("%s: %s%s", server, a.Kind, detail), []Fix{on, again}
	}
}

// start is the fix that turns the VM on, if its backend can.
func (x *examination) start() []Fix {
	if b, err := x.m.backend(x.entry.Backend); err == nil && can[hypervisor.Lifecycle](b) {
		return []Fix{mpdVirt("start", x.entry.Octet.String())}
	}
	return nil
}

func (x *examination) registeredAt(addr netip.Addr) string {
	entries, _ := x.m.entries()
	for _, e := range entries {
		if e.Addr == addr {
			return e.Name()
		}
	}
	return ""
}

// askResolver asks what browsers ask: the system's resolver.
func askResolver(ctx context.Context, x *examination) Check {
	a := probe.Lookup(ctx, x.m.cfg.Resolve, identity.VMHost)
	c := Check{Status: OK, Summary: fmt.Sprintf("the system resolves %s to %s", identity.VMHost, a.Addr), Facts: map[string]string{"answer": string(a.Kind)}}
	if len(a.Addrs) > 0 {
		c.Facts["address"] = a.Addrs[0].String()
	}
	switch {
	case a.Kind == probe.Address && a.Addr == x.entry.Addr:
	case a.Kind == probe.Address || a.Kind == probe.Several:
		c.Status, c.Summary = Warn, fmt.Sprintf("the system resolves %s to %s, not %s", identity.VMHost, joined(a.Addrs), x.entry.Addr)
		c.Fixes = []Fix{{Text: "look for the name in /etc/hosts, then empty the system's cache", Argv: flushCache(goos), Root: true}}
	default:
		c.Status, c.Summary = Fail, fmt.Sprintf("the system does not resolve %s: %s", identity.VMHost, a.Kind)
		c.Fixes = []Fix{{Text: fmt.Sprintf("the tunnel's DNS line makes the system ask %s: turn the tunnel off and on", x.m.cfg.DNSServer.Addr())}}
	}
	return c
}

func joined(addrs []netip.Addr) string {
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}

// flushCache empties the cache of the system's resolver.
func flushCache(system string) []string {
	if system == "darwin" {
		return []string{"dscacheutil", "-flushcache"}
	}
	return []string{"resolvectl", "flush-caches"}
}
