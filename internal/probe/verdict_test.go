package probe

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const name = "vm.service.mpd.test"

var vm = netip.MustParseAddr("10.211.55.150")

// ask makes the query of the tests.
func ask() *dns.Msg {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	q.Id = 0x4d50
	return q
}

// good is what the VM's name server answers to q.
func good(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative, m.RecursionAvailable, m.Compress = true, true, true
	m.Answer = []dns.RR{record(q.Question[0].Name, vm)}
	return m
}

func record(owner string, addr netip.Addr) dns.RR {
	return &dns.A{Hdr: header(owner, dns.TypeA), A: net.IP(addr.AsSlice())}
}

func header(owner string, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: t, Class: dns.ClassINET}
}

func pack(m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// lies is what may come instead of the good answer, and what it is.
var lies = []struct {
	name string
	kind Kind
	lie  func(m *dns.Msg)
}{
	{"another id", Malformed, func(m *dns.Msg) { m.Id++ }},
	{"a query with the answer in it", Malformed, func(m *dns.Msg) { m.Response = false }},
	{"another operation", Malformed, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }},
	{"another name asked", Malformed, func(m *dns.Msg) { m.Question[0].Name = "vm.service.mpd.example." }},
	{"another type asked", Malformed, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }},
	{"another class asked", Malformed, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }},
	{"no question", Malformed, func(m *dns.Msg) { m.Question = nil }},
	{"two questions", Malformed, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }},
	{"another owner", Malformed, func(m *dns.Msg) { m.Answer[0].Header().Name = "xm.service.mpd.test." }},
	{"class CH", Malformed, func(m *dns.Msg) { m.Answer[0].Header().Class = dns.ClassCHAOS }},
	{"an alias beside the address", Malformed, func(m *dns.Msg) {
		m.Answer = append([]dns.RR{&dns.CNAME{Hdr: header(m.Question[0].Name, dns.TypeCNAME), Target: "x.test."}}, m.Answer...)
	}},
	{"IPv6 only", Malformed, func(m *dns.Msg) {
		m.Answer = []dns.RR{&dns.AAAA{Hdr: header(m.Question[0].Name, dns.TypeAAAA), AAAA: net.ParseIP("fd00::1")}}
	}},
	{"an address record without address", Malformed, func(m *dns.Msg) { m.Answer = []dns.RR{&dns.A{Hdr: header(m.Question[0].Name, dns.TypeA)}} }},
	{"two addresses", Several, func(m *dns.Msg) {
		m.Answer = append(m.Answer, record(m.Question[0].Name, netip.MustParseAddr("10.211.55.151")))
	}},
	{"the same address twice", Several, func(m *dns.Msg) { m.Answer = append(m.Answer, m.Answer[0]) }},
	{"cut, with nothing", Truncated, func(m *dns.Msg) { m.Truncated, m.Answer = true, nil }},
	{"cut, with the right address", Truncated, func(m *dns.Msg) { m.Truncated = true }},
	{"SERVFAIL with the right address", ServFail, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }},
	{"FORMERR without question", ServFail, func(m *dns.Msg) { m.Rcode, m.Question, m.Answer = dns.RcodeFormatError, nil, nil }},
	{"an unknown code", ServFail, func(m *dns.Msg) { m.Rcode = 15 }},
	{"an extended code", ServFail, func(m *dns.Msg) { m.SetEdns0(1232, false); m.Rcode = dns.RcodeBadVers }},
	{"REFUSED", Refused, func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeRefused, nil }},
	{"NXDOMAIN", NXDomain, func(m *dns.Msg) { m.Rcode, m.Answer, m.Authoritative = dns.RcodeNameError, nil, false }},
	{"NXDOMAIN with the right address", NXDomain, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }},
	{"no record", NoData, func(m *dns.Msg) { m.Answer = nil }},
	{"not authoritative", NotAuthoritative, func(m *dns.Msg) { m.Authoritative = false }},
}

func TestVerdictOnLies(t *testing.T) {
	for _, tc := range lies {
		t.Run(tc.name, func(t *testing.T) {
			m := good(ask())
			tc.lie(m)
			got := VerdictFromBytes(ask(), pack(m))
			if got.Kind != tc.kind || got.Addr.IsValid() || got.Detail == "" {
				t.Errorf("verdict %+v, want kind %s, a reason and no address", got, tc.kind)
			}
			if tc.kind == NotAuthoritative && !slices.Equal(got.Addrs, []netip.Addr{vm}) {
				t.Errorf("addresses %v, want %v", got.Addrs, vm)
			}
		})
	}
}

func TestVerdictOnTruth(t *testing.T) {
	for name, change := range map[string]func(m *dns.Msg){
		"as sent":        func(*dns.Msg) {},
		"uncompressed":   func(m *dns.Msg) { m.Compress = false },
		"upper case":     func(m *dns.Msg) { m.Answer[0].Header().Name = "VM.SERVICE.MPD.TEST." },
		"mixed question": func(m *dns.Msg) { m.Question[0].Name = "vM.serViCe.mPd.tEst." },
		"long to live":   func(m *dns.Msg) { m.Answer[0].Header().Ttl = 1<<32 - 1 },
		"with EDNS":      func(m *dns.Msg) { m.SetEdns0(1232, false) },
		"with a name server": func(m *dns.Msg) {
			m.Ns = []dns.RR{&dns.NS{Hdr: header("mpd.test.", dns.TypeNS), Ns: "ns.mpd.test."}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := good(ask())
			change(m)
			got := VerdictFromBytes(ask(), pack(m))
			if got.Kind != Address || got.Addr != vm || !slices.Equal(got.Addrs, []netip.Addr{vm}) {
				t.Errorf("verdict %+v, want %v", got, vm)
			}
		})
	}
}

func TestVerdictOnBrokenPackets(t *testing.T) {
	packet := pack(good(ask()))
	count := func(at int, n uint16) []byte {
		b := bytes.Clone(packet)
		binary.BigEndian.PutUint16(b[at:], n)
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "header only": packet[:headerSize], "bytes at the end": append(bytes.Clone(packet), 0),
		"65535 questions": count(4, 65535), "no question counted": count(4, 0), "65535 answers": count(6, 65535),
		"no answer counted": count(6, 0), "a name server counted": count(8, 1), "an extra record counted": count(10, 1),
		"text": []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if got := VerdictFromBytes(ask(), b); got.Kind != Malformed || got.Detail == "" {
				t.Errorf("verdict %+v, want malformed and why", got)
			}
		})
	}
	for n := range packet {
		if got := VerdictFromBytes(ask(), packet[:n]); got.Kind != Malformed {
			t.Errorf("the first %d bytes: %+v, want malformed", n, got)
		}
	}
	if got := VerdictFromBytes(new(dns.Msg), packet); got.Kind != Failed {
		t.Errorf("a query without question: %+v", got)
	}
}

// Of all single bits, only those that are not checked may be wrong in an
// answer that is believed: flags that say nothing here, the letters' case and
// the time to live.
func TestVerdictOnEachFlippedBit(t *testing.T) {
	packet := pack(good(ask()))
	free := func(at, bit int) bool {
		nameEnd := headerSize + len(name) + 2
		ttl := nameEnd + 4 + 2 + 4 // question's end, owner (a pointer), type and class
		switch {
		case at == 2:
			return bit == 0 // RD
		case at == 3:
			return bit >= 4 // RA, Z, AD, CD
		case at >= headerSize && at < nameEnd:
			c := packet[at] | 0x20
			return bit == 5 && c >= 'a' && c <= 'z'
		}
		return at >= ttl && at < ttl+4
	}
	for i := range len(packet) * 8 {
		at, bit := i/8, i%8
		b := bytes.Clone(packet)
		b[at] ^= 1 << bit
		got := VerdictFromBytes(ask(), b)
		if confirmed := got.Kind == Address && got.Addr == vm; confirmed != free(at, bit) {
			t.Errorf("byte %d bit %d flipped: %+v, want confirmed: %t", at, bit, got, free(at, bit))
		}
	}
}

// FuzzVerdict holds the verdict against the library's own reading.
func FuzzVerdict(f *testing.F) {
	packet := pack(good(ask()))
	f.Add(packet)
	for i := range len(packet) * 8 {
		b := bytes.Clone(packet)
		b[i/8] ^= 1 << (i % 8)
		f.Add(b)
	}
	for _, l := range lies {
		m := good(ask())
		l.lie(m)
		f.Add(pack(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		got := VerdictFromBytes(ask(), b)
		if !bytes.Equal(b, before) {
			t.Error("the packet was changed")
		}
		if strings.ContainsFunc(got.Detail, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("detail %q", got.Detail)
		}
		if got.Addr.IsValid() != (got.Kind == Address) {
			t.Errorf("%+v: an address belongs to the kind address", got)
		}
		if got.Kind == Address {
			confirm(t, b, got.Addr)
		}
	})
}

// confirm fails unless b is equal to a good answer in all that is checked.
func confirm(t *testing.T, b []byte, addr netip.Addr) {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		t.Fatalf("believed, but the library cannot read it: %v", err)
	}
	want := ask()
	if m.Id != want.Id || !m.Response || m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess || m.Truncated || !m.Authoritative {
		t.Errorf("believed with the header %+v", m.MsgHdr)
	}
	if len(m.Question) != 1 || len(m.Answer) != 1 {
		t.Fatalf("believed with %d questions and %d answers", len(m.Question), len(m.Answer))
	}
	q, rr := m.Question[0], m.Answer[0]
	if !strings.EqualFold(q.Name, want.Question[0].Name) || q.Qtype != dns.TypeA || q.Qclass != dns.ClassINET {
		t.Errorf("believed with the question %v", q)
	}
	a, ok := rr.(*dns.A)
	if !ok || !strings.EqualFold(a.Hdr.Name, want.Question[0].Name) || a.Hdr.Class != dns.ClassINET || a.A.String() != addr.String() {
		t.Errorf("believed with the answer %v, as %v", rr, addr)
	}
}
