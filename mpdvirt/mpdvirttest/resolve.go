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

// Resolve is the Mac's own resolver: it knows what Claim said, and asks the
// name server of the VM whose tunnel is up, as client.conf's DNS line makes
// macOS do.
func (w *World) Resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	notFound := &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	w.mu.Lock()
	claimed, isClaimed := w.hosts[strings.TrimSuffix(host, ".")]
	up := w.tunnel != nil
	w.mu.Unlock()
	switch {
	case isClaimed:
		return []netip.Addr{claimed}, nil
	case !up || network == "ip6":
		return nil, notFound
	}
	v := w.linked()
	var reply *dns.Msg
	answered := false
	if v != nil {
		reply, answered = v.ask(host, dns.TypeA)
	}
	if !answered {
		err := w.nothing(ctx) // the resolver asks again and again
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true, UnwrapErr: err}
	}
	var addrs []netip.Addr
	for _, rr := range reply.Answer {
		if a, isA := rr.(*dns.A); isA {
			if addr, ok := netip.AddrFromSlice(a.A); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	if len(addrs) == 0 {
		return nil, notFound
	}
	return addrs, nil
}
