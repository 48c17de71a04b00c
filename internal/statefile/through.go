package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Snapshot is a file of the user as it was at one moment. The zero value is a
// file that did not exist.
type Snapshot struct {
	Data   []byte // the content; nil if the file did not exist
	Exists bool
	Target string // the file itself, after all symbolic links
	info   fs.FileInfo
}

// Snap reads the file path, which may be a symbolic link to a regular file,
// with at most max bytes (else ErrTooBig). A missing file is no error; a link
// that leads nowhere is one.
func Snap(path string, max int64) (*Snapshot, error) {
	target, err := resolve(path)
	if err != nil {
		return nil, err
	}
	data, info, err := read(target, max)
	if errors.Is(err, fs.ErrNotExist) {
		return &Snapshot{Target: target}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Snapshot{Data: data, Exists: true, Target: target, info: info}, nil
}

// WriteThrough replaces the content of a file that belongs to the user, for
// ~/.ssh/config. Unlike Write it follows symbolic links and replaces the file
// that they lead to, as people keep this file in a repository elsewhere; and
// it keeps the mode that the file has, taking defaultPerm only for a new one.
//
// If was is not nil and the file is no longer as it was then, ErrChanged:
// nothing was written; the caller may start again with a new Snap. The look is
// taken just before the file is replaced, so only a change within the same
// microseconds can be missed.
//
// The new file takes the name of the old one, as editors do it: a second hard
// link keeps the old content, and extended attributes are not carried over.
func WriteThrough(path string, data []byte, defaultPerm fs.FileMode, was *Snapshot) error {
	return realDisk.writeThrough(path, data, defaultPerm, was)
}

func (d disk) writeThrough(path string, data []byte, defaultPerm fs.FileMode, was *Snapshot) error {
	target, err := resolve(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	dir, err := openDir(filepath.Dir(target))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer dir.Close()

	perm := defaultPerm
	info, err := dir.Lstat(filepath.Base(target))
	switch {
	case err == nil:
		if err := checkKind(target, info, wantFile); err != nil {
			return err
		}
		perm = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write %s: %w", path, err)
	}
	check := func() error { return was.unchanged(path) }
	if err := d.replace(dir, filepath.Base(target), data, perm, check); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// unchanged is nil if path is still what s says, ErrChanged if not. A nil s
// says nothing.
func (s *Snapshot) unchanged(path string) error {
	if s == nil {
		return nil
	}
	now, err := Snap(path, int64(len(s.Data)))
	if errors.Is(err, ErrTooBig) {
		return ErrChanged
	}
	if err != nil {
		return err
	}
	same := now.Exists == s.Exists && (s.Target == "" || now.Target == s.Target)
	if same && s.Exists {
		// The bytes are compared too: a clock that ticks slowly gives two
		// quick saves of one size the same time.
		same = os.SameFile(now.info, s.info) && now.info.ModTime().Equal(s.info.ModTime()) &&
			bytes.Equal(now.Data, s.Data)
	}
	if !same {
		return ErrChanged
	}
	return nil
}

// resolve is the path of the file that path means after all symbolic links.
// The file need not exist, but a link must lead to one.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		return target, nil
	}
	info, lstatErr := os.Lstat(path)
	switch link := lstatErr == nil && info.Mode()&fs.ModeSymlink != 0; {
	case link && errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("follow the symbolic link %s: %w", path, err)
	case link:
		return "", &linkError{path}
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// linkError says that a symbolic link leads to no file, also in a circle. It is
// fs.ErrInvalid without saying so in its text.
type linkError struct{ path string }

func (e *linkError) Error() string        { return e.path + " is a symbolic link that leads nowhere" }
func (e *linkError) Is(target error) bool { return target == fs.ErrInvalid }
