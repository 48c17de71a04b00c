package identity

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Modes of the files. Public files are 0644, although no one but the user gets
// into the folder, because that is what they are once they are copied.
const (
	secretMode fs.FileMode = 0o600
	publicMode fs.FileMode = 0o644
)

// maxFile is far above what any file of the identity holds.
const maxFile = 64 << 10

func (s *Store) caDir() string      { return filepath.Join(s.dir, "caroot") }
func (s *Store) caKeyFile() string  { return filepath.Join(s.caDir(), "rootCA-key.pem") }
func (s *Store) tunnelsDir() string { return filepath.Join(s.dir, "wireguard") }
func (s *Store) serviceDir() string { return filepath.Join(s.dir, "service") }
func (s *Store) in(o hypervisor.Octet, name string) string {
	return filepath.Join(s.tunnelsDir(), o.String(), name)
}

// CACertFile is the path of the CA's certificate, for tools that take a file.
func (s *Store) CACertFile() string { return filepath.Join(s.caDir(), "rootCA.pem") }

// ImportFile is the path of the copy of the client configuration that is named
// after the tunnel: WireGuard.app names a tunnel after the file that it
// imports.
func (s *Store) ImportFile(o hypervisor.Octet) string { return s.in(o, o.VMName()+".conf") }

// ProfileFile is the path of the configuration profile with the client
// configuration, which replaces its predecessor when it is opened.
func (s *Store) ProfileFile(o hypervisor.Octet) string { return s.in(o, o.VMName()+".mobileconfig") }

// read is Files.Read, where a file that is not there is nil, nil.
func (s *Store) read(path string) ([]byte, error) {
	data, err := s.files.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{} // there, and empty
	}
	return data, err
}

// present returns those of paths that exist, whatever they are.
func (s *Store) present(paths ...string) ([]string, error) {
	var found []string
	for _, p := range paths {
		_, err := s.files.Lstat(p)
		if err == nil {
			found = append(found, p)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return found, nil
}
