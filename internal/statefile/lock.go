package statefile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// ErrLockLost: the file of a held lock was removed or replaced, so that
// another run can hold a lock of the same name.
var ErrLockLost = errors.New("the lock file was removed or replaced")

// pollInterval is how often a waiting Acquire looks again. The kernel's own
// waiting call cannot be cancelled.
const pollInterval = 50 * time.Millisecond

// LockedError says that another run holds the lock. Of the holder it tells
// what the file says, for people.
type LockedError struct {
	Path string
	PID  int    // 0 if the holder could not be read
	Verb string // "" if the holder could not be read
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another run holds the lock %s", e.Path)
	}
	return fmt.Sprintf("another run holds the lock %s: %s, pid %d", e.Path, e.Verb, e.PID)
}

// Lock is a held lock. Its methods may be called at the same time.
type Lock struct {
	mu   sync.Mutex
	path string
	file *flock.Flock // nil once released
}

// Acquire takes the lock that the file path stands for, for this process and
// against other goroutines of it too. The file is made if need be, in a folder
// that must exist, and never removed. The kernel frees the lock when its
// holder dies, however it dies.
//
// If the lock is taken, Acquire tries again until wait is over; zero means to
// try once. Then the error is a *LockedError, or the context's error if ctx
// ended first. verb, lower-case letters and '-', is shown to those who find
// the lock taken. A file system that has no locks is a plain error.
func Acquire(ctx context.Context, path, verb string, wait time.Duration) (*Lock, error) {
	return acquire(ctx, path, verb, wait, (*flock.Flock).TryLock)
}

func acquire(ctx context.Context, path, verb string, wait time.Duration, try func(*flock.Flock) (bool, error)) (*Lock, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		file, err := attempt(path, try)
		if err != nil {
			return nil, err
		}
		if file != nil {
			l := &Lock{path: path, file: file}
			l.note(fmt.Sprintf("%d %s\n", os.Getpid(), verb))
			return l, nil
		}
		if wait <= 0 {
			return nil, busy(path)
		}
		select {
		case <-ctx.Done():
		case <-over.C:
			return nil, busy(path)
		case <-time.After(pollInterval):
		}
	}
}

// attempt tries to lock path once; nil and no error if it is taken.
func attempt(path string, try func(*flock.Flock) (bool, error)) (*flock.Flock, error) {
	// Each round opens the name anew. A file that was removed or replaced
	// between open and lock is the wrong one: those who come later would lock
	// the new file beside us. Somebody who replaces it without end is no run
	// of ours; then the lock counts as taken.
	for range 10 {
		file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK))
		ok, err := try(file)
		if err != nil {
			return nil, lockFailure(path, err)
		}
		if !ok {
			return nil, nil
		}
		info, err := file.Stat()
		if err == nil {
			err = checkKind(path, info, wantFile)
		}
		if err == nil && isCurrent(file, path) {
			return file, nil
		}
		if err := errors.Join(err, file.Unlock()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// lockFailure says why a lock could not even be tried.
func lockFailure(path string, err error) error {
	if errors.Is(err, syscall.ENOLCK) || errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("lock %s: the file system it is on has no locks (%w); the home folder must be on one that has", path, err)
	}
	return fmt.Errorf("lock %s: %w", path, explainOpen(path, err))
}

// isCurrent says whether the open file is still the one that path names.
func isCurrent(file *flock.Flock, path string) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(held, named)
}

// note writes who holds the lock. It serves messages alone, so on a full disk
// the run goes on without: to free space may be what it is for.
func (l *Lock) note(holder string) {
	f, err := os.OpenFile(l.path, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	held, heldErr := l.file.Stat()
	named, namedErr := f.Stat()
	if heldErr != nil || namedErr != nil || !os.SameFile(held, named) {
		return // by now the file of another run
	}
	// Write, then cut: a reader in between still finds a whole first line.
	if _, err := f.WriteAt([]byte(holder), 0); err == nil {
		_ = f.Truncate(int64(len(holder)))
	}
}

// Check is nil while the lock file is the one that was locked, and ErrLockLost
// if somebody removed or replaced it (or the lock was released). The kernel
// cannot prevent that, so a long run asks before each step that changes
// something. A nil Lock holds; see Files.Acquire.
func (l *Lock) Check() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil || !isCurrent(l.file, l.path) {
		return fmt.Errorf("lock %s: %w", l.path, ErrLockLost)
	}
	return nil
}

// Unlock releases the lock. A nil or released Lock is fine.
func (l *Lock) Unlock() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	l.note("")
	if err := l.file.Unlock(); err != nil {
		return fmt.Errorf("unlock %s: %w", l.path, err)
	}
	l.file = nil
	return nil
}

var holderLine = regexp.MustCompile(`^([1-9][0-9]{0,8}) ([a-z][a-z-]{0,31})\n`)

// busy reads who holds the lock. Anybody can have written the file, so only
// what note writes is believed.
func busy(path string) *LockedError {
	e := &LockedError{Path: path}
	data, err := Read(path, 64)
	if err != nil {
		return e
	}
	if m := holderLine.FindSubmatch(data); m != nil {
		e.PID, _ = strconv.Atoi(string(m[1])) // at most nine digits
		e.Verb = string(m[2])
	}
	return e
}
