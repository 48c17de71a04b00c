package macemu

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// netif is a network interface.
type netif struct {
	name  string
	index int
	flags string
	mtu   int
	addr  netip.Prefix // the Mac's own, with the length of the network; may be none
	point bool         // to one point
	mac   string
	more  string // lines behind
}

// Numbers of interfaces. A
const (
	loIndex     = 1
	en0Index    = 7
	utunIndex   = 12
	bridgeIndex = 22
)

func (i netif) indexed() string { return fmt.Sprintf("%d (%s)", i.index, i.name) }

// firstUtuns is how many utun interfaces every Mac has. C
const firstUtuns = 4

// interfaces are those of the Mac, in the order of ifconfig. C for the flags
func (st *state) interfaces() (out []netif) {
	loopback := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 8)
	out = append(out, netif{name: "lo0", index: loIndex, flags: "8049<UP,LOOPBACK,RUNNING,MULTICAST>", mtu: 16384, addr: loopback})
	en0 := netif{
		name: "en0", index: en0Index, flags: "8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST>", mtu: 1500, mac: "5c:e9:1e:8a:01:02",
		addr: st.Settings.addr(), more: "\tmedia: autoselect\n\tstatus: active\n",
	}
	if st.Settings.Offline {
		en0.addr, en0.more = netip.Prefix{}, "\tmedia: autoselect\n\tstatus: inactive\n"
	}
	out = append(out, en0)
	for n := range firstUtuns + st.Settings.Utuns {
		out = append(out, utun(n))
	}
	for n, addr := range st.Settings.Bridges {
		if !addr.IsValid() {
			continue
		}
		out = append(out, netif{
			name: fmt.Sprintf("bridge%d", 100+n), index: bridgeIndex + n, flags: "8a63<UP,BROADCAST,SMART,RUNNING,ALLMULTI,SIMPLEX,MULTICAST>", mtu: 1500,
			mac: fmt.Sprintf("5e:52:30:ee:34:%02x", 100+n), addr: addr,
			more: fmt.Sprintf("\tmember: vmenet%d flags=3<LEARNING,DISCOVER>\n\tstatus: active\n", n),
		})
	}
	if t, conf := st.active(); t != nil {
		out = append(out, st.tunnelInterface(t, conf))
	}
	return out
}

func utun(n int) netif {
	return netif{
		name: fmt.Sprintf("utun%d", n), index: utunIndex + n, flags: "8051<UP,POINTOPOINT,RUNNING,MULTICAST>", mtu: 1380,
		more: fmt.Sprintf("\tinet6 fe80::%x:2ff:fe03:405%%utun%d prefixlen 64 scopeid 0x%x\n", 0x1000+n, n, utunIndex+n),
	}
}

// tunnelInterface is the one of the tunnel that is up. C for the MTU, A for the
// address of the peer
func (st *state) tunnelInterface(_ *Tunnel, conf Conf) netif {
	i := utun(firstUtuns + st.Settings.Utuns)
	i.index += bridgeIndex
	i.mtu, i.point, i.more = 1420, true, ""
	if conf.MTU > 0 {
		i.mtu = int(conf.MTU)
	}
	for _, a := range conf.Address {
		if a.Addr().Is4() {
			i.addr = a
			break
		}
	}
	return i
}

// byName is an interface; ok is false if there is none.
func (st *state) byName(name string) (netif, bool) {
	for _, i := range st.interfaces() {
		if i.name == name {
			return i, true
		}
	}
	return netif{}, false
}

// onLink is the interface in whose network an address is.
func (st *state) onLink(addr netip.Addr) (netif, bool) {
	for _, i := range st.interfaces() {
		if i.addr.IsValid() && i.addr.Contains(addr) {
			return i, true
		}
	}
	return netif{}, false
}

// ifconfig prints all interfaces or one. C
func (c *call) ifconfig() (int, error) {
	if len(c.args) != 1 || c.args[0] != "-a" && c.args[0][:min(1, len(c.args[0]))] == "-" {
		return c.notPlayed()
	}
	found := false
	err := c.look(func(st *state, _ time.Time) {
		for _, i := range st.interfaces() {
			if c.args[0] == "-a" || c.args[0] == i.name {
				found = true
				c.out.WriteString(i.text())
			}
		}
	})
	if err != nil || found {
		return 0, err
	}
	return c.say(1, "ifconfig: interface %s does not exist", c.args[0])
}

// text is what ifconfig prints of an interface.
func (i netif) text() string {
	out := fmt.Sprintf("%s: flags=%s mtu %d\n", i.name, i.flags, i.mtu)
	if i.mac != "" {
		out += "\tether " + i.mac + "\n"
	}
	if i.addr.IsValid() {
		a := i.addr.Addr()
		mask := ^uint32(0) << (32 - i.addr.Bits())
		out += "\tinet " + a.String()
		if i.point {
			out += " --> " + a.String()
		}
		out += fmt.Sprintf(" netmask 0x%08x", mask)
		if i.mac != "" {
			b := a.As4()
			out += " broadcast " + netip.AddrFrom4(four(binary.BigEndian.Uint32(b[:])|^mask)).String()
		}
		out += "\n"
	}
	if i.name == "lo0" {
		out += "\tinet6 ::1 prefixlen 128\n"
	}
	return out + i.more
}

func four(n uint32) (b [4]byte) {
	binary.BigEndian.PutUint32(b[:], n)
	return b
}
