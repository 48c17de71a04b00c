package prlemu

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// The moments after a cold boot at which addresses appear, and how long Tools
// need after a resume. C (measured on 26.4 with Windows; A: the resume, and
// the lease)
const (
	linkLocalAt = 15 * time.Second
	localAt     = 18 * time.Second
	noDHCPYetAt = 24 * time.Second
	leasedAt    = 30 * time.Second
	realAt      = 37 * time.Second
	warmAt      = 10 * time.Second
)

// lease is what the DHCP server gave to a MAC. It has no lease of a static
// address. C
type lease struct {
	MAC   string // lower case
	IP    netip.Addr
	Until time.Time
	Since time.Time // when the file shows it
}

const leaseTime = 30 * time.Minute // C: 1800 in the file

// Lease gives a VM an address from the DHCP range, or the one that its MAC has
// already. It is for hooks that run guests; the emulator itself calls it for
// VMs without IP if there is no Hooks.Addr.
func (e *Emulator) Lease(uuid string) (addr netip.Addr, err error) {
	err = e.tx(func(st *state, now time.Time) error {
		v := st.find(uuid)
		if v == nil {
			return fmt.Errorf("prlemu: lease: no VM %s", uuid)
		}
		addr, err = st.lease(v.MAC, now)
		return err
	})
	return addr, err
}

func (st *state) lease(mac string, now time.Time) (netip.Addr, error) {
	mac = strings.ToLower(mac)
	for i, l := range st.Leases {
		if l.MAC == mac {
			st.Leases[i].Until = now.Add(leaseTime)
			return l.IP, nil
		}
	}
	from, to := st.Settings.scope()
	first, err := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	if err = errors.Join(err, err2); err != nil {
		return netip.Addr{}, fmt.Errorf("prlemu: DHCP range: %w", err)
	}
	gateway, mac2 := netip.MustParseAddr("0.0.0.1"), netip.MustParseAddr("0.0.0.2")
	for a := first; a.Compare(last) <= 0; a = a.Next() {
		host := netip.AddrFrom4([4]byte{0, 0, 0, a.As4()[3]})
		taken := slices.ContainsFunc(st.Leases, func(l lease) bool { return l.IP == a })
		if host == gateway || host == mac2 || taken { // .1 is the server, .2 the Mac. C
			continue
		}
		st.Leases = append(st.Leases, lease{mac, a, now.Add(leaseTime), now.Add(st.Settings.scaled(leasedAt))})
		return a, nil
	}
	return netip.Addr{}, fmt.Errorf("prlemu: the DHCP range %s-%s is used up", from, to)
}

// showLeases writes the lease file if it changed: ip="expiry,duration,mac,duid".
// C (VAG, PACK)
func (st *state) showLeases(now time.Time) error {
	var text strings.Builder
	for _, l := range st.Leases {
		if !now.Before(l.Since) {
			fmt.Fprintf(&text, "%v=\"%d,%d,%s,ff%s000100012a%[4]s\"\n", l.IP, l.Until.Unix(), leaseTime/time.Second, l.MAC, l.MAC[4:])
		}
	}
	if st.Settings.LeaseFile == "" || text.String() == st.Shown {
		return nil
	}
	st.Shown = text.String()
	return statefile.Write(st.Settings.LeaseFile, []byte(st.Shown), 0o644)
}

// guestAddr is the address that a VM's guest has, if it has one.
func (e *Emulator) guestAddr(v VM) netip.Addr {
	if e.opts.Hooks.Addr != nil {
		addr, ok := e.opts.Hooks.Addr(v.UUID)
		if !ok {
			return netip.Addr{}
		}
		return addr
	}
	if v.IP.IsValid() {
		return v.IP
	}
	return v.Leased
}

// reported are the words that Tools report for a VM, IPv4 first: only of one
// that runs and has Tools, and late. C
func (e *Emulator) reported(v VM, s Settings) []string {
	if v.State != running {
		if s.StaleAddrs && v.Last.IsValid() {
			return []string{v.Last.String()}
		}
		return nil
	}
	if v.NoTools {
		return nil
	}
	age := e.store.Now().Sub(v.Since)
	past := func(d time.Duration) bool { return age >= s.scaled(d) }
	local, linkLocal := v.ipv6()
	addr := e.guestAddr(v)
	switch {
	case v.Warm && !past(warmAt), !v.Warm && !past(linkLocalAt):
		return nil
	case v.Warm || past(realAt):
		words := []string{local, linkLocal}
		if v.Reports != nil {
			return v.Reports
		}
		if addr.IsValid() {
			words = append([]string{addr.String()}, words...)
		}
		return words
	case past(noDHCPYetAt):
		return []string{v.apipa(), local, linkLocal}
	case past(localAt):
		return []string{local, linkLocal}
	}
	return []string{linkLocal}
}

// configured is the word of the brief list with -f.
func (e *Emulator) configured(v VM, s Settings) string {
	words := e.reported(v, s)
	switch {
	case len(words) == 0, v.State != running: // C: "-" when stopped, also where -i has a stale one
		return "-"
	case s.AllAddrs, v.Reports != nil:
		return strings.Join(words, " ")
	}
	return words[0]
}

func (v *VM) bytes() [6]byte {
	var mac [6]byte
	raw, _ := hex.DecodeString(v.MAC) // what is no MAC has no address of its own
	copy(mac[:], raw)
	return mac
}

// ipv6 are the addresses that a guest makes of its MAC: one of the Shared
// network's prefix, one of the link. C
func (v *VM) ipv6() (local, linkLocal string) {
	m := v.bytes()
	host := []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]}
	of := func(prefix ...byte) string {
		var a [16]byte
		copy(a[:], prefix)
		copy(a[8:], host)
		return netip.AddrFrom16(a).String()
	}
	return of(0xfd, 0xb2, 0x2c, 0x26, 0xf4, 0xe4), of(0xfe, 0x80)
}

// apipa is what a guest takes that hears of no DHCP server.
func (v *VM) apipa() string {
	m := v.bytes()
	return netip.AddrFrom4([4]byte{169, 254, m[4], max(1, m[5])}).String()
}
