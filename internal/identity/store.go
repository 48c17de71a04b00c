package identity

import (
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// Store is the folder that holds the identity. It keeps nothing in memory and
// may be used by several goroutines; calls of Ensure, Rotate and Retire must not overlap, in this
// process or another, which the lock for shared files sees to.
type Store struct {
	dir   string
	now   func() time.Time
	files *statefile.Files                                       // nil is the disk
	write func(path string, data []byte, perm fs.FileMode) error // of files, where no test is
}

// Open returns the store in the folder dir, ~/.mpd-virt/conf. It touches
// nothing; the folder need not exist. now is the clock that validity is judged
// by, nil means time.Now.
func Open(dir string, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return (&Store{dir: dir, now: now}).In(nil)
}

// In is the same store with its files in the given place. A draft does not show
// what is in them: it is secret, or made at random.
func (s *Store) In(files *statefile.Files) *Store {
	return &Store{dir: s.dir, now: s.now, files: files, write: files.Opaque().Write}
}

// Identity is all that one VM and this Mac need to trust each other. CAKey,
// ServerConf, ClientConf and Profile are secrets; printing an Identity shows none.
type Identity struct {
	CACert, CAKey []byte    // PEM; the same for all VMs
	Fingerprint   string    // of the CA: SHA-256 of the DER, lower-case hexadecimal
	NotAfter      time.Time // end of the CA's validity

	ServerConf, ClientConf  []byte         // WireGuard configuration of the VM and of the Mac
	Profile                 []byte         // configuration profile (.mobileconfig) that holds ClientConf
	ServerPublic, MacPublic string         // WireGuard public keys in base64
	Endpoint                netip.AddrPort // of the VM, as in ClientConf

	Created []string // files that this call of Ensure made, in order
	Changed []string // configurations and profile that were there and that this call rewrote
}

// String shows what is public of id.
func (id Identity) String() string {
	return fmt.Sprintf("CA %s, VM %s at %s, Mac %s", id.Fingerprint, id.ServerPublic, id.Endpoint, id.MacPublic)
}

// GoString shows what is public of id, so that %#v prints no secret.
func (id Identity) GoString() string { return "identity.Identity{" + id.String() + "}" }

// newIdentity puts the parts together, all but the configurations.
func newIdentity(a authority, mac, vm pair) *Identity {
	return &Identity{
		CACert: a.certPEM, CAKey: a.keyPEM,
		Fingerprint: fingerprint(a.cert), NotAfter: a.cert.NotAfter,
		ServerPublic: vm.public.text(), MacPublic: mac.public.text(),
	}
}

// setConfs adds the configurations for the VM o at vm, and what follows.
func (id *Identity) setConfs(o hypervisor.Octet, vm netip.Addr, mac, own pair) {
	id.ServerConf = serverConf(o, own.private, mac.public)
	id.ClientConf = clientConf(o, mac.private, own.public, vm)
	id.Endpoint = netip.AddrPortFrom(vm, TunnelPort)
	id.Profile = profile(o, id.ClientConf, id.Endpoint)
}

// checkOctet guards the paths that are made from o.
func checkOctet(o hypervisor.Octet) error {
	if !o.Valid() {
		return fmt.Errorf("octet %s is not from %s to %s", o, hypervisor.FirstOctet, hypervisor.LastOctet)
	}
	return nil
}
