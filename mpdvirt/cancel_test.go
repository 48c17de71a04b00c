package mpdvirt_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// Whoever ends the context in any step has the prompt back within a second, and
// the next run finishes.
func TestSetupCancelled(t *testing.T) {
	for _, id := range append(mpdvirt.StepIDs(), "diag") {
		bubble(t, "F4 "+id, func(t *testing.T) {
			l := newLab(t, options{world: mpdvirttest.Options{Delay: time.Minute, SilentHosts: true}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var ended time.Time
			see := l.cfg.Observer
			l.cfg.Observer = func(e mpdvirt.Event) {
				if see(e); e.Kind == mpdvirt.StepStarted && e.Step == id && ended.IsZero() {
					ended = time.Now()
					cancel()
				}
			}
			l.Manager = l.manager()
			_, err := l.Setup(ctx, adoption)
			if took := time.Since(ended); took > time.Second {
				t.Errorf("it took %v to end", took)
			}
			wantError(t, err, context.Canceled)
			finishes(l)
		})
	}
	for _, s := range scripts {
		bubble(t, "F4 in the middle of "+s.step, func(t *testing.T) {
			l := newLab(t, options{world: mpdvirttest.Options{Delay: time.Minute}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var ended time.Time
			l.vm.OnStep(func(step, phase string) {
				if step == s.script && phase == "begin" && ended.IsZero() {
					time.AfterFunc(10*time.Second, func() { ended = time.Now(); cancel() })
				}
			})
			_, err := l.Setup(ctx, adoption)
			if took := time.Since(ended); took > time.Second {
				t.Errorf("it took %v to end", took)
			}
			if wantError(t, err, context.Canceled); wrapped(t, err).Step != s.step {
				t.Errorf("it is step %s", wrapped(t, err).Step)
			}
			finishes(l)
		})
	}
}

// Waits for a VM, for somebody at the canonical address and for dpkg's lock end
// as soon.
func TestCancelledWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks func(l *lab)
		after  time.Duration
		step   string
	}{
		"for a filtered address": {func(l *lab) { l.vm.PowerOff() }, 4 * time.Second, "ssh"},
		"for a silent server":    {func(l *lab) { check(l.t, l.vm.SetServer(mpdvirttest.ServerSilent)) }, 4 * time.Second, "ssh"},
		"for the new address": {func(l *lab) {
			l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepNetworking, Kind: mpdvirttest.NeverBack})
		}, 2 * time.Minute, "30-networking"},
		"for dpkg": {func(l *lab) { l.vm.LockDpkg() }, 2 * time.Minute, "40-install-software"},
	} {
		bubble(t, "F4 "+name, func(t *testing.T) {
			l := newLab(t, options{world: mpdvirttest.Options{SilentHosts: true}})
			tt.breaks(l)
			ctx, cancel := context.WithTimeout(t.Context(), tt.after)
			defer cancel()
			start := time.Now()
			_, err := l.Setup(ctx, adoption)
			if took := time.Since(start); took < tt.after || took > tt.after+time.Second {
				t.Errorf("it took %v", took)
			}
			if wantError(t, err, context.DeadlineExceeded); wrapped(t, err).Step != tt.step {
				t.Errorf("it is step %s", wrapped(t, err).Step)
			}
		})
	}
	bubble(t, "every verb with an ended context", func(t *testing.T) {
		l := adopted(t, options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, call := range verbs(ctx, l) {
			wantError(t, call(), context.Canceled)
			if !l.exists(".mpd-virt/150/env") {
				t.Fatalf("after %s the VM is gone", name)
			}
		}
	})
}

// verbs are calls of all verbs that work on the lab's VM.
func verbs(ctx context.Context, l *lab) map[string]func() error {
	return map[string]func() error{
		"setup":        func() error { _, err := l.Setup(ctx, alone); return err },
		"diag":         func() error { _, err := l.Diag(ctx, mpdvirt.DiagRequest{Octet: octet}); return err },
		"update":       func() error { _, err := l.Update(ctx, mpdvirt.UpdateRequest{Octet: octet}); return err },
		"list":         func() error { _, err := l.List(ctx); return err },
		"show":         func() error { _, err := l.Show(ctx, mpdvirt.ShowRequest{Octet: octet}); return err },
		"backend list": func() error { _, err := l.Backends(ctx); return err },
		"delete":       func() error { _, err := l.Delete(ctx, mpdvirt.DeleteRequest{Octet: octet, Yes: true}); return err },
	}
}

// A Ctrl-C while ssh -G hangs is one, whatever else is wrong with the VM.
func TestCancelledSSHConfig(t *testing.T) {
	bubble(t, "F118", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, os.Remove(l.path(".mpd-virt/150/known_hosts")))
		l.world.HandleCommand("ssh", func(ctx context.Context, _ hypervisor.Command) (hypervisor.Result, error) {
			<-ctx.Done()
			return hypervisor.Result{}, ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Setup(ctx, alone); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mpdvirt.ErrRefused) {
			t.Errorf("error %v", err)
		}
	})
}
