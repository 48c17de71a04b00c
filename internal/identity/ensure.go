package identity

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Ensure returns the identity of this Mac and the VM o at the IPv4 address vm.
// It creates what is missing, checks what is there, takes rights of others off
// secret files, and rewrites a configuration or profile only if its content would differ,
// as the Mac's do when the VM's address changed. What it did is in Created
// and Changed; both are empty if all was there.
//
// A file that is damaged, or a private key that is gone while something made
// from it is there, is a *FileError, and that file is left as it is. A call
// that failed or was killed may have created part of the files; the next one
// goes on from there.
//
// The caller holds the lock for shared files.
func (s *Store) Ensure(o hypervisor.Octet, vm netip.Addr) (*Identity, error) {
	if err := checkOctet(o); err != nil {
		return nil, err
	}
	if err := checkAddr(vm); err != nil {
		return nil, err
	}
	if err := s.ensureDirs(o); err != nil {
		return nil, err
	}
	w := work{s: s}
	a, err := w.authority()
	if err != nil {
		return nil, err
	}
	macFiles, err := s.macPair()
	if err != nil {
		return nil, err
	}
	mac, err := w.pair(macFiles)
	if err != nil {
		return nil, err
	}
	own, err := w.pair(s.vmPair(o))
	if err != nil {
		return nil, err
	}
	id := newIdentity(a, mac, own)
	if err := w.confs(id, o, vm, mac, own); err != nil {
		return nil, err
	}
	id.Created, id.Changed = w.created, w.changed
	return id, nil
}

// ensureDirs makes the folders and takes away what a killed writer left in
// them, which may hold a secret.
func (s *Store) ensureDirs(o hypervisor.Octet) error {
	for _, dir := range []string{s.dir, s.caDir(), s.tunnelsDir(), s.in(o, ""), s.serviceDir()} {
		if err := s.files.EnsureDir(dir); err != nil {
			return err
		}
		if err := s.files.RemoveTemps(dir); err != nil {
			return err
		}
	}
	return nil
}

// work is one call of Ensure. The order of its writes is what makes every
// prefix of them a state that a later call completes: private before public,
// keys before configurations.
type work struct {
	s                *Store
	created, changed []string
}

func (w *work) create(path string, data []byte, mode fs.FileMode) error {
	if err := w.s.write(path, data, mode); err != nil {
		return err
	}
	w.created = append(w.created, path)
	return nil
}

func (w *work) authority() (authority, error) {
	a, err := w.s.readAuthority()
	if err != nil {
		return authority{}, err
	}
	if a.key != nil {
		err = w.s.files.Tighten(w.s.caKeyFile())
	} else if a.key, a.keyPEM, err = newCAKey(); err == nil {
		err = w.create(w.s.caKeyFile(), a.keyPEM, secretMode)
	}
	if err != nil || a.cert != nil {
		return a, err
	}
	if a.cert, a.certPEM, err = newCACert(a.key, w.s.now()); err != nil {
		return authority{}, err
	}
	return a, w.create(w.s.CACertFile(), a.certPEM, publicMode)
}

func (w *work) pair(p pairFiles) (pair, error) {
	k, err := readPair(p)
	if err != nil {
		return pair{}, err
	}
	if k.hasPrivate {
		err = w.s.files.Tighten(p.private)
	} else {
		k.private = newPrivate()
		if k.public, err = k.private.public(); err == nil {
			err = w.create(p.private, []byte(k.private.text()+"\n"), secretMode)
		}
	}
	if err != nil || k.hasPublic {
		return k, err
	}
	return k, w.create(p.public, []byte(k.public.text()+"\n"), publicMode)
}

// confs writes the configurations into their files and into id.
func (w *work) confs(id *Identity, o hypervisor.Octet, vm netip.Addr, mac, own pair) error {
	id.setConfs(o, vm, mac, own)
	for _, c := range w.s.confFiles(o, id) {
		if err := w.conf(c.path, c.want); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) conf(path string, want []byte) error {
	got, err := w.s.read(path)
	switch {
	case err != nil:
		return err
	case got == nil:
		return w.create(path, want, secretMode)
	case bytes.Equal(got, want):
		return w.s.files.Tighten(path)
	}
	if err := w.s.write(path, want, secretMode); err != nil {
		return fmt.Errorf("update the tunnel's configuration: %w", err)
	}
	w.changed = append(w.changed, path)
	return nil
}

type confFile struct {
	path string
	want []byte
}

// confFiles are the configurations of o with the content that they shall have.
func (s *Store) confFiles(o hypervisor.Octet, id *Identity) []confFile {
	return []confFile{
		{s.in(o, "server.conf"), id.ServerConf},
		{s.in(o, "client.conf"), id.ClientConf},
		{s.ImportFile(o), id.ClientConf},
		{s.ProfileFile(o), id.Profile},
	}
}
