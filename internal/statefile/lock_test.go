package statefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"
)

func holdLock(path string) int {
	if _, err := Acquire(context.Background(), path, "setup", 0); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // until killed, or the test has died
	return 1
}

func acquireNow(t *testing.T, path, verb string) *Lock {
	t.Helper()
	l, err := Acquire(t.Context(), path, verb, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Unlock() })
	return l
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	l := acquireNow(t, path, "setup")
	if got := mode(t, path); got != 0o600 {
		t.Errorf("mode %v, want 0600", got)
	}
	if err := l.Check(); err != nil {
		t.Errorf("Check of a held lock: %v", err)
	}
	_, err := Acquire(t.Context(), path, "delete", 0)
	var busy *LockedError
	if !errors.As(err, &busy) || *busy != (LockedError{Path: path, PID: os.Getpid(), Verb: "setup"}) {
		t.Errorf("Acquire of a held lock = %v", err)
	}
	for range 2 { // to unlock twice is fine
		if err := l.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Check(); !errors.Is(err, ErrLockLost) {
		t.Errorf("Check of a released lock = %v, want ErrLockLost", err)
	}
	if got := content(t, path); got != "" {
		t.Errorf("a released lock names a holder: %q", got)
	}
	acquireNow(t, path, "delete")
	if err := (*Lock)(nil).Unlock(); err != nil {
		t.Error(err)
	}
}

// F12: when the holder is killed, the next run starts at once.
func TestLockHolderKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	cmd := child("hold lock", path)
	ready(t, cmd)
	_, err := Acquire(t.Context(), path, "delete", 0)
	var busy *LockedError
	if !errors.As(err, &busy) || busy.PID != cmd.Process.Pid || busy.Verb != "setup" {
		t.Errorf("Acquire = %v, want held by setup, pid %d", err, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	l := acquireNow(t, path, "delete")
	if got, want := content(t, path), fmt.Sprintf("%d delete\n", os.Getpid()); got != want {
		t.Errorf("holder %q, want %q", got, want)
	}
	l.Unlock()
}

func TestLockWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	t.Run("given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			acquireNow(t, path, "setup")
			start := time.Now()
			_, err := Acquire(t.Context(), path, "list", 10*time.Second)
			var busy *LockedError
			if !errors.As(err, &busy) || time.Since(start) != 10*time.Second {
				t.Errorf("Acquire = %v after %v, want a *LockedError after 10s", err, time.Since(start))
			}
		})
	})
	t.Run("released meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := acquireNow(t, path, "setup")
			time.AfterFunc(3*time.Second, func() { l.Unlock() })
			start := time.Now()
			second, err := Acquire(t.Context(), path, "list", 10*time.Second)
			if err != nil || time.Since(start) > 3*time.Second+pollInterval {
				t.Errorf("Acquire = %v after %v, want nil after 3s", err, time.Since(start))
			}
			second.Unlock()
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			acquireNow(t, path, "setup")
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			_, err := Acquire(ctx, path, "list", time.Hour)
			if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
				t.Errorf("Acquire = %v after %v, want context.Canceled after 1s", err, time.Since(start))
			}
			if _, err := Acquire(ctx, path, "list", 0); !errors.Is(err, context.Canceled) {
				t.Errorf("Acquire with an ended context = %v", err)
			}
		})
	})
}

// F103: a file that is replaced between open and lock is not the lock.
func TestLockReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	tries := 0
	replaceOnce := func(f *flock.Flock) (bool, error) {
		ok, err := f.TryLock()
		if tries++; tries == 1 {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		return ok, err
	}
	l, err := acquire(t.Context(), path, "setup", 0, replaceOnce)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	if tries != 2 || l.Check() != nil {
		t.Errorf("%d tries, Check = %v, want 2 tries and nil", tries, l.Check())
	}
	if _, err := Acquire(t.Context(), path, "list", 0); err == nil {
		t.Error("two hold the lock")
	}
	always := func(f *flock.Flock) (bool, error) {
		ok, err := f.TryLock()
		return ok, errors.Join(err, os.Remove(path))
	}
	l.Unlock()
	var busy *LockedError
	if _, err := acquire(t.Context(), path, "setup", 0, always); !errors.As(err, &busy) {
		t.Errorf("a file that is always replaced: %v, want a *LockedError", err)
	}
}

// F103: the holder can notice, and does not write into the lock of another.
func TestLockLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	first := acquireNow(t, path, "setup")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := first.Check(); !errors.Is(err, ErrLockLost) {
		t.Errorf("Check after removal = %v, want ErrLockLost", err)
	}
	second := acquireNow(t, path, "delete")
	if err := first.Check(); !errors.Is(err, ErrLockLost) {
		t.Errorf("Check after replacement = %v, want ErrLockLost", err)
	}
	if err := first.Unlock(); err != nil {
		t.Error(err)
	}
	if err := second.Check(); err != nil || !strings.HasSuffix(content(t, path), " delete\n") {
		t.Errorf("second: Check = %v, holder %q", err, content(t, path))
	}
}

// F103: a file system without locks is named.
func TestLockUnsupported(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	for _, errno := range []syscall.Errno{syscall.ENOLCK, syscall.EOPNOTSUPP} {
		_, err := acquire(t.Context(), path, "setup", 0, func(*flock.Flock) (bool, error) { return false, errno })
		var busy *LockedError
		if !errors.Is(err, errno) || errors.As(err, &busy) ||
			!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "file system") {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// F96: what is planted in place of the lock file is refused.
func TestLockRefuses(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	link(t, filepath.Join(outside, "f"), filepath.Join(dir, "link"))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "link"), filepath.Join(dir, "pipe"), dir} {
		var kind *KindError
		if _, err := Acquire(t.Context(), path, "setup", 0); !errors.As(err, &kind) {
			t.Errorf("Acquire(%s) = %v, want a *KindError", path, err)
		}
	}
	if got := names(t, outside); got != "" {
		t.Errorf("outside holds %q", got)
	}
	if _, err := Acquire(t.Context(), filepath.Join(dir, "none", ".lock"), "setup", 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

// What others wrote into the lock file is not believed unless it is plain.
func TestLockHolderText(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	tests := []struct {
		name, text string
		pid        int
		verb       string
	}{
		{"good", "4711 setup\n", 4711, "setup"},
		{"rest of an older, longer text", "4711 setup\nn\n", 4711, "setup"},
		{"empty", "", 0, ""},
		{"no line end", "4711 setup", 0, ""},
		{"escape", "4711 \x1b[2J\n", 0, ""},
		{"zero", "0 setup\n", 0, ""},
		{"huge", "99999999999999999999 setup\n", 0, ""},
		{"too long", "1 setup\n" + strings.Repeat("x", 100), 0, ""},
		{"upper case", "1 SETUP\n", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := acquireNow(t, path, "setup")
			put(t, path, tt.text, 0o600)
			_, err := Acquire(t.Context(), path, "list", 0)
			var busy *LockedError
			if !errors.As(err, &busy) || busy.PID != tt.pid || busy.Verb != tt.verb {
				t.Errorf("%q: %v, want pid %d, verb %q", tt.text, err, tt.pid, tt.verb)
			}
			l.Unlock()
		})
	}
}
