package cloudinit

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// Seed is what a new VM is told at its first boot. All fields are needed. The
// same Seed makes the same bytes.
type Seed struct {
	// InstanceID must be another one for each VM that is made, also if it
	// takes the place of an earlier one: cloud-init sets a disk up anew only
	// if the id changed. Letters, digits and '-', at most 64.
	InstanceID string
	// HostName is lower-case letters, digits and '-', at most 63.
	HostName string
	// User is the one account: it has sudo without a password, and no
	// password of its own.
	User hypervisor.User
	// PublicKey lets User log in; ParsePublicKey makes it.
	PublicKey string
	// HostKey is the VM's own key, an ed25519 private key in OpenSSH's PEM
	// form without passphrase; GenerateHostKey makes it. A secret.
	HostKey []byte
	// MAC finds the network card, whatever the system calls it.
	MAC net.HardwareAddr
	// Addr is the VM's IPv4 address with the length of its network.
	Addr netip.Prefix
	// Gateway is the default route and the only name server, in Addr's
	// network.
	Gateway netip.Addr
}

// label is what NoCloud looks for, in exactly this or in capital letters.
const label = "cidata"

// Names of the files of the seed. The first two are required by NoCloud.
const (
	userDataName = "user-data"
	metaDataName = "meta-data"
	networkName  = "network-config"
)

// ISO is the seed as an ISO 9660 image. The error names the field that is
// wrong; the host key is in none.
func (s Seed) ISO() ([]byte, error) {
	d, err := s.documents()
	if err != nil {
		return nil, fmt.Errorf("cloud-init seed: %w", err)
	}
	image, err := makeISO(label, d)
	if err != nil {
		return nil, fmt.Errorf("cloud-init seed: %w", err)
	}
	return image, nil
}

// WriteFile writes the seed to path with mode 0600, in one step; in nil is the
// disk. The folder must exist.
func (s Seed) WriteFile(in *statefile.Files, path string) error {
	image, err := s.ISO()
	if err != nil {
		return err
	}
	return in.Opaque().Write(path, image, 0o600)
}

var (
	instanceRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)
	hostRule     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// check says what is wrong with s besides its keys.
func (s Seed) check() error {
	if !instanceRule.MatchString(s.InstanceID) {
		return fmt.Errorf("instance id %+q: letters, digits and '-' are wanted, at most 64", s.InstanceID)
	}
	if !hostRule.MatchString(s.HostName) {
		return fmt.Errorf("host name %+q: lower-case letters, digits and '-' are wanted, at most 63", s.HostName)
	}
	if _, err := hypervisor.ParseUser(string(s.User)); err != nil {
		return err
	}
	return s.checkNetwork()
}

func (s Seed) checkNetwork() error {
	// The lowest bit of the first byte marks a group of cards, not one.
	if len(s.MAC) != 6 || s.MAC[0]&1 != 0 || strings.Trim(s.MAC.String(), "0:") == "" {
		return fmt.Errorf("MAC address %q is not that of one network card", s.MAC)
	}
	if !s.Addr.IsValid() || !s.Addr.Addr().Is4() || s.Addr.Bits() < 8 || s.Addr.Bits() > 30 {
		return fmt.Errorf("address %s: an IPv4 address with its network is wanted, like 192.168.64.150/24", s.Addr)
	}
	for _, a := range []netip.Addr{s.Addr.Addr(), s.Gateway} {
		if !a.Is4() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || !s.Addr.Contains(a) {
			return fmt.Errorf("address %s is not one of a machine in %s", a, s.Addr.Masked())
		}
	}
	if s.Gateway == s.Addr.Addr() {
		return fmt.Errorf("address %s is also the gateway's", s.Gateway)
	}
	return nil
}
