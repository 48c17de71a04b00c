package hypervisor

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ValueError says that a text is not a value of the wanted kind. The text is
// kept as it was given; print it with %q, it may hold anything.
type ValueError struct {
	Kind string // "octet", "user", "address", "size"
	Text string // what was given
	Rule string // what a good value looks like, for people
}

func (e *ValueError) Error() string {
	text := e.Text
	if len(text) > 60 {
		text = text[:60] + "..."
	}
	return fmt.Sprintf("%+q is not a valid %s: %s", text, e.Kind, e.Rule)
}

// Octet is the number that names a VM and all that belongs to it: VM mpd-NNN,
// address <subnet>.NNN, registry folder, SSH alias, tunnel. Valid values are
// FirstOctet to LastOctet; the zero value means "none".
type Octet uint8

// The range of octets. Parallels' DHCP server owns .1 to .99 of its network,
// and .255 is the broadcast address.
const (
	FirstOctet Octet = 100
	LastOctet  Octet = 254
)

const octetRule = "three digits from 100 to 254"

// ParseOctet accepts exactly three ASCII digits from 100 to 254: no sign, no
// spaces, no further zeros. The error is a *ValueError.
func ParseOctet(s string) (Octet, error) {
	bad := &ValueError{Kind: "octet", Text: s, Rule: octetRule}
	if s == "000" {
		bad.Rule = "000 is the sandbox's own number; " + octetRule
		return 0, bad
	}
	if len(s) != 3 {
		return 0, bad
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, bad
		}
		n = n*10 + int(c-'0')
	}
	if n < int(FirstOctet) || n > int(LastOctet) {
		return 0, bad
	}
	return Octet(n), nil
}

// Valid says whether o is in the range of octets.
func (o Octet) Valid() bool { return o >= FirstOctet && o <= LastOctet }

// String is the three digits that ParseOctet reads; of an octet that is not valid,
// which ParseOctet never makes, three digits, too.
func (o Octet) String() string { return fmt.Sprintf("%03d", uint8(o)) }

// VMName is the name of the VM and of its SSH alias and tunnel: mpd-NNN.
func (o Octet) VMName() string { return "mpd-" + o.String() }

// In is the address of o in the /24 network that holds addr, which must be an
// IPv4 address: In panics on others and on the zero Addr.
func (o Octet) In(addr netip.Addr) netip.Addr {
	a := addr.As4()
	a[3] = byte(o)
	return netip.AddrFrom4(a)
}

// User is the name of the VM's account that mpd-virt logs in as. The zero
// value means "not given".
type User string

const userRule = "letters, digits, '_', '.' and '-', at most 32, starting with a letter or '_', not root"

// ParseUser accepts the account names that Debian's tools accept with the
// usual settings, and refuses root: the bootstrap scripts want an ordinary
// user. A name that passes is safe in an argument list, in an SSH
// configuration and in a KEY=value file. The error is a *ValueError.
func ParseUser(s string) (User, error) {
	bad := &ValueError{Kind: "user", Text: s, Rule: userRule}
	if s == "" || len(s) > 32 || s == "root" {
		return "", bad
	}
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '.' || c == '-')) {
			return "", bad
		}
	}
	return User(s), nil
}

const addrRule = "a plain IPv4 address of one machine, like 192.168.64.20"

// ParseAddr accepts an IPv4 address, in dotted decimal without leading zeros,
// that can belong to a VM: not 0.x, loopback, link-local, multicast, reserved
// or broadcast, and not a /24's first or last address. The error is a
// *ValueError.
func ParseAddr(s string) (netip.Addr, error) {
	bad := &ValueError{Kind: "address", Text: s, Rule: addrRule}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return netip.Addr{}, bad
	}
	b := a.As4()
	if b[0] == 0 || b[0] >= 224 || b[3] == 0 || b[3] == 255 || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return netip.Addr{}, bad
	}
	return a, nil
}

// Size is a number of bytes of memory or disk. The zero value means "not
// given".
type Size int64

// Units of Size. They are binary, as in qemu-img and prlctl.
const (
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

const sizeRule = "a whole number with G or M (binary), like 80G or 81920M"

// ParseSize accepts a whole number from 1 with the unit G (GiB) or M (MiB),
// nothing before, between or after. The error is a *ValueError.
func ParseSize(s string) (Size, error) {
	bad := &ValueError{Kind: "size", Text: s, Rule: sizeRule}
	digits, unit := strings.TrimSuffix(s, "G"), GiB
	if digits == s {
		digits, unit = strings.TrimSuffix(s, "M"), MiB
	}
	if digits == s || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, bad
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(1<<62)/int64(unit) {
		return 0, bad
	}
	return Size(n) * unit, nil
}

// String is the shortest text that ParseSize reads back as the same size;
// a size that is no whole number of MiB, which ParseSize never makes, is
// rounded down, and zero is "0G".
func (s Size) String() string {
	if s%GiB == 0 {
		return strconv.FormatInt(int64(s/GiB), 10) + "G"
	}
	return strconv.FormatInt(int64(s/MiB), 10) + "M"
}
