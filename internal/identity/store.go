package identity

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Store is the folder that holds the identity. It keeps nothing in memory and
// may be used by several goroutines; calls of Ensure must not overlap, in this
// process or another, which the lock for shared files sees to.
type Store struct {
	dir string
	now func() time.Time
}

// Open returns the store in the folder dir, ~/.mpd-virt/conf. It touches
// nothing; the folder need not exist. now is the clock that validity is judged
// by, nil means time.Now.
func Open(dir string, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{dir, now}
}

// Identity is all that one VM and this Mac need to trust each other. CAKey,
// ServerConf and ClientConf are secrets; printing an Identity shows none.
type Identity struct {
	CACert, CAKey []byte    // PEM; the same for all VMs
	Fingerprint   string    // of the CA: SHA-256 of the DER, lower-case hexadecimal
	NotAfter      time.Time // end of the CA's validity

	ServerConf, ClientConf  []byte         // WireGuard configuration of the VM and of the Mac
	ServerPublic, MacPublic string         // WireGuard public keys in base64
	Endpoint                netip.AddrPort // of the VM, as in ClientConf

	Created []string // files that this call of Ensure made, in order
	Changed []string // configurations that were there and that this call rewrote
}

// String shows what is public of id.
func (id Identity) String() string {
	return fmt.Sprintf("CA %s, VM %s at %s, Mac %s", id.Fingerprint, id.ServerPublic, id.Endpoint, id.MacPublic)
}

// GoString shows what is public of id, so that %#v prints no secret.
func (id Identity) GoString() string { return "identity.Identity{" + id.String() + "}" }

// CA is what checking the Mac's trust needs of the CA. It holds no secret.
type CA struct {
	Cert        []byte    // PEM
	Fingerprint string    // SHA-256 of the DER, lower-case hexadecimal
	NotAfter    time.Time // end of its validity
}

// CA reads and checks the CA without changing anything. The error is that of
// Load.
func (s *Store) CA() (*CA, error) {
	a, err := s.loadAuthority()
	if err != nil {
		return nil, err
	}
	return &CA{a.certPEM, fingerprint(a.cert), a.cert.NotAfter}, nil
}

// newIdentity puts the parts together, all but the configurations.
func newIdentity(a authority, mac, vm pair) *Identity {
	return &Identity{
		CACert: a.certPEM, CAKey: a.keyPEM,
		Fingerprint: fingerprint(a.cert), NotAfter: a.cert.NotAfter,
		ServerPublic: vm.public.text(), MacPublic: mac.public.text(),
	}
}

// checkOctet guards the paths that are made from o.
func checkOctet(o hypervisor.Octet) error {
	if !o.Valid() {
		return fmt.Errorf("octet %s is not from %s to %s", o, hypervisor.FirstOctet, hypervisor.LastOctet)
	}
	return nil
}
