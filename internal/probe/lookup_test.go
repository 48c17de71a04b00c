package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestLookup(t *testing.T) {
	other := netip.MustParseAddr("10.211.55.151")
	mapped := netip.AddrFrom16(vm.As16())
	for _, tc := range []struct {
		name  string
		found []netip.Addr
		err   error
		kind  Kind
		addrs []netip.Addr
	}{
		{"one", []netip.Addr{vm}, nil, Address, []netip.Addr{vm}},
		{"one in IPv6's form", []netip.Addr{mapped}, nil, Address, []netip.Addr{vm}},
		{"one, repeated", []netip.Addr{vm, mapped, vm}, nil, Address, []netip.Addr{vm}},
		{"two", []netip.Addr{other, vm}, nil, Several, []netip.Addr{other, vm}},
		{"IPv6 only", []netip.Addr{netip.MustParseAddr("fd00::1")}, nil, NoData, nil},
		{"nothing", nil, nil, NoData, nil},
		{"no IPv4 among the found", nil, &net.AddrError{Err: "no suitable address found"}, NoData, nil},
		{"not found", nil, &net.DNSError{Err: "no such host", IsNotFound: true}, NXDomain, nil},
		{"the resolver's timeout", nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}, NoAnswer, nil},
		{"a failing server", nil, &net.DNSError{Err: "server misbehaving\x1b[2J", IsTemporary: true}, ServFail, nil},
		{"another failure", nil, errors.New("no resolver"), ServFail, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Lookup(t.Context(), func(_ context.Context, network, host string) ([]netip.Addr, error) {
				if network != "ip4" || host != name {
					t.Errorf("asked %s %s", network, host)
				}
				return tc.found, tc.err
			}, name)
			if got.Kind != tc.kind || !slices.Equal(got.Addrs, tc.addrs) || got.Transport != System {
				t.Errorf("Lookup = %+v, want %s %v", got, tc.kind, tc.addrs)
			}
			if got.Addr.IsValid() != (tc.kind == Address) {
				t.Errorf("Addr = %v with kind %s", got.Addr, got.Kind)
			}
			if tc.kind == ServFail && got.Detail != clip(tc.err.Error()) {
				t.Errorf("Detail = %q", got.Detail)
			}
		})
	}
}

// A resolver that waits is ended at the limit, or when the caller ends.
func TestLookupWaits(t *testing.T) {
	hang := func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	synctest.Test(t, func(t *testing.T) {
		if got := Lookup(t.Context(), hang, name); got.Kind != NoAnswer || got.Elapsed != Limit {
			t.Errorf("Lookup = %+v, want no answer after %v", got, Limit)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		if got := Lookup(ctx, hang, name); got.Kind != Canceled || got.Elapsed != 300*time.Millisecond {
			t.Errorf("Lookup = %+v, want canceled after 300ms", got)
		}
	})
}
