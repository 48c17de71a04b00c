package identity

import (
	"bytes"
	"fmt"
	"io/fs"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Load returns the identity of this Mac and the VM o as it is on disk and
// changes nothing. An identity of which nothing is there, or only a part that
// Ensure would complete, is an error that wraps fs.ErrNotExist; a damaged one
// is a *FileError. Created and Changed are empty.
func (s *Store) Load(o hypervisor.Octet) (*Identity, error) {
	if err := checkOctet(o); err != nil {
		return nil, err
	}
	a, err := s.loadAuthority()
	if err != nil {
		return nil, err
	}
	macFiles, err := s.macPair()
	if err != nil {
		return nil, err
	}
	mac, err := loadPair(macFiles)
	if err != nil {
		return nil, err
	}
	own, err := loadPair(s.vmPair(o))
	if err != nil {
		return nil, err
	}
	id := newIdentity(a, mac, own)
	if err := s.loadConfs(id, o, mac, own); err != nil {
		return nil, err
	}
	return id, nil
}

func (s *Store) loadAuthority() (authority, error) {
	a, err := s.readAuthority()
	if err != nil {
		return authority{}, err
	}
	if a.key == nil {
		return authority{}, missing(s.caKeyFile())
	}
	if a.cert == nil {
		return authority{}, missing(s.CACertFile())
	}
	return a, nil
}

func loadPair(p pairFiles) (pair, error) {
	k, err := readPair(p)
	if err != nil {
		return pair{}, err
	}
	if !k.hasPrivate {
		return pair{}, missing(p.private)
	}
	if !k.hasPublic {
		return pair{}, missing(p.public)
	}
	return k, nil
}

// loadConfs checks the configurations against the keys. The VM's address is
// the one thing that only they know.
func (s *Store) loadConfs(id *Identity, o hypervisor.Octet, mac, own pair) error {
	path := s.in(o, "client.conf")
	client, err := s.read(path)
	if err != nil {
		return err
	}
	if client == nil {
		return missing(path)
	}
	vm, ok := confAddr(client)
	if !ok {
		return staleConf(path, o)
	}
	id.setConfs(o, vm, mac, own)
	for _, c := range s.confFiles(o, id) {
		got, err := s.read(c.path)
		switch {
		case err != nil:
			return err
		case got == nil:
			return missing(c.path)
		case !bytes.Equal(got, c.want):
			return staleConf(c.path, o)
		}
	}
	return nil
}

func missing(path string) error {
	return hint.Wrap(fmt.Errorf("%s: %w", path, fs.ErrNotExist), "mpd-virt setup creates it")
}

func staleConf(path string, o hypervisor.Octet) error {
	return hint.Wrap(&FileError{path, "is not the configuration that belongs to the keys"},
		"mpd-virt setup "+o.String()+" writes it again")
}
