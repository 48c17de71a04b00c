package mpdvirttest

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// nameServerAddr is the platform's name server, the same in every VM.
var nameServerAddr = netip.MustParseAddrPort("10.163.0.3:53")

// Names that the platform's name server knows.
const (
	zone   = "mpd.test."
	vmName = "vm.service.mpd.test."
)

// NameServer is how a VM's name server behaves.
type NameServer string

// The behaviours of a name server.
const (
	DNSNormal           NameServer = ""                  // knows vm.service.mpd.test and mpd.test, and refuses other domains
	DNSUnknown          NameServer = "nxdomain"          // knows no name
	DNSNoData           NameServer = "no data"           // knows the name without an address
	DNSSilent           NameServer = "silent"            // never answers
	DNSClosed           NameServer = "closed"            // is not running: the port is closed
	DNSGarbage          NameServer = "garbage"           // answers with bytes that are no message
	DNSNotAuthoritative NameServer = "not authoritative" // answers as a forwarder does
	DNSServFail         NameServer = "servfail"          // fails
	DNSTruncates        NameServer = "truncates"         // by UDP only says that TCP is needed
)

// closesDNS says whether the VM refuses connections to its name server.
func (v *VM) closesDNS() bool {
	if v == nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.dns.mode == DNSClosed
}

// nameServer is the VM's dnsmasq. It is guarded by the VM's mutex.
type nameServer struct {
	running bool
	record  netip.Addr // of vmName; invalid if it has none
	mode    NameServer
	custom  func(*dns.Msg) *dns.Msg
}

// SetDNS changes how the VM's name server behaves once mpd --setup started it; before
// that it is silent. It ends what SetDNSHandler said.
func (v *VM) SetDNS(mode NameServer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dns.mode, v.dns.custom = mode, nil
}

// SetDNSRecord changes the address that the VM's name server has for
// vm.service.mpd.test; with an invalid one there is no such name. mpd --setup sets
// it anew.
func (v *VM) SetDNSRecord(addr netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dns.record = addr
}

// SetDNSHandler makes a function answer all queries that the VM's name server gets
// once mpd --setup started it; a nil answer is silence. It is called from many
// goroutines, also for queries inside of the VM. A nil function ends that, and so
// does SetDNS.
func (v *VM) SetDNSHandler(answer func(query *dns.Msg) *dns.Msg) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dns.custom = answer
}

// answer is what the VM's name server says to a query: nil for silence.
func (v *VM) answer(query *dns.Msg, udp bool) []byte {
	v.mu.Lock()
	server, on := v.dns, v.on && !v.asleep
	v.mu.Unlock()
	if !on || !server.running || server.mode == DNSSilent || server.mode == DNSClosed {
		return nil
	}
	if server.mode == DNSGarbage {
		return []byte("this is not a DNS message")
	}
	reply := server.reply(query, udp)
	if server.custom != nil {
		reply = server.custom(query)
	}
	if reply == nil {
		return nil
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

func (s nameServer) reply(query *dns.Msg, udp bool) *dns.Msg {
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.RecursionAvailable = true
	if len(query.Question) != 1 {
		return reply.SetRcode(query, dns.RcodeFormatError)
	}
	q := query.Question[0]
	name := strings.ToLower(q.Name)
	known := name == vmName && s.record.IsValid() || name == zone
	switch {
	case s.mode == DNSServFail:
		return reply.SetRcode(query, dns.RcodeServerFailure)
	case s.mode == DNSTruncates && udp:
		reply.Truncated = true
		return reply
	case !dns.IsSubDomain(zone, name): // no upstream in this world
		return reply.SetRcode(query, dns.RcodeRefused)
	}
	reply.Authoritative = s.mode != DNSNotAuthoritative
	switch {
	case s.mode == DNSUnknown || !known:
		reply.Rcode = dns.RcodeNameError
	case s.mode == DNSNoData || q.Qtype != dns.TypeA || q.Qclass != dns.ClassINET:
	default:
		addr := s.record
		if name == zone {
			addr = netip.MustParseAddr("10.163.0.4")
		}
		reply.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 0},
			A:   addr.AsSlice(),
		}}
	}
	return reply
}
