package mpdvirt_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/prlemu"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// F63: a clone that tells no address ends after minutes with the VM's name and
// the ways on: the same command, once the VM tells it, or setup with the address
// that a person sees on its console.
func TestF63NoAddress(t *testing.T) {
	t.Run("it comes late", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{Boot: 6 * time.Minute})
			f.tellsNoAddress(t)
			if _, err := f.m.Clone(t.Context(), order(150)); err != nil {
				t.Errorf("the same command again: %v", err)
			}
			f.oneVM(t)
		})
	})
	t.Run("a person knows it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{})
			err := errors.Join(
				f.parallels.Emulator().Edit(templateName, func(v *prlemu.VM) { v.NoTools = true }),
				f.parallels.Change(func(s *mpdvirttest.ParallelsSettings) { s.LeaseFile = filepath.Join(f.Home(), "elsewhere") }))
			if err != nil {
				t.Fatal(err)
			}
			f.tellsNoAddress(t)
			if _, err := f.m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: 150, Addr: f.parallels.VM("mpd-150").Addr()}); err != nil {
				t.Errorf("setup with the address: %v", err)
			}
			f.oneVM(t)
		})
	})
}

func (f *prlMac) tellsNoAddress(t *testing.T) {
	t.Helper()
	begin := time.Now()
	_, err := f.m.Clone(t.Context(), order(150))
	var e *mpdvirt.Error
	if !errors.As(err, &e) || e.Step != mpdvirt.StepLease {
		t.Fatalf("clone: %v, want an error of %s", err, mpdvirt.StepLease)
	}
	if took := time.Since(begin); took > 5*time.Minute {
		t.Errorf("it took %v", took)
	}
	uuid := f.parallels.UUID("mpd-150")
	for _, want := range []string{"mpd-virt setup 150 --ip=ADDRESS", "mpd-virt clone 150 --backend=parallels", uuid, "mpd-virt delete 150"} {
		if !strings.Contains(e.Hint, want) {
			t.Errorf("the hint lacks %q:\n%s", want, e.Hint)
		}
	}
	if !strings.Contains(e.Error(), "mpd-150 ("+uuid+")") {
		t.Errorf("it does not name the VM: %v", e)
	}
}

// oneVM wants mpd-150 and the template, and nothing more.
func (f *prlMac) oneVM(t *testing.T) {
	t.Helper()
	machines, err := f.parallels.Machines()
	if err != nil || len(machines) != 2 || f.parallels.VM("mpd-150") == nil {
		t.Errorf("Parallels has %v, %v", machines, err)
	}
}
