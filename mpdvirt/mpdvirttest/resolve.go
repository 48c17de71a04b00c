package mpdvirttest

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

// ask is a query from inside the VM; ok is false if nobody answers.
func (v *VM) ask(name string, qtype uint16) (reply *dns.Msg, ok bool) {
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), qtype)
	packed := v.answer(query, false)
	reply = new(dns.Msg)
	return reply, packed != nil && reply.Unpack(packed) == nil
}

// dig asks the platform's name server; any other has no answers here.
func (v *VM) dig(_ context.Context, p *debian.Process, args []string) int {
	name, server, kind, short := "", "", "A", false
	for _, arg := range args[1:] {
		switch {
		case strings.HasPrefix(arg, "@"):
			server = arg[1:]
		case arg == "+short":
			short = true
		case strings.HasPrefix(arg, "+"), strings.HasPrefix(arg, "-"):
		case dns.StringToType[strings.ToUpper(arg)] != 0:
			kind = strings.ToUpper(arg)
		default:
			name = arg
		}
	}
	if server != nameServerAddr.Addr().String() {
		return 0
	}
	reply, ok := v.ask(name, dns.StringToType[kind])
	if !ok {
		p.Printf(";; communications error to %s#53: timed out\n;; no servers could be reached\n", server)
		return 9
	}
	if !short {
		p.Printf("%v\n", reply)
		return 0
	}
	for _, rr := range reply.Answer {
		if a, isA := rr.(*dns.A); isA {
			p.Printf("%v\n", a.A)
		}
	}
	return 0
}

// getent knows the VM's own host name and, once the platform runs, its names.
func (v *VM) getent(_ context.Context, p *debian.Process, args []string) int {
	if len(args) < 3 || !slices.Contains([]string{"hosts", "ahosts", "ahostsv4"}, args[1]) {
		return 1
	}
	if args[2] == v.Hostname() {
		p.Printf("127.0.1.1       %s\n", args[2])
		return 0
	}
	reply, ok := v.ask(args[2], dns.TypeA)
	if !ok || len(reply.Answer) == 0 {
		return 2
	}
	for _, rr := range reply.Answer {
		if a, isA := rr.(*dns.A); isA {
			p.Printf("%-15v %s\n", a.A, args[2])
		}
	}
	return 0
}

// Resolve is the Mac's own resolver, the same that dscacheutil tells of. It knows
// what Claim said and what /etc/hosts below Root says. Other names it asks the name
// server of the longest domain that /etc/resolver has for them, else that of the
// tunnel that is up and whose configuration has a DNS line, which takes all
// queries, else that of the network, which knows no name. A server that is silent
// is asked until ctx ends. Names have IPv4 addresses alone. The error is a
// *net.DNSError: of a name that is not known with IsNotFound, of a server that is
// silent with IsTimeout.
func (w *World) Resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	notFound := &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	if claimed, ok := w.claimed(host); ok {
		return []netip.Addr{claimed}, nil
	}
	if network == "ip6" {
		return nil, notFound
	}
	w.settleTunnel()
	addr, found, err := w.mac.emu.Lookup(ctx, host)
	switch {
	case err != nil:
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true, UnwrapErr: err}
	case !found:
		return nil, notFound
	}
	return []netip.Addr{addr}, nil
}

func (w *World) claimed(name string) (netip.Addr, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	addr, ok := w.hosts[strings.TrimSuffix(name, ".")]
	return addr, ok
}

// lookup is what a name server says of a name to the Mac: that of the platform by
// the way that packets have to it, and others, which know no name. A machine in a
// network of the Mac that is not its router is no name server.
func (w *World) lookup(ctx context.Context, name string, server netip.AddrPort) (netip.Addr, bool) {
	if addr, ok := w.claimed(name); ok {
		return addr, true
	}
	if !throughTunnel(server.Addr()) {
		if w.onLink(server.Addr()) {
			_ = w.nothing(ctx) // until the caller has enough
		}
		return netip.Addr{}, false
	}
	var reply *dns.Msg
	answered := false
	if v := w.behind(server.Addr()); v != nil && server == nameServerAddr {
		reply, answered = v.ask(name, dns.TypeA)
	}
	if !answered {
		_ = w.nothing(ctx) // the resolver asks again and again
		return netip.Addr{}, false
	}
	for _, rr := range reply.Answer {
		a, isA := rr.(*dns.A)
		if !isA {
			continue
		}
		if addr, ok := netip.AddrFromSlice(a.A); ok {
			return addr.Unmap(), true
		}
	}
	return netip.Addr{}, false
}
