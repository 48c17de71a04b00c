package statefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Holder says who holds the lock that the file path stands for, for those who
// only look: nil if nobody does. It makes nothing, and the lock stays free for
// the next who wants it. A holder who could not leave a note in the file (the
// disk was full) is not seen.
//
// An error is a file that is no lock of ours, or that cannot be read.
func Holder(path string) (*LockedError, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the lock %s: %w", path, explainOpen(path, err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = checkKind(path, info, wantFile)
	}
	if err != nil {
		return nil, fmt.Errorf("look at the lock %s: %w", path, err)
	}
	e := busy(path)
	if e.PID == 0 || errors.Is(syscall.Kill(e.PID, 0), syscall.ESRCH) {
		return nil, nil // nobody, or a note of one who was killed
	}
	// The process may be another one that has the number by now, so the kernel
	// is asked. Only then: for the instant in which we would hold the lock,
	// somebody who wants it would find it taken.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return e, nil
	case err != nil:
		return nil, fmt.Errorf("look at the lock %s: %w", path, err)
	}
	return nil, nil // closing the file gives it back
}

// IsTemp says whether a file of this name is one that RemoveTemps removes.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}
