package parallels

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// maxLeases bounds the lease file, in bytes; a lease is about 100.
const maxLeases = 1 << 20

// lease is one address that the DHCP server gave away.
type lease struct {
	addr   netip.Addr
	expiry int64  // seconds of the Unix epoch
	mac    string // twelve hexadecimal digits, lower case
}

// decodeLeases reads the lease file, whose lines are
//
//	10.211.55.181="1418921112,1800,001c42f593fb,ff42f593fb000100011c"
//
// for address, expiry, duration, MAC and client. Other lines, and addresses that
// a VM cannot have, are left out.
func decodeLeases(data []byte) (out []lease) {
	for line := range bytes.Lines(data) {
		addr, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		fields := strings.Split(strings.Trim(value, `"`), ",")
		in := addresses([]string{addr})
		if !ok || len(in) != 1 || len(fields) < 3 || strings.Contains(addr, "/") {
			continue
		}
		expiry, err := strconv.ParseInt(fields[0], 10, 64)
		mac := strings.ToLower(fields[2])
		if err == nil && macText.MatchString(mac) {
			out = append(out, lease{in[0], expiry, mac})
		}
	}
	return out
}

// leased is the address that was last given to one of the cards, invalid if
// there is none. Static addresses are never in the file. One that cannot be
// read is no error: it is the last resort of a VM without Parallels Tools.
func (b *Backend) leased(macs []string) netip.Addr {
	data, err := statefile.Read(b.leases, maxLeases)
	if err != nil {
		return netip.Addr{}
	}
	var best lease
	for _, l := range decodeLeases(data) {
		if slices.Contains(macs, l.mac) && (!best.addr.IsValid() || l.expiry > best.expiry) {
			best = l
		}
	}
	return best.addr
}
