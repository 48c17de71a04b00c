package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// headerSize is the length of a DNS header in bytes (RFC 1035, 4.1.1).
const headerSize = 12

// VerdictFromBytes says what packet, as it came from the network and without
// TCP's length in front, answers to query, which must hold one question for
// an A record. It never panics and does not keep packet.
//
// The DNS library checks little (it takes a query for an answer, an answer to
// another question, wrong counts, bytes at the end), so every field that
// matters is compared here. Letter case in names does not count.
func VerdictFromBytes(query *dns.Msg, packet []byte) Answer {
	if len(query.Question) != 1 {
		return Answer{Kind: Failed, Detail: "the query does not hold one question"}
	}
	m, err := parse(packet)
	if err == nil {
		err = matches(query, m)
	}
	if err != nil {
		return malformed("%v", err)
	}
	switch {
	case m.hdr.Truncated:
		return Answer{Kind: Truncated, Detail: "the answer is marked as cut"}
	case m.hdr.Rcode != dns.RcodeSuccess:
		return fromRcode(m.hdr.Rcode)
	case len(m.answer) == 0:
		return Answer{Kind: NoData, Detail: "the answer holds no record"}
	}
	return fromRecords(query.Question[0], m)
}

func malformed(format string, args ...any) Answer {
	return Answer{Kind: Malformed, Detail: clip(fmt.Sprintf(format, args...))}
}

// message is a packet taken apart.
type message struct {
	hdr      dns.MsgHdr
	question []dns.Question
	answer   []dns.RR
}

// parse reads all of packet: the sections as the header counts them, and
// nothing after them. dns.Msg.Unpack would correct wrong counts silently.
func parse(packet []byte) (message, error) {
	var m message
	if len(packet) < headerSize {
		return m, fmt.Errorf("%d bytes are no DNS message", len(packet))
	}
	var bare dns.Msg
	if err := bare.Unpack(packet[:headerSize]); err != nil {
		return m, fmt.Errorf("header: %w", err)
	}
	m.hdr = bare.MsgHdr
	count := func(i int) int { return int(binary.BigEndian.Uint16(packet[4+2*i:])) }

	off, err := headerSize, error(nil)
	for i := range count(0) {
		var q dns.Question
		if q, off, err = parseQuestion(packet, off); err != nil {
			return m, fmt.Errorf("question %d: %w", i+1, err)
		}
		m.question = append(m.question, q)
	}
	for section := 1; section <= 3; section++ {
		for i := range count(section) {
			var rr dns.RR
			if rr, off, err = parseRecord(packet, off); err != nil {
				return m, fmt.Errorf("record %d of section %d: %w", i+1, section, err)
			}
			if section == 1 {
				m.answer = append(m.answer, rr)
			}
			if opt, ok := rr.(*dns.OPT); ok { // the upper bits of the code
				m.hdr.Rcode |= opt.ExtendedRcode()
			}
		}
	}
	if off != len(packet) {
		return m, fmt.Errorf("%d bytes after its end", len(packet)-off)
	}
	return m, nil
}

var errShort = errors.New("the message ends before it")

func parseQuestion(packet []byte, off int) (dns.Question, int, error) {
	name, off, err := dns.UnpackDomainName(packet, off)
	if err != nil {
		return dns.Question{}, 0, err
	}
	if off < 0 || len(packet)-off < 4 {
		return dns.Question{}, 0, errShort
	}
	return dns.Question{
		Name:   name,
		Qtype:  binary.BigEndian.Uint16(packet[off:]),
		Qclass: binary.BigEndian.Uint16(packet[off+2:]),
	}, off + 4, nil
}

func parseRecord(packet []byte, off int) (dns.RR, int, error) {
	if off >= len(packet) { // the library makes an empty record of nothing
		return nil, 0, errShort
	}
	rr, off, err := dns.UnpackRR(packet, off)
	if err != nil {
		return nil, 0, err
	}
	return rr, off, nil
}

// matches says why m cannot be the answer to query.
func matches(query *dns.Msg, m message) error {
	want := query.Question[0]
	switch {
	case m.hdr.Id != query.Id:
		return errors.New("the answer to another query (its id)")
	case !m.hdr.Response:
		return errors.New("a query, not an answer")
	case m.hdr.Opcode != query.Opcode:
		return fmt.Errorf("the answer to another operation (%d)", m.hdr.Opcode)
	case len(m.question) == 0 && m.hdr.Rcode != dns.RcodeSuccess && m.hdr.Rcode != dns.RcodeNameError:
		return nil // servers that refuse or fail may leave the question out
	case len(m.question) != 1:
		return fmt.Errorf("%d questions in the answer", len(m.question))
	}
	got := m.question[0]
	if !sameName(got.Name, want.Name) || got.Qtype != want.Qtype || got.Qclass != want.Qclass {
		return fmt.Errorf("the answer to another question (%s)", question(got))
	}
	return nil
}

// sameName compares names in the library's text form, which is ASCII.
func sameName(a, b string) bool { return dns.CanonicalName(a) == dns.CanonicalName(b) }

func question(q dns.Question) string {
	return fmt.Sprintf("%s %s %s", clip(q.Name), dns.Class(q.Qclass), dns.Type(q.Qtype))
}

func fromRcode(code int) Answer {
	name, ok := dns.RcodeToString[code]
	if !ok {
		name = fmt.Sprintf("code %d", code)
	}
	detail := "the server answers " + name
	switch code {
	case dns.RcodeNameError:
		return Answer{Kind: NXDomain, Detail: detail}
	case dns.RcodeRefused:
		return Answer{Kind: Refused, Detail: detail}
	}
	return Answer{Kind: ServFail, Detail: detail}
}

// fromRecords judges an answer without error: A records of the asked name and
// nothing else. The VM's name server holds the name itself, so an alias or
// another type means that somebody else answers.
func fromRecords(q dns.Question, m message) Answer {
	var addrs []netip.Addr
	for _, rr := range m.answer {
		h := rr.Header()
		a, ok := rr.(*dns.A)
		if !ok || h.Class != q.Qclass || !sameName(h.Name, q.Name) {
			return malformed("a record that was not asked for (%s)",
				question(dns.Question{Name: h.Name, Qtype: h.Rrtype, Qclass: h.Class}))
		}
		addr, ok := netip.AddrFromSlice(a.A.To4())
		if !ok {
			return malformed("an address record without an address")
		}
		addrs = append(addrs, addr)
	}
	switch {
	case !m.hdr.Authoritative:
		return Answer{Kind: NotAuthoritative, Addrs: addrs, Detail: "the server does not own the name"}
	case len(addrs) > 1:
		return Answer{Kind: Several, Addrs: addrs, Detail: fmt.Sprintf("%d addresses", len(addrs))}
	}
	return Answer{Kind: Address, Addr: addrs[0], Addrs: addrs}
}

// clip makes foreign text short and printable.
func clip(s string) string {
	const most = 120
	b := make([]byte, 0, min(len(s), most+3))
	for i := range len(s) {
		if i == most {
			return string(append(b, "..."...))
		}
		if c := s[i]; c >= ' ' && c < 0x7f {
			b = append(b, c)
		} else {
			b = append(b, '?')
		}
	}
	return string(b)
}
