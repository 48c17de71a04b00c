package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// sends is when, after the start, the query goes out over UDP: the first
// packets may be lost while the tunnel shakes hands.
var sends = [...]time.Duration{0, 500 * time.Millisecond, 1000 * time.Millisecond}

const (
	// udpLimit leaves TCP the rest of Limit.
	udpLimit = 1400 * time.Millisecond
	// afterGarbage is how long a good answer may come after one that is not,
	// before TCP is asked.
	afterGarbage = 200 * time.Millisecond
	// strangers is how many answers to other queries are read from a stream.
	strangers = 16
)

// QueryA asks server for the IPv4 address of name, over UDP and, where that
// brings no verdict, over TCP. It ends within Limit, and at once when ctx
// ends. dial has the form of net.Dialer's DialContext and is asked for "udp"
// and "tcp"; every connection is closed before QueryA returns.
//
// The server is asked itself: the system's resolver, its caches and /etc/hosts
// have no part in it.
func QueryA(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error),
	server netip.AddrPort, name string) Answer {
	start := time.Now()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	packet, err := query.Pack()
	if err != nil || name == "" {
		return Answer{Kind: Failed, Detail: clip(fmt.Sprintf("%q is no name to ask for", name))}
	}
	limited, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	a := asker{query: query, packet: packet, server: server.String(), dial: dial, start: start}
	answer := a.ask(limited)
	if errors.Is(ctx.Err(), context.Canceled) && !final(answer) {
		answer = Answer{Kind: Canceled, Transport: answer.Transport}
	}
	answer.Elapsed = time.Since(start)
	return answer
}

// asker is one question on its way.
type asker struct {
	query  *dns.Msg
	packet []byte
	server string
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	start  time.Time
}

// ask takes the verdict over UDP if it is one, else that over TCP; where
// neither is, the one that says more. Where both are silent, TCP's word stands:
// it waited last.
func (a asker) ask(ctx context.Context) Answer {
	udp := a.over(ctx, UDP, a.exchangePackets)
	if final(udp) || ctx.Err() != nil {
		return udp
	}
	tcp := a.over(ctx, TCP, a.exchangeStream)
	if final(tcp) || udp.Kind == NoAnswer || telling(tcp) > telling(udp) {
		return tcp
	}
	return udp
}

// final says whether a name server has answered the question. REFUSED counts;
// a closed port, which the other transport may not have, does not.
func final(a Answer) bool {
	switch a.Kind {
	case Address, Several, NXDomain, NoData, NotAuthoritative, ServFail:
		return true
	case Refused:
		return a.Detail != portClosed
	}
	return false
}

// telling orders what is not final by how much it says of the server.
func telling(a Answer) int {
	order := [...]Kind{NoAnswer, Failed, Unreachable, Refused, Truncated, Malformed}
	return slices.Index(order[:], a.Kind)
}

// over runs exchange on a fresh connection, which is closed when it is done
// or when ctx ends: closing, unlike a deadline, cannot be undone by the next
// deadline that exchange sets.
func (a asker) over(ctx context.Context, network string, exchange func(context.Context, net.Conn) Answer) Answer {
	var answer Answer
	conn, err := a.dial(ctx, network, a.server)
	if err != nil {
		answer = fromError(ctx, err)
	} else {
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		answer = exchange(ctx, conn)
		stop()
		_ = conn.Close()
	}
	answer.Transport = network
	return answer
}

// exchangePackets sends the query as sends says and reads until there is a
// verdict or the time is over. Packets with another id are passed over, they
// may be late answers to somebody else. One that is no good answer does not
// end the wait, but shortens it.
func (a asker) exchangePackets(ctx context.Context, conn net.Conn) Answer {
	last := Answer{Kind: NoAnswer} // the verdict if nothing better comes
	end := a.start.Add(udpLimit)
	todo := sends[:]
	buf := make([]byte, 4096)
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; now = time.Now() {
		if len(todo) > 0 && !now.Before(a.start.Add(todo[0])) {
			if _, err := conn.Write(a.packet); err != nil {
				return fromError(ctx, err)
			}
			todo = todo[1:]
		}
		_ = conn.SetReadDeadline(a.next(todo, end))
		n, err := conn.Read(buf)
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)):
			continue
		case err != nil:
			return fromError(ctx, err)
		case a.stranger(buf[:n]):
			continue
		}
		answer := VerdictFromBytes(a.query, buf[:n])
		if answer.Kind != Malformed {
			return answer
		}
		last, todo = answer, nil
		end = earlier(end, now.Add(afterGarbage))
	}
	return last
}

// next is when the reading must stop: for the next sending or at the end.
func (a asker) next(todo []time.Duration, end time.Time) time.Time {
	if len(todo) > 0 {
		return earlier(end, a.start.Add(todo[0]))
	}
	return end
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// stranger says whether packet is a DNS message about another query.
func (a asker) stranger(packet []byte) bool {
	return len(packet) >= headerSize && binary.BigEndian.Uint16(packet) != a.query.Id
}

// exchangeStream asks over TCP, where each message has its length in front
// (RFC 1035, 4.2.2).
func (a asker) exchangeStream(ctx context.Context, conn net.Conn) Answer {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(a.packet)))
	if _, err := conn.Write(append(framed, a.packet...)); err != nil {
		return fromError(ctx, err)
	}
	for range strangers {
		packet, err := readFramed(conn)
		if err != nil {
			return fromError(ctx, err)
		}
		if !a.stranger(packet) {
			return VerdictFromBytes(a.query, packet)
		}
	}
	return malformed("only answers to other queries")
}

func readFramed(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(r, packet); errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	return packet, nil
}

const portClosed = "the port is closed"

// fromError says what a failed dial, write or read means.
func fromError(ctx context.Context, err error) Answer {
	var timed net.Error
	switch {
	case ctx.Err() != nil, errors.As(err, &timed) && timed.Timeout():
		return Answer{Kind: NoAnswer}
	case errors.Is(err, syscall.ECONNREFUSED):
		return Answer{Kind: Refused, Detail: portClosed}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EHOSTDOWN), errors.Is(err, syscall.ENETDOWN):
		return Answer{Kind: Unreachable, Detail: clip(err.Error())}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("the connection ended within the answer")
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Answer{Kind: NoAnswer, Detail: "the server closed the connection without an answer"}
	}
	return Answer{Kind: Failed, Detail: clip(err.Error())}
}
