package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

var (
	vm   = netip.MustParseAddr("10.211.55.37")
	next = netip.MustParseAddr("10.211.55.150")
	ssh  = netip.AddrPortFrom(vm, 22)
)

// TestConn runs x/net's own suite for net.Conn implementations.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		a, b := connect(t, New(), ssh)
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

// connect dials to a new listener at addr and returns both ends.
func connect(t *testing.T, n *Network, addr netip.AddrPort) (client, server net.Conn) {
	t.Helper()
	l, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	client, err = n.DialContext(t.Context(), "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestDialStream(t *testing.T) {
	tests := []struct {
		name  string
		world func(*Network)
		want  error
		after time.Duration
	}{
		{"nobody", func(*Network) {}, context.DeadlineExceeded, 10 * time.Second},
		{"down", func(n *Network) { n.Listen(ssh); n.SetUp(vm, false) }, context.DeadlineExceeded, 10 * time.Second},
		{"closed port", func(n *Network) { n.SetUp(vm, true) }, syscall.ECONNREFUSED, 0},
		{"another port open", func(n *Network) { n.Listen(netip.AddrPortFrom(vm, 80)) }, syscall.ECONNREFUSED, 0},
		{"no route", func(n *Network) { n.Listen(ssh); n.SetRoute(vm, false) }, syscall.EHOSTUNREACH, 0},
		{"open", func(n *Network) { n.Listen(ssh) }, nil, 0},
		{"comes up", func(n *Network) { time.AfterFunc(3*time.Second, func() { n.Listen(ssh) }) }, nil, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, start := New(), time.Now()
				tt.world(n)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := n.DialContext(ctx, "tcp", ssh.String())
				if !errors.Is(err, tt.want) {
					t.Errorf("dial = %v, want %v", err, tt.want)
				}
				if got := time.Since(start); got != tt.after {
					t.Errorf("it took %v, want %v", got, tt.after)
				}
				var op *net.OpError
				if err != nil && (!errors.As(err, &op) || op.Op != "dial") {
					t.Errorf("error is %T, want a *net.OpError of dial", err)
				}
			})
		})
	}
}

func TestCancelledDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := New().DialContext(ctx, "tcp", ssh.String()); !errors.Is(err, context.Canceled) {
			t.Errorf("dial = %v, want canceled", err)
		}
	})
}

func TestDialBadAddress(t *testing.T) {
	for _, tt := range [][2]string{{"tcp", "host:22"}, {"tcp", "10.0.0.1"}, {"unix", "10.0.0.1:22"}} {
		if c, err := New().DialContext(t.Context(), tt[0], tt[1]); err == nil || c != nil {
			t.Errorf("dial %s %s = %v, %v, want an error", tt[0], tt[1], c, err)
		}
	}
}

func TestListenTwice(t *testing.T) {
	n := New()
	l, err := n.Listen(ssh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen(ssh); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v, want EADDRINUSE", err)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v, want net.ErrClosed", err)
	}
	if _, err := n.Listen(ssh); err != nil {
		t.Errorf("listen after Close: %v", err)
	}
}

func TestFreePorts(t *testing.T) {
	n := New()
	a, _ := n.Listen(netip.AddrPortFrom(vm, 0))
	b, _ := n.Listen(netip.AddrPortFrom(vm, 0))
	if a.Addr().String() == b.Addr().String() || a.Addr().(*net.TCPAddr).Port == 0 {
		t.Errorf("ports %v and %v, want two different ones", a.Addr(), b.Addr())
	}
}

func TestAddresses(t *testing.T) {
	c, s := connect(t, New(), ssh)
	if got := c.RemoteAddr().String(); got != "10.211.55.37:22" {
		t.Errorf("remote address %s", got)
	}
	if c.LocalAddr().String() != s.RemoteAddr().String() {
		t.Errorf("ends disagree: %v, %v", c.LocalAddr(), s.RemoteAddr())
	}
}

// TestMove plays what a change of address does to an open connection: nothing
// arrives, nothing fails.
func TestMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		c, s := connect(t, n, ssh)
		n.Move(vm, next)
		if _, err := c.Write([]byte("into the void")); err != nil {
			t.Errorf("write: %v", err)
		}
		s.Close()
		c.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read = %v, want only the deadline", err)
		}
		c.SetWriteDeadline(time.Now().Add(time.Hour))
		if _, err := c.Write(make([]byte, 2*window)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("long write = %v, want only the deadline", err)
		}
		if n.Up(vm) || !n.Up(next) {
			t.Error("the host did not move")
		}
		if _, err := n.DialContext(t.Context(), "tcp", "10.211.55.150:22"); err != nil {
			t.Errorf("dial at the new address: %v", err)
		}
		c.Close()
	})
}

func TestMoveOntoAnother(t *testing.T) {
	n := New()
	moved, _ := n.Listen(ssh)
	other, _ := n.Listen(netip.AddrPortFrom(next, 22))
	n.Move(vm, next)
	if _, err := n.DialContext(t.Context(), "tcp", "10.211.55.150:22"); err != nil {
		t.Fatal(err)
	}
	if len(other.(*listener).queue) != 1 || len(moved.(*listener).queue) != 0 {
		t.Error("the one who was there first was not reached")
	}
	moved.Close()
	if _, err := n.DialContext(t.Context(), "tcp", "10.211.55.150:22"); err != nil {
		t.Errorf("closing the moved listener closed the other: %v", err)
	}
}

func TestReset(t *testing.T) {
	n := New()
	c, s := connect(t, n, ssh)
	s.Write([]byte("last words"))
	n.Reset(vm)
	got, err := io.ReadAll(c)
	if string(got) != "last words" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %q, %v, want what had arrived, then ECONNRESET", got, err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("write = %v, want ECONNRESET", err)
	}
}

// TestSleep: a suspended host's connections go on when it wakes.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		c, s := connect(t, n, ssh)
		n.SetUp(vm, false)
		s.Write([]byte("x"))
		time.AfterFunc(time.Minute, func() { n.SetUp(vm, true) })
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != nil || time.Since(start) != time.Minute {
			t.Errorf("read after %v, %v, want after a minute", time.Since(start), err)
		}
	})
}

func TestCloseRefusesTheQueue(t *testing.T) {
	n := New()
	l, _ := n.Listen(ssh)
	c, err := n.DialContext(t.Context(), "tcp", ssh.String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read = %v, want ECONNRESET", err)
	}
	if len(n.conns) != 0 {
		t.Errorf("%d connections are still known", len(n.conns))
	}
}

func TestBothClosedAreForgotten(t *testing.T) {
	n := New()
	c, s := connect(t, n, ssh)
	s.Close()
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to a closed end: %v, want EPIPE", err)
	}
	c.Close()
	if len(n.conns) != 0 {
		t.Errorf("%d connections are still known", len(n.conns))
	}
}

func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, dns := New(), netip.AddrPortFrom(vm, 53)
		s, err := n.ListenPacket(dns)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := n.DialContext(t.Context(), "udp", dns.String())
		if _, ok := c.(net.PacketConn); !ok {
			t.Error("a dialed udp connection is no net.PacketConn")
		}
		c.Write([]byte("one"))
		c.Write([]byte("two"))
		b := make([]byte, 10)
		for _, want := range []string{"one", "two"} {
			k, from, err := s.ReadFrom(b)
			if err != nil || string(b[:k]) != want || from.String() != c.LocalAddr().String() {
				t.Errorf("got %q from %v, %v, want %q", b[:k], from, err, want)
			}
		}
		s.WriteTo([]byte("reply"), c.LocalAddr())
		if k, err := c.Read(b); err != nil || !bytes.Equal(b[:k], []byte("reply")) {
			t.Errorf("reply %q, %v", b[:k], err)
		}
		n.SetUp(vm, false)
		c.Write([]byte("lost"))
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read from a dead host = %v, want the deadline", err)
		}
		c.Close()
		s.Close()
		if len(n.packets) != 0 {
			t.Errorf("%d sockets are still known", len(n.packets))
		}
	})
}

func TestPacketToClosedPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		n.SetUp(vm, true)
		c, _ := n.DialContext(t.Context(), "udp", "10.211.55.37:53")
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("read = %v, want ECONNREFUSED", err)
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("second read = %v, want the deadline", err)
		}
	})
}

// TestStranger: a connected socket hears only its peer.
func TestStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		stranger, _ := n.ListenPacket(netip.AddrPortFrom(next, 53))
		c, _ := n.DialContext(t.Context(), "udp", "10.211.55.37:53")
		stranger.WriteTo([]byte("me!"), c.LocalAddr())
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read = %v, want the deadline", err)
		}
	})
}
