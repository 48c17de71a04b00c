package mpdvirt

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// allLocks keeps every other run from what is in the state folder: the lock of
// each VM that has left anything there, and then the shared one, in the order in
// which all verbs take them. A run for a VM that is new does not get past the
// shared lock, and what it has made until then is not ours to remove.
//
// Lock files are never removed by a verb, since whoever waits for one must find
// the same file as its holder. This verb is the exception, because it leaves
// nothing: it removes them last, while it holds them, and the lock of package
// statefile looks again at the name after it got the file, so that a run that
// waited takes a new one.
type allLocks struct {
	files *statefile.Files
	root  string
	made  bool // the state folder was not there before
	held  []heldLock
}

type heldLock struct {
	*statefile.Lock
	path string
	made bool // the file was not there before
}

// lockAll takes all locks, or none. It makes the state folder if there is none,
// which release then removes.
func (m *Manager) lockAll(ctx context.Context, verb string) (*allLocks, error) {
	l := &allLocks{files: m.files, root: filepath.Dir(m.state.SharedLockFile())}
	_, err := l.files.Lstat(l.root)
	l.made = errors.Is(err, fs.ErrNotExist)
	if err := l.files.EnsureDir(l.root); err != nil {
		return nil, foreignKind(err)
	}
	if err := l.takeAll(ctx, m, verb); err != nil {
		return nil, errors.Join(foreignKind(waitHint(err)), l.release())
	}
	return l, nil
}

func (l *allLocks) takeAll(ctx context.Context, m *Manager, verb string) error {
	octets, others, err := l.there()
	if err != nil {
		return err
	}
	for _, o := range octets {
		if err := l.files.CheckDir(m.state.Dir(o)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := l.take(ctx, m.state.LockFile(o), verb, 0); err != nil {
			return err
		}
		if err := l.files.RemoveTemps(m.state.Dir(o)); err != nil {
			return err
		}
	}
	for _, path := range others {
		if err := l.take(ctx, path, verb, 0); err != nil {
			return err
		}
	}
	if err := l.take(ctx, m.state.SharedLockFile(), verb, sharedLockWait); err != nil {
		return err
	}
	// What a killed run left is garbage.
	return errors.Join(l.files.RemoveTemps(l.root), l.files.RemoveTemps(filepath.Join(l.root, "conf")))
}

func (l *allLocks) take(ctx context.Context, path, verb string, wait time.Duration) error {
	_, err := l.files.Lstat(path)
	made := errors.Is(err, fs.ErrNotExist)
	lock, err := l.files.Acquire(ctx, path, verb, wait)
	if err == nil {
		l.held = append(l.held, heldLock{lock, path, made})
	}
	return err
}

// lockPrefix is how the names of all locks begin but the shared one's.
const lockPrefix = ".lock-"

// there are the octets that have a folder or a lock in the state folder, and
// the locks there that are of no VM.
func (l *allLocks) there() (octets []Octet, others []string, err error) {
	names, err := l.files.ReadDir(l.root)
	for _, n := range names {
		rest, isLock := strings.CutPrefix(n.Name(), lockPrefix)
		o, err := hypervisor.ParseOctet(rest)
		switch {
		case err == nil && !slices.Contains(octets, o):
			octets = append(octets, o)
		case err != nil && isLock:
			others = append(others, filepath.Join(l.root, n.Name()))
		}
	}
	return octets, others, err
}

// check is nil while all locks are what they were.
func (l *allLocks) check() error {
	var errs []error
	for _, h := range l.held {
		errs = append(errs, h.Check())
	}
	return errors.Join(errs...)
}

// were says whether there were lock files before.
func (l *allLocks) were() bool {
	for _, h := range l.held {
		if !h.made {
			return true
		}
	}
	return false
}

// remove removes the lock files, those that this run has made or all.
func (l *allLocks) remove(all bool) error {
	var errs []error
	for _, h := range l.held {
		if (all || h.made) && h.Check() == nil {
			if err := l.files.Remove(h.path); !errors.Is(err, fs.ErrNotExist) { // a draft has made none
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// release undoes what lockAll did.
func (l *allLocks) release() error {
	err := l.remove(false)
	if l.made {
		_ = l.files.Remove(l.root) // unless somebody else has put something there
	}
	for _, h := range l.held {
		err = errors.Join(err, h.Unlock())
	}
	return err
}

// foreignKind adds what to do about something that stands in the place of a
// folder or file of ours.
func foreignKind(err error) error {
	var kind *statefile.KindError
	if !errors.As(err, &kind) || hint.Of(err) != "" {
		return err
	}
	return hint.Wrap(err, "see what "+kind.Path+" is and move it away, then run the command again")
}
