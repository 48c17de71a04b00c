package utm

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// DefaultNetwork is 192.168.64.0/24, which macOS gives to vmnet's shared network if
// nobody else has taken it.
func DefaultNetwork() netip.Prefix { return netip.MustParsePrefix("192.168.64.0/24") }

// Network is the network of vmnet's shared mode, which macOS chooses: what the
// bridge has while a VM runs, else what vmnet wrote down the last time, else
// DefaultNetwork. It asks ifconfig and defaults, never UTM; that one of them is
// missing or has no answer is no error. ErrNetwork if the network is no /24.
//
// The answer is certain only while a VM runs: when none does, macOS may choose
// another network for the next one.
func (b *Backend) Network(ctx context.Context) (netip.Prefix, error) {
	for _, source := range []struct {
		argv   []string
		decode func(out []byte) (netip.Prefix, error)
	}{{argvBridge(), decodeBridge}, {argvRecorded(), decodeRecorded}} {
		res, err := b.run(ctx, hypervisor.Command{Argv: source.argv})
		switch {
		case ctx.Err() != nil:
			return netip.Prefix{}, fmt.Errorf("find out the shared network: %w", ctx.Err())
		case err != nil || res.Status != 0:
			continue
		}
		p, err := source.decode(res.Stdout)
		if err != nil || p.IsValid() {
			return p, err
		}
	}
	return DefaultNetwork(), nil
}

var bridgeText = regexp.MustCompile(`(?m)^\s*inet ([0-9.]{7,15}) netmask 0x([0-9a-fA-F]{8})\b`)

// decodeBridge reads what ifconfig says of the bridge. The zero Prefix means that
// it is another program's: vmnet has .1, Parallels .2.
func decodeBridge(out []byte) (netip.Prefix, error) {
	found := bridgeText.FindSubmatch(out)
	if found == nil || !strings.Contains(string(out), "vmenet") {
		return netip.Prefix{}, nil
	}
	p := networkOf(string(found[1]))
	if mask := strings.ToLower(string(found[2])); p.IsValid() && mask != "ffffff00" {
		return netip.Prefix{}, hint.Wrap(fmt.Errorf("the shared network of %v has the mask 0x%s and not that of a /24: %w", p.Addr(), mask, hypervisor.ErrNetwork),
			"macOS keeps the mask as Shared_Net_Mask in /Library/Preferences/SystemConfiguration/com.apple.vmnet.plist")
	}
	return p, nil
}

// decodeRecorded reads the Mac's own address in the network.
func decodeRecorded(out []byte) (netip.Prefix, error) {
	return networkOf(strings.TrimSpace(string(out))), nil
}

// networkOf is the /24 of a Mac's own address in it; zero if that is none.
func networkOf(text string) netip.Prefix {
	a, err := hypervisor.ParseAddr(text)
	if err != nil || !a.IsPrivate() || a.As4()[3] != 1 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, 24).Masked()
}
