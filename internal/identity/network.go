package identity

import "net/netip"

// Names and the port that every mpd VM has. The names are those that mpd's own
// networking documentation gives; the port is WireGuard's usual one.
const (
	// Domain is the domain of all that runs in a VM, and the only one that
	// the CA can vouch for.
	Domain = "mpd.test"
	// VMHost answers, asked at DNSServer, the address of the VM itself, and
	// so tells which VM is behind the tunnel.
	VMHost = "vm.service." + Domain
	// TunnelPort is the UDP port at which a VM listens for WireGuard.
	TunnelPort = 51820
)

// MacTunnelAddr is the Mac's address in the tunnel, whichever VM it leads to.
func MacTunnelAddr() netip.Addr { return netip.AddrFrom4([4]byte{10, 164, 0, 1}) }

// VMTunnelAddr is the VM's address in the tunnel; all VMs have the same.
func VMTunnelAddr() netip.Addr { return netip.AddrFrom4([4]byte{10, 164, 0, 2}) }

// TunnelNet is the network of the two ends of the tunnel.
func TunnelNet() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 164, 0, 0}), 30)
}

// ContainerNet is the network of the containers inside a VM, which the Mac
// reaches through the tunnel; all VMs have the same.
func ContainerNet() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 163, 0, 0}), 24)
}

// DNSServer is the VM's name server for Domain.
func DNSServer() netip.Addr { return netip.AddrFrom4([4]byte{10, 163, 0, 3}) }

// Portal is the VM's web page of entry, which answers for Domain itself.
func Portal() netip.Addr { return netip.AddrFrom4([4]byte{10, 163, 0, 4}) }
