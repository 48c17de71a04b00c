package mpdvirt_test

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// Two programs set up two VMs at once, and readers look on all the time.
func TestTwoSetupsAtOnce(t *testing.T) {
	bubble(t, "F102", func(t *testing.T) {
		l := newLab(t, options{world: mpdvirttest.Options{Delay: time.Second}})
		addr := netip.MustParseAddr("10.211.55.38")
		l.addVM(mpdvirttest.VMOptions{Addr: addr})
		var setups, readers sync.WaitGroup
		done := make(chan struct{})
		for _, req := range []mpdvirt.SetupRequest{adoption, {Octet: 151, Backend: "general", Addr: addr, User: "dev"}} {
			m := l.manager()
			setups.Go(func() {
				if _, err := m.Setup(t.Context(), req); err != nil {
					t.Errorf("setup %s: %v", req.Octet, err)
				}
			})
		}
		readers.Go(func() { lookOn(l, l.manager(), done) })
		setups.Wait()
		close(done)
		readers.Wait()
		vms, err := l.List(t.Context())
		check(t, err)
		for i, vm := range vms {
			if vm.Octet != 150+mpdvirt.Octet(i) || vm.State != "" || vm.Error != "" {
				t.Errorf("%+v", vm)
			}
			report, err := l.Diag(t.Context(), mpdvirt.DiagRequest{Octet: vm.Octet})
			if check(t, err); !report.Healthy() {
				t.Error(report.Err())
			}
		}
	})
}

// lookOn calls the verbs that only read, until done.
func lookOn(l *lab, m *mpdvirt.Manager, done <-chan struct{}) {
	for {
		start := time.Now()
		vms, err := m.List(l.t.Context())
		if err != nil {
			l.t.Errorf("list: %v", err)
		}
		for _, vm := range vms {
			if vm.State == mpdvirt.Broken {
				l.t.Errorf("%+v", vm)
			}
			if _, err := m.Show(l.t.Context(), mpdvirt.ShowRequest{Octet: vm.Octet}); err != nil && !errors.Is(err, mpdvirt.ErrNotRegistered) {
				l.t.Errorf("show: %v", err)
			}
			if _, err := m.Diag(l.t.Context(), mpdvirt.DiagRequest{Octet: vm.Octet}); err != nil {
				l.t.Errorf("diag: %v", err)
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			l.t.Errorf("it took %v to look at %d VMs", took, len(vms))
		}
		select {
		case <-done:
			return
		case <-time.After(700 * time.Millisecond):
		}
	}
}

// F101: nobody else changes a VM while a setup works on it, and who tries is
// told at once.
func TestBusy(t *testing.T) {
	bubble(t, "F101", func(t *testing.T) {
		l := newLab(t, options{})
		other := l.manager()
		tried := 0
		l.vm.OnStep(func(step, phase string) {
			if step != mpdvirttest.StepBuild || phase != "begin" {
				return
			}
			start := time.Now()
			for name, call := range map[string]func() error{
				"setup":  func() error { _, err := other.Setup(t.Context(), alone); return err },
				"update": func() error { _, err := other.Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet}); return err },
				"delete": func() error { _, err := other.Delete(t.Context(), deletion); return err },
			} {
				tried++
				var locked *mpdvirt.LockedError
				err := call()
				if !errors.As(err, &locked) || locked.PID != os.Getpid() || locked.Verb != "setup" {
					t.Errorf("%s: %v holds %+v", name, err, locked)
				}
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("it took %v to be told", took)
			}
		})
		l.setup(adoption)
		if tried != 3 {
			t.Fatalf("%d verbs were tried", tried)
		}
		l.vm.OnStep(nil)
		if _, err := other.Delete(t.Context(), deletion); err != nil { // O12: the lock is free
			t.Error(err)
		}
	})
	bubble(t, "F103 the lock file is deleted while it is held", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.OnStep(func(step, phase string) {
			if step == mpdvirttest.StepClone && phase == "end" {
				check(t, os.Remove(l.path(".mpd-virt/.lock-150")))
			}
		})
		err := l.refused(adoption)
		if wantError(t, err, err, "lock"); err.Step != "push" {
			t.Errorf("it is step %s", err.Step)
		}
		l.vm.OnStep(nil)
		finishes(l)
	})
	bubble(t, "F103 update", func(t *testing.T) {
		l := adopted(t, options{})
		see, ran := l.cfg.Observer, len(l.vm.Steps())
		l.cfg.Observer = func(e mpdvirt.Event) {
			if see(e); e.Kind == mpdvirt.VerbStarted {
				check(t, os.Remove(l.path(".mpd-virt/.lock-150")))
			}
		}
		_, err := l.manager().Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet})
		if wantError(t, err, err, "lock"); len(l.vm.Steps()) != ran {
			t.Error("the update ran")
		}
	})
}
