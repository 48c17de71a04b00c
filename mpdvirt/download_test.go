package mpdvirt_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// A download that is not the whole script fails its step, and nothing of it
// runs.
func TestSetupDownload(t *testing.T) {
	const first, second = mpdvirttest.StepSudo, mpdvirttest.StepClone
	for _, tt := range []struct {
		tool, script string
		web          mpdvirttest.WebFault
	}{
		{"wget", first, mpdvirttest.WebFault{Kind: mpdvirttest.WebMissing}},
		{"wget", first, mpdvirttest.WebFault{Kind: mpdvirttest.WebEmpty}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebBroken}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebNoHost}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebBadCert}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebHTML}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebCut, N: 60}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebDropped, N: 60}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebHangs}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebOther, Text: "#!/bin/sh\nreboot\n"}},
		{"wget", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebOther, Text: "\x7fELF\x00"}},
		{"curl", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebMissing}},
		{"curl", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebEmpty}},
		{"curl", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebDropped, N: 60}},
		{"curl", second, mpdvirttest.WebFault{Kind: mpdvirttest.WebHangs}},
	} {
		bubble(t, tt.tool+" "+string(tt.web.Kind)+" "+tt.script, func(t *testing.T) {
			curl := tt.tool == "curl"
			l := newLab(t, options{vm: mpdvirttest.VMOptions{Curl: curl, NoWget: curl}})
			tt.web.File, tt.web.Times = tt.script+".sh", -1 // wget may try twice
			l.world.Web(tt.web)
			start := time.Now()
			res, err := l.Setup(t.Context(), adoption)
			if took := time.Since(start); took > 6*time.Minute {
				t.Errorf("it took %v", took)
			}
			wantFailure(l, res, err, tt.script)
			wantError(t, err, err, "fetch https://raw.githubusercontent.com/mutms/mpd/main/bootstrap/"+tt.script+".sh")
			if slices.Contains(l.vm.Steps(), tt.script) {
				t.Error("it ran all the same")
			}
			if tt.web.Kind == mpdvirttest.WebDropped {
				l.world.ClearWeb()
				finishes(l)
			}
		})
	}
	bubble(t, "curl only", func(t *testing.T) {
		newLab(t, options{vm: mpdvirttest.VMOptions{Curl: true, NoWget: true}}).setup(adoption)
	})
	bubble(t, "no tool", func(t *testing.T) {
		l := newLab(t, options{vm: mpdvirttest.VMOptions{NoWget: true}})
		err := l.refused(adoption)
		wantError(t, err, err, "neither wget nor curl is installed")
	})
	bubble(t, "later mpd with another option", func(t *testing.T) {
		newLab(t, options{vm: mpdvirttest.VMOptions{VMSetup: true}}).setup(adoption)
	})
}

// F49: dpkg's lock is waited for, but not for ever.
func TestSetupDpkgLock(t *testing.T) {
	bubble(t, "F49 after step 30", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepNetworking, Kind: mpdvirttest.LocksDpkg, After: 4 * time.Minute})
		start := time.Now()
		l.setup(adoption)
		if took := time.Since(start); took < 4*time.Minute || took > 5*time.Minute {
			t.Errorf("it took %v", took)
		}
		if !slices.ContainsFunc(l.seen(), func(e mpdvirt.Event) bool {
			return e.Kind == mpdvirt.StepOutput && e.Step == "40-install-software" && e.Text == "waiting for another package manager on the VM to finish"
		}) {
			t.Error("nobody was told what is waited for")
		}
	})
	bubble(t, "F49 at the moment of apt-get", func(t *testing.T) {
		l := newLab(t, options{})
		first := true
		l.vm.OnStep(func(step, phase string) {
			if step == mpdvirttest.StepInstall && phase == "begin" && first {
				first = false
				l.vm.LockDpkg()
				time.AfterFunc(time.Minute, l.vm.UnlockDpkg)
			}
		})
		l.setup(adoption)
	})
	bubble(t, "F49 for ever", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.LockDpkg()
		start := time.Now()
		res, err := l.Setup(t.Context(), adoption)
		wantFailure(l, res, err, "40-install-software")
		wantError(t, err, err, "dpkg's lock", "fuser")
		if took := time.Since(start); took > 11*time.Minute {
			t.Errorf("it took %v", took)
		}
		l.vm.UnlockDpkg()
		finishes(l)
	})
	bubble(t, "apt-get fails for another reason", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepInstall, Kind: mpdvirttest.Exit, Status: 100, Text: "E: no space left", Times: -1})
		res, err := l.Setup(t.Context(), adoption)
		wantFailure(l, res, err, "40-install-software")
		wantError(t, err, err, "exit status 100", "no space left")
	})
}
