package identity

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// pairFiles says where a WireGuard key pair is and what comes from it.
type pairFiles struct {
	store           *Store
	private, public string
	copies          []string // configurations that hold the private key
	users           []string // configurations that hold the public key
	cost            string   // what must be done after the pair was made anew
}

// pair is a WireGuard key pair as it is on disk.
type pair struct {
	private, public wgKey
	hasPrivate      bool // else both keys are zero
	hasPublic       bool // the public key's file is there
}

// vmPair is the pair of the VM o.
func (s *Store) vmPair(o hypervisor.Octet) pairFiles {
	return pairFiles{
		store:   s,
		private: s.in(o, "private"),
		public:  s.in(o, "public"),
		copies:  []string{s.in(o, "server.conf")},
		users:   []string{s.in(o, "client.conf"), s.ImportFile(o), s.ProfileFile(o)},
		cost: "mpd-virt setup " + o.String() + " pushes it and the tunnel " + o.VMName() +
			" must be deleted in WireGuard.app and imported again",
	}
}

// macPair is the pair of the Mac, which the configurations of all VMs use.
func (s *Store) macPair() (pairFiles, error) {
	p := pairFiles{
		store:   s,
		private: filepath.Join(s.tunnelsDir(), "mac.private"),
		public:  filepath.Join(s.tunnelsDir(), "mac.public"),
		cost: "each VM needs mpd-virt setup NNN and each tunnel must be deleted in WireGuard.app " +
			"and imported again",
	}
	entries, err := s.files.ReadDir(s.tunnelsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	for _, e := range entries {
		if o, err := hypervisor.ParseOctet(e.Name()); err == nil {
			p.copies = append(p.copies, s.in(o, "client.conf"), s.ImportFile(o), s.ProfileFile(o))
			p.users = append(p.users, s.in(o, "server.conf"))
		}
	}
	return p, nil
}

// traces are the files that came from the pair's private key and are there.
func (p pairFiles) traces() ([]string, error) {
	return p.store.present(slices.Concat([]string{p.public}, p.copies, p.users)...)
}

// restore names, for a hint, the places that the private key can come back
// from.
func (p pairFiles) restore() string {
	copies, err := p.store.present(p.copies...)
	if err != nil || len(copies) == 0 {
		return "a backup"
	}
	return "a backup, or from the PrivateKey line of " + strings.Join(copies, " or ")
}

// readPair reads and checks a pair. A pair of which nothing is there is no
// error; a private key that is gone while something that came from it is there
// is one.
func readPair(p pairFiles) (pair, error) {
	data, err := p.store.read(p.private)
	if err != nil {
		return pair{}, err
	}
	if data == nil {
		return pair{}, noTrace(p)
	}
	k := pair{hasPrivate: true}
	if k.private, err = parsePrivate(keyLine(data)); err != nil {
		return pair{}, privateFault(p, "%v", err)
	}
	if k.public, err = k.private.public(); err != nil {
		return pair{}, privateFault(p, "is not usable: %v", err)
	}
	k.hasPublic, err = checkPublic(p, k.public)
	if err != nil {
		return pair{}, err
	}
	return k, nil
}

// noTrace is nil if nothing is there that came from the missing private key.
func noTrace(p pairFiles) error {
	traces, err := p.traces()
	if err != nil {
		return err
	}
	if len(traces) > 0 {
		return privateFault(p, "is missing, although %s was made from it", traces[0])
	}
	return nil
}

// checkPublic compares the file of the public key, if it is there, with want.
func checkPublic(p pairFiles, want wgKey) (there bool, err error) {
	data, err := p.store.read(p.public)
	if err != nil || data == nil {
		return false, err
	}
	got, err := parseKey(keyLine(data))
	if err != nil {
		return true, publicFault(p, "%v", err)
	}
	if got != want {
		return true, publicFault(p, "is not the public half of %s", p.private)
	}
	return true, nil
}
