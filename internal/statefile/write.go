package statefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Temporary files are named so that RemoveTemps knows them again. The part
// between is random: nobody can wait for it with a link of that name.
const (
	tempPrefix = ".mpd-virt-"
	tempSuffix = ".tmp"
)

// Write replaces the file path with data, or makes it, with exactly the mode
// perm whatever the umask says. The folder must exist.
//
// After a kill or a loss of power the file is the old one or the new one;
// when Write returns nil, the new one is on the disk. The bytes are never
// readable to more users than perm allows. It is an error, and nothing is
// changed, if path or its folder is a symbolic link, or path is no regular
// file (*KindError).
//
// Two writers of one file do not harm it, but one of them loses: hold a lock.
func Write(path string, data []byte, perm fs.FileMode) error {
	return realDisk.write(path, data, perm)
}

// disk is the calls that make a write safe, each of which a test can make fail
// or stop at.
type disk struct {
	sync    func(f *os.File) error
	rename  func(dir *os.Root, from, to string) error
	syncDir func(dir *os.Root) error
}

var realDisk = disk{
	sync:    (*os.File).Sync,
	rename:  (*os.Root).Rename,
	syncDir: syncRoot,
}

func (d disk) write(path string, data []byte, perm fs.FileMode) error {
	dir, err := openDir(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer dir.Close()

	name := filepath.Base(path)
	info, err := dir.Lstat(name)
	switch {
	case err == nil:
		if err := checkKind(path, info, wantFile); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := d.replace(dir, name, data, perm, nil); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// replace writes data beside name in dir and renames it into place. last, if
// not nil, is asked just before the rename and can still stop it.
func (d disk) replace(dir *os.Root, name string, data []byte, perm fs.FileMode, last func() error) error {
	temp := tempPrefix + rand.Text() + tempSuffix
	// Mode 0600 first and perm by chmod, because the umask could take bits of
	// perm away, and a file that is born wide is read before it is narrowed.
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm&0o600)
	if err != nil {
		return unnamed(err)
	}
	err = d.fill(f, data, perm)
	if err == nil && last != nil {
		err = last()
	}
	if err == nil {
		err = d.rename(dir, temp, name)
	}
	if err != nil {
		// The first error is the one to report; a temporary file that cannot
		// be removed is left to RemoveTemps.
		_ = dir.Remove(temp)
		return unnamed(err)
	}
	return d.syncDir(dir)
}

// tempError is the error of a call on a temporary file, whose name means
// nothing to anybody.
type tempError struct {
	err  error
	text string
}

func (e *tempError) Error() string { return e.text }
func (e *tempError) Unwrap() error { return e.err }

func unnamed(err error) error {
	var (
		path *fs.PathError
		link *os.LinkError
	)
	switch {
	case errors.As(err, &path):
		return &tempError{err, path.Err.Error()}
	case errors.As(err, &link):
		return &tempError{err, link.Err.Error()}
	}
	return err
}

// fill writes f to the disk and closes it.
func (d disk) fill(f *os.File, data []byte, perm fs.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(perm.Perm())
	}
	if err == nil {
		// Without this, some file systems put the rename on the disk before
		// the data: an empty file after a loss of power.
		err = d.sync(f)
	}
	return errors.Join(err, f.Close())
}

// openDir opens the folder path, which must not be a symbolic link. All that
// is done through the result stays in this folder, even if its name is given
// to another one meanwhile.
func openDir(path string) (*os.Root, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if err := checkKind(path, before, wantFolder); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	after, err := dir.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s: %w", path, ErrChanged)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// syncRoot puts the names in dir on the disk.
func syncRoot(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil // network file systems that cannot sync a folder
	}
	return err
}

// RemoveTemps removes the temporary files that killed runs left in the folder
// dir; one that does not exist has none. Call it while holding the lock under
// which the files of that folder are written: a live writer's temporary file
// would go as well, and its write would fail.
func RemoveTemps(dir string) error {
	root, err := openDir(filepath.Clean(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove temporary files: %w", err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("remove temporary files in %s: %w", dir, err)
	}
	for _, e := range entries {
		ours := strings.HasPrefix(e.Name(), tempPrefix) && strings.HasSuffix(e.Name(), tempSuffix)
		if !ours || !e.Type().IsRegular() {
			continue
		}
		if err := root.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove temporary files in %s: %w", dir, err)
		}
	}
	return nil
}

// secretPerm is the mode of a secret file.
const secretPerm fs.FileMode = 0o600

// Tighten takes the rights of group and others from a secret file. It works on
// the open file and follows no symlink, so that it cannot be led to another.
func Tighten(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return explainOpen(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if err := checkKind(path, info, wantFile); err != nil {
		return err
	}
	return f.Chmod(secretPerm)
}
