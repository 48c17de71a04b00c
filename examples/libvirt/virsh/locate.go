package virsh

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Network is the network of the configured name. The error is ErrNetwork if
// there is none, or none that is a /24.
func (b *Backend) Network(ctx context.Context) (netip.Prefix, error) {
	out, err := b.virsh(ctx, "net-dumpxml", "--network="+b.cfg.Network)
	var failed *ToolError
	if errors.As(err, &failed) && strings.Contains(failed.Reason, "Network not found") {
		return netip.Prefix{}, fmt.Errorf("%w: %w", hypervisor.ErrNetwork, err)
	}
	if err != nil {
		return netip.Prefix{}, err
	}
	p, err := decodeNetwork(out)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("network %q of libvirt: %w", b.cfg.Network, err)
	}
	return p, nil
}

func decodeNetwork(text []byte) (netip.Prefix, error) {
	var n struct {
		XMLName xml.Name `xml:"network"`
		IP      []struct {
			Address string `xml:"address,attr"`
			Netmask string `xml:"netmask,attr"`
			Prefix  string `xml:"prefix,attr"`
		} `xml:"ip"`
	}
	if err := xml.Unmarshal(text, &n); err != nil {
		return netip.Prefix{}, fmt.Errorf("read its description: %w", err)
	}
	for _, ip := range n.IP {
		a, err := netip.ParseAddr(ip.Address)
		if err == nil && a.Is4() && (ip.Netmask == "255.255.255.0" || ip.Prefix == "24") {
			return netip.PrefixFrom(a, 24).Masked(), nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("it has no addresses of a /24: %w", hypervisor.ErrNetwork)
}

// Locate costs two processes. Addresses are those that the network's DHCP server
// gave: one that a guest gave to itself is not known to libvirt.
func (b *Backend) Locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	m, err := b.locate(ctx, q)
	if err != nil {
		return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), err)
	}
	return m, nil
}

func (b *Backend) locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	vms, err := b.States(ctx)
	if err != nil {
		return hypervisor.Machine{}, err
	}
	found := which(vms, func(m hypervisor.Machine) bool {
		if q.UUID != "" {
			return strings.EqualFold(m.UUID, q.UUID)
		}
		return m.Name == q.Octet.VMName()
	})
	switch {
	case len(found) == 0 && (q.UUID != "" || !q.Addr.IsValid()):
		return hypervisor.Machine{}, hypervisor.ErrNoMachine
	case len(found) == 0:
		if found, err = b.at(ctx, vms, q.Addr); err != nil {
			return hypervisor.Machine{}, err
		}
	default:
		addrs, err := b.addrs(ctx, found)
		if err != nil {
			return hypervisor.Machine{}, err
		}
		if own := addrs[found[0].UUID]; len(own) > 0 {
			found[0].Addr = own[0]
		}
	}
	switch len(found) {
	case 0:
		return hypervisor.Machine{}, fmt.Errorf("none at %s: %w", q.Addr, hypervisor.ErrNoMachine)
	case 1:
		return found[0], nil
	}
	return hypervisor.Machine{}, fmt.Errorf("%s and %s are at %s: %w", found[0].UUID, found[1].UUID, q.Addr, hypervisor.ErrAmbiguous)
}

// At costs two processes. As with Locate, the DHCP server's word is what counts.
func (b *Backend) At(ctx context.Context, addr netip.Addr) ([]hypervisor.Machine, error) {
	vms, err := b.States(ctx)
	if err != nil {
		return nil, err
	}
	return b.at(ctx, vms, addr)
}

func (b *Backend) at(ctx context.Context, vms []hypervisor.Machine, addr netip.Addr) ([]hypervisor.Machine, error) {
	addrs, err := b.addrs(ctx, vms)
	if err != nil {
		return nil, err
	}
	found := which(vms, func(m hypervisor.Machine) bool { return slices.Contains(addrs[m.UUID], addr) })
	for i := range found {
		found[i].Addr = addr
	}
	return found, nil
}

func which(vms []hypervisor.Machine, fits func(hypervisor.Machine) bool) (out []hypervisor.Machine) {
	for _, m := range vms {
		if fits(m) {
			out = append(out, m)
		}
	}
	return out
}

// addrs are the addresses of the VMs that run, by UUID: a VM that is off has a
// lease, perhaps, but no address. All are asked for in one process.
func (b *Backend) addrs(ctx context.Context, vms []hypervisor.Machine) (map[string][]netip.Addr, error) {
	var line strings.Builder
	for _, m := range vms {
		if m.State == hypervisor.Running || m.State == hypervisor.Paused {
			fmt.Fprintf(&line, "echo %[1]s; domifaddr --domain=%[1]s --source=lease; ", m.UUID)
		}
	}
	if line.Len() == 0 {
		return nil, nil
	}
	out, err := b.virsh(ctx, line.String()+"echo "+endMark)
	if err != nil {
		return nil, err
	}
	return decodeAddrs(string(out))
}

// addrWord finds what is wanted of the output: the echoed UUID of a VM, and
// behind it its addresses. Names of interfaces are too short to be taken for a
// UUID.
var addrWord = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\sipv4\s+[0-9.]+/`)

func decodeAddrs(out string) (map[string][]netip.Addr, error) {
	if !strings.HasSuffix(strings.TrimSpace(out), endMark) {
		return nil, errors.New("virsh domifaddr: the answer is not whole")
	}
	addrs, uuid := map[string][]netip.Addr{}, ""
	for _, word := range addrWord.FindAllString(out, -1) {
		if uuidText.MatchString(word) {
			uuid = word
			continue
		}
		a, err := netip.ParseAddr(strings.Trim(word[5:], " \t/"))
		if err != nil || uuid == "" {
			return nil, fmt.Errorf("virsh domifaddr: cannot read %q", shown(word))
		}
		addrs[uuid] = append(addrs[uuid], a)
	}
	return addrs, nil
}
