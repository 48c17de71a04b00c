package mpdvirt_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// held is another run that has the lock of the lab's VM for some time.
func (l *lab) held(during time.Duration) {
	l.t.Helper()
	lock, err := statefile.Acquire(l.t.Context(), l.path(".mpd-virt/.lock-150"), "update", 0)
	check(l.t, err)
	time.AfterFunc(during, func() { check(l.t, lock.Unlock()) })
}

func willWait(d time.Duration) options {
	return options{config: func(c *mpdvirt.Config) { c.LockWait = d }}
}

func TestLockWait(t *testing.T) {
	changing := []string{"setup", "update", "delete"}
	for _, name := range changing {
		bubble(t, name+" goes on when the other run has ended", func(t *testing.T) {
			l := adopted(t, willWait(time.Minute))
			l.held(20 * time.Second)
			start := time.Now()
			check(t, verbs(t.Context(), l)[name]())
			if took := time.Since(start); took < 20*time.Second {
				t.Errorf("it took %v", took)
			}
			notes := 0
			for _, e := range l.seen() {
				if e.Kind == mpdvirt.Note && strings.Contains(e.Text, "locked by another run: update, pid ") {
					notes++
					if e.Octet != octet || e.Verb != name || !strings.HasPrefix(e.Text, "mpd-150: ") || !strings.HasSuffix(e.Text, "; waiting up to 1m0s") {
						t.Errorf("%+v", e)
					}
				}
			}
			if notes != 1 {
				t.Errorf("%d notes say that it waits", notes)
			}
		})
		bubble(t, name+" waits no longer", func(t *testing.T) {
			l := adopted(t, willWait(10*time.Second))
			l.held(time.Minute)
			start := time.Now()
			err := verbs(t.Context(), l)[name]()
			var locked *mpdvirt.LockedError
			if took := time.Since(start); !errors.As(err, &locked) || locked.Verb != "update" || locked.PID != os.Getpid() || took != 10*time.Second {
				t.Errorf("%v after %v", err, took)
			}
			<-time.After(time.Minute)
		})
		bubble(t, name+" ends when it is told to", func(t *testing.T) {
			l := adopted(t, willWait(time.Hour))
			l.held(time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			start := time.Now()
			if err := verbs(ctx, l)[name](); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 4*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			<-time.After(time.Minute)
		})
	}
	bubble(t, "verbs that only look do not wait", func(t *testing.T) {
		l := adopted(t, willWait(time.Hour))
		l.held(time.Minute)
		start := time.Now()
		for name, call := range verbs(t.Context(), l) {
			if strings.Contains(strings.Join(changing, " "), name) {
				continue
			}
			if err := call(); err != nil || time.Since(start) > 30*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
		}
		<-time.After(time.Minute)
	})
	bubble(t, "a delete sees what the setup before it made", func(t *testing.T) {
		l := newLab(t, willWait(time.Hour))
		// The other run has begun, and registers the VM while delete waits.
		begun, once := make(chan struct{}), sync.Once{}
		l.vm.OnStep(func(string, string) {
			once.Do(func() {
				close(begun)
				<-time.After(30 * time.Second)
			})
		})
		ended := make(chan error)
		go func() { _, err := l.manager().Setup(t.Context(), adoption); ended <- err }()
		<-begun
		res, err := l.Delete(t.Context(), deletion)
		check(t, err)
		check(t, <-ended)
		if len(res.Left) == 0 || res.Left[0] != "the VM itself: the general backend manages no VMs" {
			t.Errorf("%+v", res)
		}
		if l.exists(".mpd-virt/150") {
			t.Error("something of the VM is left")
		}
	})
}
