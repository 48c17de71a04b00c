package memnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// queue is how many packets a socket holds unread; more are dropped.
const queue = 256

type packet struct {
	from netip.AddrPort
	data []byte
}

// packetConn is a packet socket: a listening one, or, with a peer, a dialed
// one, which is also a net.Conn. addr is guarded by the network's mutex, the
// rest by its own.
type packetConn struct {
	net  *Network
	addr netip.AddrPort
	peer netip.AddrPort // invalid for a listening one

	mu                          sync.Mutex
	turned                      *sync.Cond
	waiting                     []packet
	refused                     bool // an answer "port closed" came, to be reported once
	closed                      bool
	readDeadline, writeDeadline time.Time
	wakeup                      *time.Timer
}

func newPacketConn(n *Network, addr, peer netip.AddrPort) *packetConn {
	c := &packetConn{net: n, addr: addr, peer: peer}
	c.turned = sync.NewCond(&c.mu)
	return c
}

func (n *Network) dialPacket(to netip.AddrPort) net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	from := n.source(to.Addr())
	for n.taken(from) {
		from = n.source(to.Addr())
	}
	c := newPacketConn(n, from, to)
	n.packets[from] = c
	return c
}

// send delivers one packet, to nobody if that is how it is.
func (n *Network) send(from *packetConn, to netip.AddrPort, b []byte) {
	n.mu.Lock()
	source := from.addr
	up, said := n.up[to.Addr()]
	gone := said && !up || !n.isUp(source.Addr()) || n.noRoute[to.Addr()]
	target := n.packets[to]
	exists := up || n.listens(to.Addr())
	n.mu.Unlock()
	switch {
	case gone:
	case target != nil:
		target.deliver(packet{source, append([]byte(nil), b...)})
	case exists && from.peer.IsValid():
		from.change(func() { from.refused = true })
	}
}

func (c *packetConn) deliver(p packet) {
	c.change(func() {
		if !c.closed && len(c.waiting) < queue && (!c.peer.IsValid() || c.peer == p.from) {
			c.waiting = append(c.waiting, p)
		}
	})
}

func (c *packetConn) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	c.turned.Broadcast()
}

func (c *packetConn) receive() (packet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return packet{}, net.ErrClosed
		case past(c.readDeadline):
			return packet{}, os.ErrDeadlineExceeded
		case c.refused:
			c.refused = false
			return packet{}, syscall.ECONNREFUSED
		case len(c.waiting) > 0:
			p := c.waiting[0]
			c.waiting = c.waiting[1:]
			return p, nil
		}
		c.turned.Wait()
	}
}

// ReadFrom drops the rest of a packet that is longer than b.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	p, err := c.receive()
	if err != nil {
		return 0, nil, c.wrap("read", err)
	}
	return copy(b, p.data), udpAddr(p.from), nil
}

func (c *packetConn) Read(b []byte) (int, error) {
	n, _, err := c.ReadFrom(b)
	return n, err
}

func (c *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.peer.IsValid() {
		return 0, c.wrap("write", net.ErrWriteToConnected)
	}
	a, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, c.wrap("write", syscall.EINVAL)
	}
	to4 := a.AddrPort()
	return c.write(b, netip.AddrPortFrom(to4.Addr().Unmap(), to4.Port()))
}

func (c *packetConn) Write(b []byte) (int, error) {
	if !c.peer.IsValid() {
		return 0, c.wrap("write", syscall.EDESTADDRREQ)
	}
	return c.write(b, c.peer)
}

func (c *packetConn) write(b []byte, to netip.AddrPort) (int, error) {
	c.mu.Lock()
	var err error
	switch {
	case c.closed:
		err = net.ErrClosed
	case past(c.writeDeadline):
		err = os.ErrDeadlineExceeded
	case len(b) > 65507: // the most that fits in one IPv4 packet
		err = syscall.EMSGSIZE
	case c.refused:
		c.refused, err = false, syscall.ECONNREFUSED
	}
	c.mu.Unlock()
	if err != nil {
		return 0, c.wrap("write", err)
	}
	c.net.send(c, to, b)
	return len(b), nil
}

func (c *packetConn) Close() error {
	var again bool
	c.change(func() {
		again, c.closed = c.closed, true
		c.waiting = nil
		if c.wakeup != nil {
			c.wakeup.Stop()
		}
	})
	if again {
		return c.wrap("close", net.ErrClosed)
	}
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.net.packets[c.addr] == c {
		delete(c.net.packets, c.addr)
	}
	return nil
}

func (c *packetConn) LocalAddr() net.Addr {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	return udpAddr(c.addr)
}

// RemoteAddr is nil for a listening socket.
func (c *packetConn) RemoteAddr() net.Addr {
	if !c.peer.IsValid() {
		return nil
	}
	return udpAddr(c.peer)
}

func (c *packetConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.change(func() {
		c.readDeadline = t
		if c.wakeup != nil {
			c.wakeup.Stop()
			c.wakeup = nil
		}
		if !t.IsZero() && !past(t) {
			c.wakeup = time.AfterFunc(time.Until(t), func() { c.change(func() {}) })
		}
	})
	return nil
}

// SetWriteDeadline counts only when it is over: a write never waits.
func (c *packetConn) SetWriteDeadline(t time.Time) error {
	c.change(func() { c.writeDeadline = t })
	return nil
}

func (c *packetConn) wrap(op string, err error) error {
	return opError(op, "udp", c.LocalAddr(), c.RemoteAddr(), err)
}
