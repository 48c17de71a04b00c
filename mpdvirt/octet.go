package mpdvirt

import (
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The values that requests and results are made of. They are shared with the
// backends, so package hypervisor defines them.
type (
	// Octet is the number from 100 to 254 that names a VM; see [hypervisor.Octet].
	Octet = hypervisor.Octet
	// User is the name of the VM's account; see [hypervisor.User].
	User = hypervisor.User
	// Size is a number of bytes of memory or disk; see [hypervisor.Size].
	Size = hypervisor.Size
	// State is what a hypervisor says of a VM; see [hypervisor.State].
	State = hypervisor.State
)

// ParseOctet reads three digits from 100 to 254; see [hypervisor.ParseOctet].
func ParseOctet(s string) (Octet, error) { return hypervisor.ParseOctet(s) }

// ParseUser reads an account name; see [hypervisor.ParseUser].
func ParseUser(s string) (User, error) { return hypervisor.ParseUser(s) }

// ParseSize reads a size like 80G or 81920M; see [hypervisor.ParseSize].
func ParseSize(s string) (Size, error) { return hypervisor.ParseSize(s) }

// ParseAddr reads the IPv4 address of one machine; see [hypervisor.ParseAddr].
func ParseAddr(s string) (netip.Addr, error) { return hypervisor.ParseAddr(s) }
