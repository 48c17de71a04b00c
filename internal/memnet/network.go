package memnet

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Network is one network in memory. Its methods may be called at the same
// time. The zero value is not usable; call [New].
type Network struct {
	mu      sync.Mutex
	changed *sync.Cond // something that a waiting dial may be waiting for
	up      map[netip.Addr]bool
	noRoute map[netip.Addr]bool
	streams map[netip.AddrPort]*listener
	packets map[netip.AddrPort]*packetConn
	conns   map[*link]bool
	port    uint16
}

// New returns an empty network.
func New() *Network {
	n := &Network{
		up:      map[netip.Addr]bool{},
		noRoute: map[netip.Addr]bool{},
		streams: map[netip.AddrPort]*listener{},
		packets: map[netip.AddrPort]*packetConn{},
		conns:   map[*link]bool{},
		port:    49151,
	}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// Listen announces on a stream ("tcp") address. Port 0 takes a free one; an
// address in use is syscall.EADDRINUSE.
func (n *Network) Listen(addr netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr = n.withPort(addr)
	if n.streams[addr] != nil {
		return nil, opError("listen", "tcp", nil, tcpAddr(addr), syscall.EADDRINUSE)
	}
	l := &listener{net: n, addr: addr}
	n.streams[addr] = l
	n.changed.Broadcast()
	return l, nil
}

// ListenPacket announces on a packet ("udp") address, as Listen does on a
// stream address.
func (n *Network) ListenPacket(addr netip.AddrPort) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr = n.withPort(addr)
	if n.packets[addr] != nil {
		return nil, opError("listen", "udp", nil, udpAddr(addr), syscall.EADDRINUSE)
	}
	c := newPacketConn(n, addr, netip.AddrPort{})
	n.packets[addr] = c
	n.changed.Broadcast()
	return c, nil
}

// DialContext connects to an address "IP:port". The networks are tcp, udp and
// their forms with 4 and 6.
//
// A tcp dial to an IP that nobody has blocks until ctx ends, or until somebody
// has it, as a SYN that is sent again would find out. If the IP is up and the
// port closed it is syscall.ECONNREFUSED, and without a route (see
// [Network.SetRoute]) syscall.EHOSTUNREACH.
//
// A udp dial always succeeds. The result is also a net.PacketConn, by which
// miekg/dns tells packets from streams.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, opError("dial", network, nil, nil, &net.AddrError{Err: "not an IP address with a port", Addr: address})
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	switch network {
	case "tcp", "tcp4", "tcp6":
		return n.dialStream(ctx, to)
	case "udp", "udp4", "udp6":
		return n.dialPacket(to), nil
	}
	return nil, opError("dial", network, nil, nil, net.UnknownNetworkError(network))
}

// withPort fills in a free port where addr has none. n.mu is held.
func (n *Network) withPort(addr netip.AddrPort) netip.AddrPort {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	for addr.Port() == 0 || addr.Port() == n.port && n.taken(addr) {
		addr = netip.AddrPortFrom(addr.Addr(), n.nextPort())
	}
	return addr
}

func (n *Network) taken(addr netip.AddrPort) bool {
	return n.streams[addr] != nil || n.packets[addr] != nil
}

// nextPort goes round the dynamic ports. n.mu is held.
func (n *Network) nextPort() uint16 {
	if n.port++; n.port == 0 {
		n.port = 49152
	}
	return n.port
}

// source is the address from which to is dialed: .2 of to's /24, where a Mac
// stands in a hypervisor's shared network, or to itself for loopback.
// n.mu is held.
func (n *Network) source(to netip.Addr) netip.AddrPort {
	from := to
	if to.Is4() && !to.IsLoopback() {
		a := to.As4()
		a[3] = 2
		from = netip.AddrFrom4(a)
	}
	return netip.AddrPortFrom(from, n.nextPort())
}

func tcpAddr(a netip.AddrPort) net.Addr { return net.TCPAddrFromAddrPort(a) }
func udpAddr(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }

func opError(op, network string, source, addr net.Addr, err error) error {
	return &net.OpError{Op: op, Net: network, Source: source, Addr: addr, Err: err}
}
