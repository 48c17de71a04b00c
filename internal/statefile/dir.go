package statefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// EnsureDir makes the folder path with mode 0700, and with it each level above
// that is missing. If path exists, its bits for group and others are taken
// away; levels above that exist are not looked at, so call it once for every
// level that is ours, from the top. A symbolic link or file at path is a
// *KindError, a folder of another user an *OwnerError; neither is touched.
func EnsureDir(path string) error {
	path = filepath.Clean(path)
	if err := makeLevels(path); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	// Opened without following links, and changed through what was opened:
	// between a look at the name and a chmod of the name a link could come in.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if kindErr := CheckDir(path); kindErr != nil {
			return kindErr
		}
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkOwner(path, info); err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return f.Chmod(perm &^ 0o077)
	}
	return nil
}

// makeLevels makes path and what is missing above it. What exists is fine,
// whatever it is.
func makeLevels(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := makeLevels(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		syncParent(path)
	}
	return err
}

// syncParent puts the name of a new folder on the disk. A folder above that
// may be entered but not read cannot be synced, and need not be: the name is
// then written a little later.
func syncParent(path string) {
	if dir, err := os.OpenRoot(filepath.Dir(path)); err == nil {
		_ = syncRoot(dir)
		dir.Close()
	}
}

// CheckDir is nil if EnsureDir would have no reason to refuse the existing
// folder path. It changes nothing, for verbs that only read; a missing folder
// is fs.ErrNotExist.
func CheckDir(path string) error {
	path = filepath.Clean(path)
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if err := checkKind(path, info, wantFolder); err != nil {
		return err
	}
	return checkOwner(path, info)
}

// RemoveDir removes the folder path with all that is in it, and the file named
// first in it before all else: a kill in between leaves the folder without
// this file, and never this file without a part of the rest. Symbolic links
// are removed, not followed. A missing folder is fine; a symbolic link or file
// at path, or a link as the folder above, is a *KindError.
func RemoveDir(path, first string) error {
	path = filepath.Clean(path)
	err := removeDir(path, first)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("remove %s: %w", path, err)
}

func removeDir(path, first string) error {
	above, err := openDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer above.Close()
	info, err := above.Lstat(filepath.Base(path))
	if err != nil {
		return err
	}
	if err := checkKind(path, info, wantFolder); err != nil {
		return err
	}
	if err := removeFirst(above, filepath.Base(path), first); err != nil {
		return err
	}
	if err := above.RemoveAll(filepath.Base(path)); err != nil {
		return err
	}
	return syncRoot(above)
}

// removeFirst removes one file, or whatever has its name, and waits until the
// disk knows.
func removeFirst(above *os.Root, name, first string) error {
	dir, err := above.OpenRoot(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.RemoveAll(first); err != nil {
		return err
	}
	return syncRoot(dir)
}

// AppendLog makes the log file path with mode 0600 for writing at its end. It
// is an error if there is anything of that name already, a symbolic link
// included (fs.ErrExist). The folder must exist; the caller closes the file.
func AppendLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
}

// AppendTo opens what the user named, to be written at its end: a file, which is
// made with mode 0600 if there is none, or a pipe. It is no file of ours, so
// unlike all others here it may be behind a link, such as /dev/fd/3. It does not
// wait for somebody to read a pipe (syscall.ENXIO). The caller closes it.
func AppendTo(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o600)
}
