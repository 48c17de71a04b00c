package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// Options says what Fetch gets and how.
type Options struct {
	// Dir is the cache, made with mode 0700 if need be.
	Dir string
	// Source is the archive; Build.Source makes it.
	Source Source
	// Transport does the requests; nil goes to the network without a proxy.
	// Redirects are followed, or refused, by Fetch.
	Transport http.RoundTripper
	// DialContext opens the connections if Transport is nil; nil dials.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Progress, if not nil, is told how many bytes of the archive are there,
	// those of earlier runs included, and how many there are in all, 0 if the
	// server does not say. It is called often, from the goroutine of Fetch.
	Progress func(done, total int64)
	// Waiting, if not nil, is called once if another run is at the same
	// archive, before Fetch waits for it.
	Waiting func()
}

const (
	// lockLimit bounds the wait for another run's download.
	lockLimit = 2 * time.Hour
	// stallLimit is how long the server may be silent.
	stallLimit = 30 * time.Second
)

// Fetch returns the path of the archive in the cache, after it computed its
// SHA-512 and found it right. What is not there yet, or not right any more, is
// downloaded; a download that was interrupted, in this run or in an earlier
// one, goes on where it stopped if the server still has the same file. Errors
// of the network are tried again for a while.
//
// The errors to decide by are *DigestError, *StatusError (404 once Debian
// removed the build), *SpaceError, ErrRedirect and ErrStalled. Fetch may run
// any number of times at once: one of them downloads.
func Fetch(ctx context.Context, o Options) (path string, err error) {
	if err := o.Source.check(); err != nil {
		return "", err
	}
	if err := statefile.EnsureDir(o.Dir); err != nil {
		return "", err
	}
	final := filepath.Join(o.Dir, o.Source.name())
	lock, err := waitLock(ctx, filepath.Join(o.Dir, ".lock-"+o.Source.name()), "download", o.Waiting)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()

	err = verify(ctx, final, o.Source.SHA512)
	var wrong *DigestError
	switch {
	case err == nil: // and nothing of its download is of use any more
		return final, (&download{Options: o, final: final}).drop()
	case errors.As(err, &wrong):
		err = os.Remove(final)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return "", fmt.Errorf("image in the cache: %w", err)
	}
	if err := (&download{Options: o, final: final}).run(ctx); err != nil {
		return "", withHint(fmt.Errorf("download %s: %w", o.Source.URL, err))
	}
	return final, nil
}

// waitLock takes a lock, and tells if that takes time.
func waitLock(ctx context.Context, path, verb string, waiting func()) (*statefile.Lock, error) {
	lock, err := statefile.Acquire(ctx, path, verb, 0)
	var taken *statefile.LockedError
	if !errors.As(err, &taken) {
		return lock, err
	}
	if waiting != nil {
		waiting()
	}
	return statefile.Acquire(ctx, path, verb, lockLimit)
}

func withHint(err error) error {
	var status *StatusError
	var digest *DigestError
	var space *SpaceError
	switch {
	case errors.As(err, &status) && !status.again():
		return hint.Wrap(err, otherImage)
	case errors.As(err, &digest):
		return hint.Wrap(err, "run it again; if it stays so, something on the way to the server changes what comes: download it in another way and give the file with --image=PATH")
	case errors.As(err, &space):
		return hint.Wrap(err, "make space on the disk and run it again: it goes on where it stopped")
	case lasting(err) && !errors.Is(err, errLocal):
		return hint.Wrap(err, "download it in another way and give the file with --image=PATH")
	case errors.Is(err, context.Canceled), errors.Is(err, errLocal):
		return err
	}
	return hint.Wrap(err, "run it again: it goes on where it stopped")
}
