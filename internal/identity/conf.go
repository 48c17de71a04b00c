package identity

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The configurations use only what both wg-quick and WireGuard.app read:
// WireGuard.app knows no hooks, no Table, no FwMark and no
// "PersistentKeepalive = off". The VM's has no DNS line, which would need a
// resolvconf command there. The VM's own network is in no AllowedIPs: SSH and
// ping to the VM would then go through the tunnel that they diagnose.

// keepalive is the interval, in seconds, that keeps the path through the
// hypervisor's NAT open.
const keepalive = 25

// serverConf is the VM's end of the tunnel.
func serverConf(o hypervisor.Octet, vmPrivate, macPublic wgKey) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s: the VM's end of the tunnel, written by mpd-virt\n", o.VMName())
	fmt.Fprintf(&b, "[Interface]\n")
	fmt.Fprintf(&b, "Address = %s\n", netip.PrefixFrom(VMTunnelAddr(), TunnelNet().Bits()))
	fmt.Fprintf(&b, "ListenPort = %d\n", TunnelPort)
	fmt.Fprintf(&b, "PrivateKey = %s\n", vmPrivate.text())
	fmt.Fprintf(&b, "\n[Peer]\n")
	fmt.Fprintf(&b, "PublicKey = %s\n", macPublic.text())
	fmt.Fprintf(&b, "AllowedIPs = %s\n", netip.PrefixFrom(MacTunnelAddr(), 32))
	return b.Bytes()
}

// clientConf is the Mac's end of the tunnel to the VM at vm.
func clientConf(o hypervisor.Octet, macPrivate, vmPublic wgKey, vm netip.Addr) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s: the Mac's end of the tunnel, written by mpd-virt\n", o.VMName())
	fmt.Fprintf(&b, "[Interface]\n")
	fmt.Fprintf(&b, "Address = %s\n", netip.PrefixFrom(MacTunnelAddr(), TunnelNet().Bits()))
	fmt.Fprintf(&b, "DNS = %s\n", DNSServer())
	fmt.Fprintf(&b, "PrivateKey = %s\n", macPrivate.text())
	fmt.Fprintf(&b, "\n[Peer]\n")
	fmt.Fprintf(&b, "PublicKey = %s\n", vmPublic.text())
	fmt.Fprintf(&b, "%s%s\n", endpointKey, netip.AddrPortFrom(vm, TunnelPort))
	fmt.Fprintf(&b, "AllowedIPs = %s, %s\n", TunnelNet(), ContainerNet())
	fmt.Fprintf(&b, "PersistentKeepalive = %d\n", keepalive)
	return b.Bytes()
}

const endpointKey = "Endpoint = "

// confAddr is the VM's address that a configuration made by clientConf names;
// ok is false if it names none that clientConf would write.
func confAddr(conf []byte) (vm netip.Addr, ok bool) {
	for line := range strings.Lines(string(conf)) {
		text, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), endpointKey)
		if !found {
			continue
		}
		ap, err := netip.ParseAddrPort(text)
		if err != nil || checkAddr(ap.Addr()) != nil {
			return netip.Addr{}, false
		}
		return ap.Addr(), true
	}
	return netip.Addr{}, false
}

// checkAddr says why a tunnel cannot lead to vm.
func checkAddr(vm netip.Addr) error {
	if !vm.Is4() {
		return fmt.Errorf("the VM's address %s is not an IPv4 address", vm)
	}
	for _, p := range []netip.Prefix{TunnelNet(), ContainerNet()} {
		if p.Contains(vm) {
			return fmt.Errorf("the VM's address %s is inside %s, which is reached through the VM", vm, p)
		}
	}
	return nil
}
