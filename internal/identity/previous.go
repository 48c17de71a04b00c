package identity

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// The CAs that were replaced are in caroot/previous, each a certificate in a
// file that is named after its SHA-256.

func (s *Store) previousDir() string { return filepath.Join(s.caDir(), "previous") }

func (s *Store) previousFile(fingerprint string) string {
	return filepath.Join(s.previousDir(), fingerprint+".pem")
}

// Previous returns the CAs that were replaced and are still to be trusted,
// oldest first, also those that expired meanwhile. It is empty where no
// rotation is under way, and changes nothing. Damage is a *FileError.
func (s *Store) Previous() ([]*CA, error) {
	a, err := s.readAnyTime()
	if err != nil {
		return nil, err
	}
	return s.previous(a)
}

// previous leaves out the current CA: a rotation that was killed after its
// first write has kept it and changed nothing else.
func (s *Store) previous(a authority) ([]*CA, error) {
	kept, err := s.kept()
	if a.cert != nil {
		kept = slices.DeleteFunc(kept, func(c *CA) bool { return c.X509.Equal(a.cert) })
	}
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// kept reads the folder of the CAs that were replaced: what can be read, and
// the errors about the rest.
func (s *Store) kept() ([]*CA, error) {
	err := s.files.CheckDir(s.previousDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := s.files.ReadDir(s.previousDir())
	if err != nil {
		return nil, err
	}
	var all []*CA
	var errs []error
	for _, e := range entries {
		name, isCert := strings.CutSuffix(e.Name(), ".pem")
		if !isCert || !isFingerprint(name) {
			continue // the Finder's .DS_Store, an editor's copy
		}
		c, err := s.keptCA(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, c)
	}
	sortCAs(all)
	return all, errors.Join(errs...)
}

// keptCA reads one of them.
func (s *Store) keptCA(name string) (*CA, error) {
	file := s.previousFile(name)
	data, err := s.read(file)
	if err != nil {
		return nil, err
	}
	cert, certPEM, err := parseCACert(data)
	if err != nil {
		return nil, keptFault(file, "%v", err)
	}
	if fingerprint(cert) != name {
		return nil, keptFault(file, "holds another certificate than its name says")
	}
	return newCA(file, cert, certPEM), nil
}

// keptFault is a FileError about a CA that was replaced.
func keptFault(path, format string, args ...any) error {
	return hint.Wrap(&FileError{path, fmt.Sprintf(format, args...)},
		"restore it from a backup, or delete it: the CA whose SHA-256 is the file's name may then still be trusted on this Mac")
}

// Roots returns the certificate of every CA in the store, for whoever takes
// trust away: the current one first, then those that were replaced, oldest
// first, each once. Neither the clock nor the private key matters. Where a file
// is damaged, the error says so and the others are returned all the same.
func (s *Store) Roots() ([]*CA, error) {
	kept, err := s.kept()
	data, readErr := s.read(s.CACertFile())
	if readErr != nil || data == nil {
		return kept, errors.Join(readErr, err)
	}
	cert, certPEM, parseErr := parseCACert(data)
	if parseErr != nil {
		return kept, errors.Join(caFault(s.CACertFile(), "%v", parseErr), err)
	}
	kept = slices.DeleteFunc(kept, func(c *CA) bool { return c.X509.Equal(cert) })
	return slices.Insert(kept, 0, newCA(s.CACertFile(), cert, certPEM)), err
}

// Retire forgets the replaced CA with the given SHA-256 (hexadecimal in any
// case), after every VM has the current one and the Mac no longer trusts the
// old one. One that is not there is forgotten already, which is no error. The
// CA in rootCA.pem is refused: it is the current one, or a rotation was stopped
// half-way and Rotate completes it.
//
// The caller holds the lock for shared files.
func (s *Store) Retire(sha256 string) error {
	name := strings.ToLower(sha256)
	if !isFingerprint(name) {
		return errors.New("retire a CA: its SHA-256 is wanted, 64 hexadecimal digits")
	}
	data, err := s.read(s.CACertFile())
	if err != nil {
		return err
	}
	if cert, _, err := parseCACert(data); err == nil && fingerprint(cert) == name {
		return hint.Wrap(fmt.Errorf("retire CA %s…: it is the one in %s", name[:8], s.CACertFile()),
			"mpd-virt ca rotate puts a new one in its place")
	}
	err = s.files.CheckDir(s.previousDir())
	if err == nil {
		err = s.files.Remove(s.previousFile(name))
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("retire CA %s…: %w", name[:8], err)
}

// isFingerprint says whether s is a SHA-256 as fingerprint writes it.
func isFingerprint(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64 && s == strings.ToLower(s)
}

// sortCAs sorts by age, and by fingerprint where two are of one second.
func sortCAs(all []*CA) {
	slices.SortFunc(all, func(a, b *CA) int {
		return cmp.Or(a.X509.NotBefore.Compare(b.X509.NotBefore), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
}
