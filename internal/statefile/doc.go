// Package statefile reads and writes the files in which mpd-virt keeps its
// state, so that a kill, a full disk or a second run at any moment leaves
// either the old file or the new one.
//
// Most callers need [Acquire] for the lock, [Write] to replace a file and
// [Read] to read one. [ParseEnv] reads the KEY=value files, [EnsureDir] makes
// the folders. [Snap] and [WriteThrough] are for one file only, the user's own
// ~/.ssh/config.
//
// # Foreign hands
//
// The state folder belongs to the user and is closed to others, yet nothing
// here trusts a name in it: no function but Snap, WriteThrough and AppendTo,
// whose files are the user's own, follows a symbolic link, none opens a pipe
// and waits, and every read has a limit.
//
// # Out of scope
//
// What the files mean is the business of the packages that own them. Which
// lock guards which file is theirs as well: nothing here locks by itself.
package statefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

var (
	// ErrTooBig: a file is larger than the caller's limit.
	ErrTooBig = errors.New("file too large")
	// ErrChanged: someone else changed the file since it was read.
	ErrChanged = errors.New("changed by another program meanwhile")
)

// KindError says that something else stands where a file or folder of ours
// belongs, for instance a symbolic link. Nothing was changed.
type KindError struct {
	Path string
	Got  string // what is there: "a symbolic link", "a folder", "a file", "a special file"
	Want string // what belongs there: "a file" or "a folder"
}

func (e *KindError) Error() string {
	return fmt.Sprintf("%s is %s, not %s", e.Path, e.Got, e.Want)
}

// OwnerError says that a folder of ours belongs to another user.
type OwnerError struct {
	Path string
	UID  int // whose it is
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to another user (uid %d)", e.Path, e.UID)
}

const (
	wantFile   = "a file"
	wantFolder = "a folder"
)

// checkKind is nil if info is a regular file or a folder, as wanted.
func checkKind(path string, info fs.FileInfo, want string) error {
	var got string
	switch mode := info.Mode(); {
	case mode.IsRegular():
		got = wantFile
	case mode.IsDir():
		got = wantFolder
	case mode&fs.ModeSymlink != 0:
		got = "a symbolic link"
	default:
		got = "a special file"
	}
	if got == want {
		return nil
	}
	return &KindError{Path: path, Got: got, Want: want}
}

// checkOwner is nil if info belongs to the user that this process acts as.
func checkOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() {
		return nil
	}
	err := &OwnerError{Path: path, UID: int(st.Uid)}
	return hint.Wrap(err, "run mpd-virt as the user who owns this folder, without sudo")
}
