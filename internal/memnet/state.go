package memnet

import (
	"net/netip"
	"syscall"
)

// SetUp says whether a host with this IP exists. One that is up refuses closed
// ports; one that is down is silent: dials block, packets vanish and open
// connections stand still, to go on where they were when it is up again, like
// those of a VM that was suspended and resumed. An IP of which nothing was
// said is up while somebody listens on it.
func (n *Network) SetUp(ip netip.Addr, up bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up[ip] = up
	for l := range n.conns {
		if l.has(ip) {
			l.hold(!n.isUp(l.client.Addr()) || !n.isUp(l.server.Addr()))
		}
	}
	n.changed.Broadcast()
}

// Up says whether a host with this IP exists: whether it would answer a ping.
func (n *Network) Up(ip netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	up, said := n.up[ip]
	return up || !said && n.listens(ip)
}

// isUp is Up for an end of a connection: one that nothing was said of, a
// dialer's or a closed listener's, exists. n.mu is held.
func (n *Network) isUp(ip netip.Addr) bool {
	up, said := n.up[ip]
	return up || !said
}

func (n *Network) listens(ip netip.Addr) bool {
	for a := range n.streams {
		if a.Addr() == ip {
			return true
		}
	}
	for a, c := range n.packets {
		if a.Addr() == ip && !c.peer.IsValid() {
			return true
		}
	}
	return false
}

// SetRoute takes the route to an IP away, so that tcp dials to it fail with
// syscall.EHOSTUNREACH, or gives it back.
func (n *Network) SetRoute(ip netip.Addr, route bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noRoute[ip] = !route
	n.changed.Broadcast()
}

// Cut makes the existing connections of an IP, at whichever end it is, a black
// hole: they deliver nothing more and nobody learns of it, as when a guest
// loses its address. New connections are not affected.
func (n *Network) Cut(ip netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut(ip)
}

// Move gives the host at from another address: its existing connections are
// cut, and what listens at from listens at to. Where somebody else listens at
// to already, that one keeps the port and the moved listener is not reached.
func (n *Network) Move(from, to netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if from == to {
		return
	}
	n.cut(from)
	if up, said := n.up[from]; said {
		delete(n.up, from)
		n.up[to] = up
	}
	for a, l := range n.streams {
		if a.Addr() == from {
			delete(n.streams, a)
			l.addr = netip.AddrPortFrom(to, a.Port())
			if n.streams[l.addr] == nil {
				n.streams[l.addr] = l
			}
		}
	}
	for a, c := range n.packets {
		if a.Addr() == from {
			delete(n.packets, a)
			c.addr = netip.AddrPortFrom(to, a.Port())
			if n.packets[c.addr] == nil {
				n.packets[c.addr] = c
			}
		}
	}
	n.changed.Broadcast()
}

func (n *Network) cut(ip netip.Addr) {
	for l := range n.conns {
		if l.has(ip) {
			l.cut()
			delete(n.conns, l)
		}
	}
}

// Reset ends the existing connections of an IP with syscall.ECONNRESET at both
// ends, after what had arrived before.
func (n *Network) Reset(ip netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.conns {
		if l.has(ip) {
			l.fail(syscall.ECONNRESET)
			delete(n.conns, l)
		}
	}
}
