package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Lookup asks the system's resolver for the IPv4 addresses of name, within
// Limit. resolve has the form of net.Resolver's LookupNetIP and must end soon
// after its context. An answer proves nothing: caches and /etc/hosts have
// their part in it.
//
// The kinds are Address, Several, NXDomain, NoData, NoAnswer, ServFail (the
// resolver failed otherwise) and Canceled; many resolvers say NXDomain for a
// name without IPv4 address too. The transport is System.
func Lookup(ctx context.Context, resolve func(ctx context.Context, network, host string) ([]netip.Addr, error), name string) Answer {
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	addrs, err := resolve(limited, "ip4", name)
	var answer Answer
	switch {
	case err == nil:
		answer = fromResolver(addrs)
	case errors.Is(ctx.Err(), context.Canceled):
		answer.Kind = Canceled
	default:
		answer = fromResolverError(limited, err)
	}
	answer.Transport = System
	answer.Elapsed = time.Since(start)
	return answer
}

var noAddress = Answer{Kind: NoData, Detail: "the resolver knows no IPv4 address of the name"}

// fromResolver drops repetitions: some resolvers name an address once for
// each kind of socket. IPv4 may come in IPv6's form (golang.org/issue/53554).
func fromResolver(found []netip.Addr) Answer {
	var addrs []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	switch len(addrs) {
	case 0:
		return noAddress
	case 1:
		return Answer{Kind: Address, Addr: addrs[0], Addrs: addrs}
	}
	return Answer{Kind: Several, Addrs: addrs}
}

func fromResolverError(limited context.Context, err error) Answer {
	var dnsErr *net.DNSError
	var timed net.Error
	var family *net.AddrError // Go found addresses, none of which is IPv4
	switch {
	case errors.As(err, &family):
		return noAddress
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		return Answer{Kind: NXDomain, Detail: "the resolver does not find the name"}
	case limited.Err() != nil, errors.As(err, &timed) && timed.Timeout():
		return Answer{Kind: NoAnswer}
	}
	return Answer{Kind: ServFail, Detail: clip(err.Error())}
}
