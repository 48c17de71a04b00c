package probe

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/mutms/mpd-virt-macos/internal/memnet"
)

var server = netip.MustParseAddrPort("10.163.0.3:53")

// reply makes the packets that a played server sends back for its n-th query,
// counted from 0.
type reply func(n int, q *dns.Msg) [][]byte

// always sends the good answer as changed by f.
func always(f func(m *dns.Msg)) reply { return from(0, f) }

// from does so from the n-th query on.
func from(first int, f func(m *dns.Msg)) reply {
	return func(n int, q *dns.Msg) [][]byte {
		if n < first {
			return nil
		}
		m := good(q)
		f(m)
		return [][]byte{pack(m)}
	}
}

func truth(*dns.Msg) {}

func cut(m *dns.Msg) { m.Truncated, m.Answer = true, nil }

func wrongID(m *dns.Msg) { m.Id++ }

func silence(int, *dns.Msg) [][]byte { return nil }

func garbage(int, *dns.Msg) [][]byte { return [][]byte{[]byte("garbage")} }

// world is a server in memory; nil means that the port is closed.
type world struct {
	udp, tcp reply
	down     bool // nobody has the server's address
	noRoute  bool
}

func (w world) start(t *testing.T) *memnet.Network {
	n := memnet.New()
	n.SetUp(server.Addr(), !w.down)
	n.SetRoute(server.Addr(), !w.noRoute)
	if w.udp != nil {
		pc, err := n.ListenPacket(server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pc.Close() })
		go servePackets(pc, w.udp)
	}
	if w.tcp != nil {
		ln, err := n.Listen(server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		go serveStreams(ln, w.tcp)
	}
	return n
}

func servePackets(pc net.PacketConn, answer reply) {
	buf := make([]byte, 512)
	for i := 0; ; i++ {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		for _, b := range answer(i, parseQuery(buf[:n])) {
			_, _ = pc.WriteTo(b, from)
		}
	}
}

// serveStreams sends each packet with its length in front; an empty one ends
// the connection.
func serveStreams(ln net.Listener, answer reply) {
	for i := 0; ; i++ {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			query, err := readFramed(conn)
			if err != nil {
				return
			}
			for _, b := range answer(i, parseQuery(query)) {
				if len(b) == 0 {
					return
				}
				_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
			}
			_, _ = conn.Read(make([]byte, 1)) // until the client goes
		}()
	}
}

func parseQuery(b []byte) *dns.Msg {
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		panic(err)
	}
	return &m
}

// counted wraps a dial so that open connections can be counted.
func counted(open *atomic.Int64, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open.Add(1)
		return &countedConn{Conn: conn, open: open}, nil
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

type countedConn struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

func TestQueryA(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name      string
		world     world
		kind      Kind
		transport string
		elapsed   time.Duration
	}{
		{"good", world{udp: always(truth)}, Address, UDP, 0},
		{"first packet lost", world{udp: from(1, truth)}, Address, UDP, 500 * ms},
		{"two packets lost", world{udp: from(2, truth)}, Address, UDP, 1000 * ms},
		{"only over TCP", world{udp: silence, tcp: always(truth)}, Address, TCP, udpLimit},
		{"port closed for UDP", world{tcp: always(truth)}, Address, TCP, 0},
		{"ports closed", world{}, Refused, UDP, 0},
		{"closed for TCP, silent on UDP", world{udp: silence}, Refused, TCP, udpLimit},
		{"nobody there", world{down: true}, NoAnswer, TCP, Limit},
		{"silent", world{udp: silence, tcp: silence}, NoAnswer, TCP, Limit},
		{"no route", world{noRoute: true}, Unreachable, TCP, udpLimit},
		{"cut, whole over TCP", world{udp: always(cut), tcp: always(truth)}, Address, TCP, 0},
		{"cut, TCP closed", world{udp: always(cut)}, Truncated, UDP, 0},
		{"cut, TCP silent", world{udp: always(cut), tcp: silence}, Truncated, UDP, Limit},
		{"cut over both", world{udp: always(cut), tcp: always(cut)}, Truncated, UDP, 0},
		{"wrong id, then good", world{udp: func(n int, q *dns.Msg) [][]byte {
			return append(always(wrongID)(n, q), always(truth)(n, q)...)
		}}, Address, UDP, 0},
		{"only wrong ids", world{udp: always(wrongID), tcp: silence}, NoAnswer, TCP, Limit},
		{"wrong ids over TCP", world{tcp: func(n int, q *dns.Msg) [][]byte {
			return append(always(wrongID)(n, q), always(truth)(n, q)...)
		}}, Address, TCP, 0},
		{"garbage, then good", world{udp: func(n int, q *dns.Msg) [][]byte {
			return append(garbage(n, q), always(truth)(n, q)...)
		}}, Address, UDP, 0},
		{"garbage, good over TCP", world{udp: garbage, tcp: always(truth)}, Address, TCP, afterGarbage},
		{"garbage, TCP silent", world{udp: garbage, tcp: silence}, Malformed, UDP, Limit},
		{"garbage over TCP", world{udp: silence, tcp: garbage}, Malformed, TCP, udpLimit},
		{"TCP hangs up", world{udp: silence, tcp: func(int, *dns.Msg) [][]byte { return [][]byte{nil} }}, NoAnswer, TCP, udpLimit},
		{"another's tunnel", world{udp: always(func(m *dns.Msg) { m.Answer[0].(*dns.A).A[3] = 151 })}, Address, UDP, 0},
		{"NXDOMAIN is final", world{udp: always(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNameError, nil }), tcp: always(truth)}, NXDomain, UDP, 0},
		{"SERVFAIL is final", world{udp: always(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }), tcp: always(truth)}, ServFail, UDP, 0},
		{"REFUSED is final", world{udp: always(func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeRefused, nil }), tcp: always(truth)}, Refused, UDP, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int64
				got := QueryA(t.Context(), counted(&open, tc.world.start(t).DialContext), server, name)
				if got.Kind != tc.kind || got.Transport != tc.transport || got.Elapsed != tc.elapsed {
					t.Errorf("QueryA = %+v, want %s over %s after %v", got, tc.kind, tc.transport, tc.elapsed)
				}
				if got.Addr.IsValid() != (got.Kind == Address) {
					t.Errorf("Addr = %v with kind %s", got.Addr, got.Kind)
				}
				if n := open.Load(); n != 0 {
					t.Errorf("%d connections left open", n)
				}
			})
		})
	}
}

func TestQueryALies(t *testing.T) {
	for _, tc := range lies {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world{udp: always(tc.lie), tcp: always(tc.lie)}
				got := QueryA(t.Context(), w.start(t).DialContext, server, name)
				want := tc.kind
				if tc.name == "another id" { // a stream has nobody else's answers
					want = NoAnswer
				}
				if got.Kind != want || got.Addr.IsValid() {
					t.Errorf("QueryA = %+v, want %s", got, want)
				}
			})
		})
	}
}

func TestQueryAEndsWithItsCaller(t *testing.T) {
	for name, tc := range map[string]struct {
		world world
		after time.Duration
	}{
		"at once":               {world{udp: silence}, 0},
		"while UDP is silent":   {world{udp: silence}, 300 * time.Millisecond},
		"while TCP is dialed":   {world{down: true}, 1700 * time.Millisecond},
		"while TCP is silent":   {world{udp: always(cut), tcp: silence}, 300 * time.Millisecond},
		"while garbage is read": {world{udp: garbage}, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial := tc.world.start(t).DialContext
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(tc.after, cancel)
				if got := QueryA(ctx, dial, server, "vm.service.mpd.test"); got.Kind != Canceled || got.Elapsed != tc.after {
					t.Errorf("QueryA = %+v, want canceled after %v", got, tc.after)
				}
				ctx, cancel = context.WithTimeout(t.Context(), 250*time.Millisecond)
				defer cancel()
				if got := QueryA(ctx, dial, server, "vm.service.mpd.test"); got.Kind == Canceled || got.Elapsed > 250*time.Millisecond {
					t.Errorf("QueryA = %+v, want an end at the caller's deadline", got)
				}
			})
		})
	}
}

func TestQueryACannotAsk(t *testing.T) {
	deny := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "udp", Err: syscall.EPERM}
	}
	if got := QueryA(t.Context(), deny, server, name); got.Kind != Failed || got.Detail == "" {
		t.Errorf("not permitted: %+v", got)
	}
	for _, bad := range []string{"", "a..b", string(make([]byte, 300))} {
		if got := QueryA(t.Context(), deny, server, bad); got.Kind != Failed || got.Detail == "" {
			t.Errorf("name %.20q: %+v", bad, got)
		}
	}
}

// The real thing: sockets, and the library's server.
func TestQueryALoopback(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback here:", err)
	}
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(good(q))
	})}
	started, ended := make(chan struct{}), make(chan error, 1)
	srv.NotifyStartedFunc = func() { close(started) }
	go func() { ended <- srv.ActivateAndServe() }()
	<-started
	at := netip.MustParseAddrPort(pc.LocalAddr().String())
	var d net.Dialer
	if got := QueryA(t.Context(), d.DialContext, at, name); got.Kind != Address || got.Addr != vm || got.Transport != UDP {
		t.Errorf("QueryA = %+v", got)
	}
	_ = srv.Shutdown()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := QueryA(t.Context(), d.DialContext, at, name); got.Kind != Refused || got.Elapsed > Limit {
		t.Errorf("closed port: %+v", got)
	}
}
