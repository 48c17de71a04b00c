package memnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how much one direction of a connection holds unread.
const window = 256 << 10

// backlog is how many connections wait for Accept; more are refused.
const backlog = 128

func (n *Network) dialStream(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, opError("dial", "tcp", nil, tcpAddr(to), err)
	}
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changed.Broadcast()
	})
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		l := n.streams[to]
		up, said := n.up[to.Addr()]
		switch {
		case n.noRoute[to.Addr()]:
			return fail(syscall.EHOSTUNREACH)
		case said && !up || !said && l == nil && !n.listens(to.Addr()):
			n.changed.Wait()
		case l == nil || len(l.queue) >= backlog:
			return fail(syscall.ECONNREFUSED)
		default:
			k := newLink(n, n.source(to.Addr()), to)
			n.conns[k] = true
			l.queue = append(l.queue, k.end(true))
			n.changed.Broadcast()
			return k.end(false), nil
		}
	}
}

// listener is guarded by its network's mutex.
type listener struct {
	net    *Network
	addr   netip.AddrPort
	queue  []net.Conn
	closed bool
}

func (l *listener) Accept() (net.Conn, error) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.net.changed.Wait()
	}
	if l.closed {
		return nil, opError("accept", "tcp", nil, tcpAddr(l.addr), net.ErrClosed)
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

func (l *listener) Addr() net.Addr {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	return tcpAddr(l.addr)
}

// Close refuses what waits for Accept, as a real one does.
func (l *listener) Close() error {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	if l.closed {
		return opError("close", "tcp", nil, tcpAddr(l.addr), net.ErrClosed)
	}
	l.closed = true
	if l.net.streams[l.addr] == l {
		delete(l.net.streams, l.addr)
	}
	for _, c := range l.queue {
		k := c.(*stream).link
		k.fail(syscall.ECONNRESET)
		delete(l.net.conns, k)
	}
	l.queue = nil
	l.net.changed.Broadcast()
	return nil
}

// link is one connection: two directions between two addresses.
type link struct {
	net            *Network
	client, server netip.AddrPort
	up, down       *pipe // client to server, server to client
}

func newLink(n *Network, client, server netip.AddrPort) *link {
	return &link{net: n, client: client, server: server, up: newPipe(), down: newPipe()}
}

func (l *link) has(ip netip.Addr) bool { return l.client.Addr() == ip || l.server.Addr() == ip }

func (l *link) hold(on bool) { l.both(func(p *pipe) { p.held = on }) }

func (l *link) cut() { l.both(func(p *pipe) { p.cut = true }) }

func (l *link) fail(err error) { l.both(func(p *pipe) { p.err = err }) }

func (l *link) both(change func(*pipe)) {
	l.up.change(func() { change(l.up) })
	l.down.change(func() { change(l.down) })
}

func (l *link) end(server bool) *stream {
	if server {
		return &stream{link: l, in: l.up, out: l.down, local: l.server, remote: l.client}
	}
	return &stream{link: l, in: l.down, out: l.up, local: l.client, remote: l.server}
}

// pipe is one direction of a connection.
type pipe struct {
	mu     sync.Mutex
	turned *sync.Cond
	data   []byte
	held   bool  // nothing arrives until this ends
	cut    bool  // nothing arrives any more
	err    error // the connection was reset

	writerGone, readerGone      bool // that end called Close
	readDeadline, writeDeadline time.Time
	readWakeup, writeWakeup     *time.Timer
}

func newPipe() *pipe {
	p := &pipe{}
	p.turned = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.turned.Broadcast()
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		arrives := !p.held && !p.cut
		switch {
		case p.readerGone:
			return 0, net.ErrClosed
		case past(p.readDeadline):
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case arrives && len(p.data) > 0:
			n := copy(b, p.data)
			if p.data = p.data[n:]; len(p.data) == 0 {
				p.data = nil
			}
			p.turned.Broadcast()
			return n, nil
		case p.err != nil:
			return 0, p.err
		case arrives && p.writerGone:
			return 0, io.EOF
		}
		p.turned.Wait()
	}
}

func (p *pipe) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := 0
	for {
		switch room := window - len(p.data); {
		case p.writerGone:
			return done, net.ErrClosed
		case past(p.writeDeadline):
			return done, os.ErrDeadlineExceeded
		case p.err != nil:
			return done, p.err
		case p.readerGone && !p.cut && !p.held:
			return done, syscall.EPIPE
		case done == len(b):
			return done, nil
		case room > 0:
			n := min(room, len(b)-done)
			p.data = append(p.data, b[done:done+n]...)
			if done += n; done == len(b) {
				p.turned.Broadcast()
				return done, nil
			}
			p.turned.Broadcast()
		default:
			p.turned.Wait()
		}
	}
}

// past says whether a deadline is over; the zero Time is none.
func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

// wake arranges that those who wait look again at time t.
func (p *pipe) wake(old *time.Timer, t time.Time) *time.Timer {
	if old != nil {
		old.Stop()
	}
	if t.IsZero() || past(t) {
		return nil
	}
	return time.AfterFunc(time.Until(t), func() { p.change(func() {}) })
}

func (p *pipe) setReadDeadline(t time.Time) {
	p.change(func() { p.readDeadline, p.readWakeup = t, p.wake(p.readWakeup, t) })
}

func (p *pipe) setWriteDeadline(t time.Time) {
	p.change(func() { p.writeDeadline, p.writeWakeup = t, p.wake(p.writeWakeup, t) })
}

// stream is one end of a connection.
type stream struct {
	link          *link
	in, out       *pipe
	local, remote netip.AddrPort
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.in.read(b)
	return n, s.wrap("read", err)
}

func (s *stream) Write(b []byte) (int, error) {
	n, err := s.out.write(b)
	return n, s.wrap("write", err)
}

func (s *stream) wrap(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return opError(op, "tcp", s.LocalAddr(), s.RemoteAddr(), err)
}

// Close lets the other end read what was written before and then io.EOF.
func (s *stream) Close() error {
	var again, over bool
	s.in.change(func() {
		again, s.in.readerGone = s.in.readerGone, true
		s.in.data = nil
		s.in.readWakeup = s.in.wake(s.in.readWakeup, time.Time{})
		over = s.in.writerGone
	})
	if again {
		return s.wrap("close", net.ErrClosed)
	}
	s.out.change(func() {
		s.out.writerGone = true
		s.out.writeWakeup = s.out.wake(s.out.writeWakeup, time.Time{})
	})
	if over { // the other end is closed too: nothing is left to cut or reset
		s.link.net.mu.Lock()
		delete(s.link.net.conns, s.link)
		s.link.net.mu.Unlock()
	}
	return nil
}

func (s *stream) LocalAddr() net.Addr  { return tcpAddr(s.local) }
func (s *stream) RemoteAddr() net.Addr { return tcpAddr(s.remote) }

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) SetReadDeadline(t time.Time) error {
	s.in.setReadDeadline(t)
	return nil
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.out.setWriteDeadline(t)
	return nil
}
