package mpdvirttest

import (
	"fmt"
	"net/netip"
	"regexp"
)

// Files in which a guest has its static address, in the order in which they
// count: that of step 30, one of the person who made the VM, and what cloud-init
// wrote, from which netplan makes a file that sorts after both.
const (
	step30Network = "/etc/systemd/network/05-mpd.network"
	ownNetwork    = "/etc/systemd/network/10-static.network"
	netplanFile   = "/etc/netplan/50-cloud-init.yaml"
)

var (
	addressLine = regexp.MustCompile(`(?m)^Address=([0-9.]+)/`)
	planMAC     = regexp.MustCompile(`(?m)^ +macaddress: "([0-9a-f:]+)"$`)
	planAddress = regexp.MustCompile(`(?m)^ +- "([0-9.]+)/[0-9]+"$`)
)

// setStatic writes down the address as the person does who made the VM.
func (v *VM) setStatic(addr netip.Addr) error {
	text := fmt.Sprintf("[Match]\nName=enp0s5\n\n[Network]\nAddress=%v/24\n", addr)
	return v.root.WriteFile(ownNetwork, []byte(text), 0o644)
}

// static is the address that the guest takes when it boots, if it is not from
// DHCP.
func (v *VM) static() (netip.Addr, bool) {
	for _, name := range []string{step30Network, ownNetwork} {
		text, err := v.root.ReadFile(name)
		if m := addressLine.FindSubmatch(text); err == nil && m != nil {
			addr, err := netip.ParseAddr(string(m[1]))
			return addr, err == nil
		}
	}
	return v.planned()
}

// planned is the address that netplan sets, if it finds the network card by its
// MAC address.
func (v *VM) planned() (netip.Addr, bool) {
	text, err := v.root.ReadFile(netplanFile)
	card, addr := planMAC.FindSubmatch(text), planAddress.FindSubmatch(text)
	if err != nil || card == nil || addr == nil || string(card[1]) != v.card() {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(addr[1]))
	return a, err == nil
}

// card is the MAC address of the VM's network card, in lower case; "" if nothing
// asks for it.
func (v *VM) card() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.mac
}
