// Package probe asks whether a VM is there and whether it is the right one.
//
// [Ping] sends one echo, through the system's ping. [QueryA] asks one DNS
// server for the address of one name and believes only an answer whose every
// field is right: that the VM's own name server says the VM's address is the
// proof that the tunnel leads to this VM. [Lookup] asks the system's resolver
// the same, which shows what browsers see.
//
// Each ends after [Limit]. What an answer means for a VM is the caller's
// business. TCP ports are not probed here: sshd punishes those who connect and
// leave.
package probe

import (
	"net/netip"
	"time"
)

// Limit bounds every probe of this package.
const Limit = 2 * time.Second

// Kind says what came of a DNS question. The constants are all there are.
type Kind string

// The kinds of answers.
const (
	// Address: exactly one address, and nothing wrong with the answer. Only
	// this kind confirms anything.
	Address Kind = "address"
	// Several: a good answer with more than one address.
	Several Kind = "several"
	// NXDomain: the name does not exist, says the server.
	NXDomain Kind = "nxdomain"
	// NoData: the name exists, but has no IPv4 address.
	NoData Kind = "nodata"
	// NotAuthoritative: there is an address, but the server repeats it from
	// somewhere else. The VM's name server owns its names.
	NotAuthoritative Kind = "not-authoritative"
	// Malformed: what came is no answer to the question, or has a field or a
	// record that does not belong there.
	Malformed Kind = "malformed"
	// Truncated: the answer over UDP was cut, and over TCP none came.
	Truncated Kind = "truncated"
	// Refused: the server's machine has the port closed, or the server
	// answers REFUSED; Detail says which.
	Refused Kind = "refused"
	// ServFail: the server says that it failed, or another error code.
	ServFail Kind = "servfail"
	// NoAnswer: nothing came in time, or the server closed the connection.
	NoAnswer Kind = "no-answer"
	// Unreachable: this machine has no way to the server's. macOS says the
	// same at once if the program is not allowed into the local network.
	Unreachable Kind = "unreachable"
	// Canceled: the caller ended the question.
	Canceled Kind = "canceled"
	// Failed: the question could not be asked; it says nothing of the server.
	Failed Kind = "failed"
)

// Transports, as Answer names them.
const (
	UDP    = "udp"
	TCP    = "tcp"
	System = "system" // the system's resolver
)

// Answer is what came of one DNS question.
type Answer struct {
	Kind Kind
	// Addr is the address, valid only if Kind is Address.
	Addr netip.Addr
	// Addrs is every IPv4 address that the answer held, in its order, when
	// Kind is Address, Several or NotAuthoritative.
	Addrs []netip.Addr
	// Transport is over what the deciding answer or failure came: UDP, TCP
	// or System; empty from VerdictFromBytes.
	Transport string
	// Detail says more for people, in printable ASCII; it may be empty.
	Detail string
	// Elapsed is the time from the question to the verdict; zero from
	// VerdictFromBytes.
	Elapsed time.Duration
}
