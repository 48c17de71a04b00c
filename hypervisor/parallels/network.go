package parallels

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// sharedNetwork is Parallels' Shared network as it is installed. In it the Mac
// is .2, and .1 is gateway, DHCP and name server.
func sharedNetwork() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 211, 55, 0}), 24)
}
func gateway() netip.Addr { return netip.AddrFrom4([4]byte{10, 211, 55, 1}) }
func host() netip.Addr    { return netip.AddrFrom4([4]byte{10, 211, 55, 2}) }

// Problem is what is wrong with the Shared network. The constants are all there
// are.
type Problem string

// The problems of the Shared network.
const (
	// NotConnected: the Mac is not connected to the network, so no VM can be
	// reached.
	NotConnected Problem = "not-connected"
	// OtherSubnet: the network is not 10.211.55.0/24.
	OtherSubnet Problem = "other-subnet"
	// DHCPRange: the DHCP server may give a VM's canonical address to another
	// VM. It is so after the installation of Parallels.
	DHCPRange Problem = "dhcp-range"
	// DHCPOff: the network has no DHCP server, so a cloned VM gets no first
	// address.
	DHCPOff Problem = "dhcp-off"
)

// NetworkError says that Parallels' Shared network is not as mpd-virt needs it.
// It is hypervisor.ErrNetwork.
type NetworkError struct {
	Problem Problem
	Detail  string   // what it is instead, for people
	Advice  string   // what to do, for people; never empty
	Fix     []string // the command that does it; nil if there is none
	Root    bool     // Fix needs root
}

func (e *NetworkError) Error() string { return "Parallels' Shared network: " + e.Detail }

// Unwrap is hypervisor.ErrNetwork.
func (e *NetworkError) Unwrap() error { return hypervisor.ErrNetwork }

// hinted is the error with its next step.
func (e *NetworkError) hinted() error {
	next := e.Advice
	if e.Fix != nil {
		next = strings.Join(e.Fix, " ") + "     (" + e.Advice + ")"
		if e.Root {
			next = "sudo " + next
		}
	}
	return hint.Wrap(e, next)
}

// Findings are what should be changed in Parallels' network, none if it is as it
// must be. It costs one process. The error says that the network could not be
// read: ErrToolMissing, ErrService, ErrNetwork if the tool does not know it, or
// an answer that cannot be read.
func (b *Backend) Findings(ctx context.Context) ([]*NetworkError, error) {
	out, err := b.ask(ctx, argvNetwork())
	switch {
	case err == nil:
	case final(ctx, err), !asRefusal(err):
		return nil, fmt.Errorf("look at the Shared network: %w", err)
	default: // whatever was not found, it was no VM
		return nil, hint.Wrap(fmt.Errorf("look at the Shared network: %w: %v", hypervisor.ErrNetwork, err),
			"look for the Shared network in Parallels Desktop: Settings, Network")
	}
	n, err := decodeNetwork(out)
	if err != nil {
		return nil, err
	}
	return n.findings(), nil
}

// Inspect returns the Findings.
func (b *Backend) Inspect(ctx context.Context) ([]hypervisor.Finding, error) {
	found, err := b.Findings(ctx)
	var out []hypervisor.Finding
	for _, e := range found {
		out = append(out, hypervisor.Finding{Text: e.Error(), Advice: e.Advice, Fix: e.Fix, Root: e.Root})
	}
	return out, err
}

// network is what prlsrvctl says of the Shared network. The zero Addr means
// "not told".
type network struct {
	adapter    netip.Addr // the Mac's own address
	mask       string     // as the tool writes it
	server     netip.Addr // of DHCP
	start, end netip.Addr // the DHCP range
}

// decodeNetwork reads the answer of prlsrvctl net info. Old releases have keys
// without "IPv4".
func decodeNetwork(out []byte) (network, error) {
	var answer struct {
		ID      *string `json:"Network ID"`
		Adapter struct {
			Addr    string `json:"IPv4 address"`
			Mask    string `json:"IPv4 subnet mask"`
			OldAddr string `json:"IP address"`
			OldMask string `json:"Subnet mask"`
		} `json:"Parallels adapter"`
		DHCP    scope `json:"DHCPv4 server"`
		OldDHCP scope `json:"DHCP server"`
	}
	err := decodeObject(out, &answer)
	if err == nil && answer.ID == nil {
		err = errors.New("there is no network in it")
	}
	if err != nil {
		return network{}, fmt.Errorf("prlsrvctl net: its answer cannot be read: %w", err)
	}
	dhcp := answer.DHCP
	if dhcp == (scope{}) {
		dhcp = answer.OldDHCP
	}
	n := network{mask: answer.Adapter.Mask + answer.Adapter.OldMask}
	n.adapter, err = told(answer.Adapter.Addr+answer.Adapter.OldAddr, err)
	n.server, err = told(dhcp.Server, err)
	n.start, err = told(dhcp.Start, err)
	n.end, err = told(dhcp.End, err)
	if err != nil {
		return network{}, fmt.Errorf("prlsrvctl net: its answer cannot be read: %w", err)
	}
	return n, nil
}

// told reads an address that may be left out, unless something before it went
// wrong.
func told(text string, before error) (netip.Addr, error) {
	if before != nil || text == "" {
		return netip.Addr{}, before
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("%.60q is no IPv4 address", text)
	}
	return a, nil
}

type scope struct {
	Server string `json:"Server address"`
	Start  string `json:"IP scope start address"`
	End    string `json:"IP scope end address"`
}

// findings judges the network. Beside a wrong subnet the DHCP range says
// nothing, so it is one finding at most.
func (n network) findings() []*NetworkError {
	const settings = "Parallels Desktop: Settings, Network, Shared"
	shared := sharedNetwork()
	switch {
	case !n.adapter.IsValid():
		return []*NetworkError{{NotConnected, "this Mac is not connected to it, so its VMs cannot be reached",
			"or " + settings + ": Connect Mac to this network", argvConnect(), true}}
	case !shared.Contains(n.adapter) || n.mask != "255.255.255.0":
		return []*NetworkError{{OtherSubnet, fmt.Sprintf("it is %v with mask %.20q, not %v", n.adapter, n.mask, shared),
			settings + ": set the start address to 10.211.55.1, the end address to 10.211.55.99 and the mask to 255.255.255.0", nil, false}}
	// A range may be left over from another subnet: only one whose server is
	// in the network is in use.
	case !n.server.IsValid() || !n.start.IsValid() || !n.end.IsValid() || !shared.Contains(n.server):
		return []*NetworkError{{DHCPOff, "it has no DHCP server, so a new VM gets no address",
			settings + ": Enable IPv4 DHCP, from 10.211.55.1 to 10.211.55.99", nil, false}}
	case n.end.Compare(hypervisor.FirstOctet.In(n.adapter)) >= 0 && n.start.Compare(hypervisor.LastOctet.In(n.adapter)) <= 0:
		return []*NetworkError{{DHCPRange, fmt.Sprintf("its DHCP server gives away %v to %v, in which the VMs' own addresses (.100 to .254) are", n.start, n.end),
			"or " + settings + ": end address 10.211.55.99", argvScope(), true}}
	}
	return nil
}
