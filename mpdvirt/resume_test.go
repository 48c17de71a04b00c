package mpdvirt_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// mishap makes a step fail, and undoes it.
type mishap struct {
	breaks, mends func(l *lab)
}

var nothing = func(*lab) {}

// mishaps has one for each step.
func mishaps() map[string]mishap {
	var printer *mpdvirttest.VM
	all := map[string]mishap{
		"ssh": {
			func(l *lab) { check(l.t, l.vm.SetServer(mpdvirttest.ServerClosed)) },
			func(l *lab) { check(l.t, l.vm.SetServer(mpdvirttest.ServerNormal)) },
		},
		"sudo": {
			func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoPassword) },
			func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoFree) },
		},
		"guest": {
			func(l *lab) { check(l.t, l.vm.SetHostname("mpd-151")) },
			func(l *lab) { check(l.t, l.vm.SetHostname("mpd-sandbox")) },
		},
		"identity": {
			func(l *lab) { l.write(".mpd-virt/conf/caroot/rootCA.pem", "damaged\n", 0o644) },
			func(l *lab) { check(l.t, os.Remove(l.path(".mpd-virt/conf/caroot/rootCA.pem"))) },
		},
		"push": { // F41
			func(l *lab) {
				l.vm.OnStep(func(step, phase string) { l.vm.SetDiskFull(step == mpdvirttest.StepClone && phase == "end") })
			},
			func(l *lab) { l.vm.OnStep(nil); l.vm.SetDiskFull(false) },
		},
		"address": {
			func(l *lab) { printer = l.addVM(mpdvirttest.VMOptions{Addr: canonical}) },
			func(*lab) { printer.PowerOff() },
		},
		"register": {
			func(l *lab) { check(l.t, os.Mkdir(l.path(".ssh/config"), 0o700)) },
			func(l *lab) { check(l.t, os.Remove(l.path(".ssh/config"))) },
		},
	}
	for _, s := range scripts {
		all[s.step] = mishap{
			func(l *lab) { l.vm.Inject(mpdvirttest.Fault{Step: s.script, Kind: mpdvirttest.Exit, Status: 3}) },
			nothing,
		}
	}
	return all
}

// After a failure at any step the octet alone goes on there.
func TestSetupResumes(t *testing.T) {
	for _, id := range mpdvirt.StepIDs() {
		bubble(t, id, func(t *testing.T) {
			accident, ok := mishaps()[id]
			if !ok {
				t.Fatal("no way is known to make this step fail")
			}
			l := newLab(t, options{})
			l.world.Tunnel(l.vm)
			accident.breaks(l)
			res, err := l.Setup(t.Context(), adoption)
			wantFailure(l, res, err, id)
			ran := l.vm.Steps()
			accident.mends(l)
			l.setup(alone)
			if d := cmp.Diff(scriptsFrom(id), l.vm.Steps()[len(ran):]); d != "" {
				t.Errorf("the second run -want +got:\n%s", d)
			}
			if err := l.diag().Err(); err != nil {
				t.Error(err)
			}
			wantFiles(l)
			wantPushed(l)
		})
	}
}

// wantFailure checks the error and result of a setup that failed at a step.
func wantFailure(l *lab, res *mpdvirt.SetupResult, err error, id string) {
	l.t.Helper()
	e := wrapped(l.t, err)
	if e.Verb != "setup" || e.VM != "mpd-150" || e.Step != id || e.Hint == "" {
		l.t.Fatalf("error %+v, want one of step %s with a hint", e, id)
	}
	if !strings.HasPrefix(err.Error(), "setup mpd-150: "+id+": ") {
		l.t.Errorf("the error is worded %q", err)
	}
	log, readErr := os.ReadFile(e.Log)
	if readErr != nil || !strings.Contains(string(log), "fail") {
		l.t.Errorf("the log %s does not tell it: %v", e.Log, readErr)
	}
	if res == nil || res.Log != e.Log || res.Report != nil || len(res.Steps) == 0 {
		l.t.Fatalf("the result is %+v", res)
	}
	last := res.Steps[len(res.Steps)-1]
	if last.ID != id || last.Status != mpdvirt.Fail || last.Summary == "" {
		l.t.Errorf("the last step is %+v", last)
	}
	vms, err := l.List(l.t.Context())
	check(l.t, err)
	registered := slices.Index(mpdvirt.StepIDs(), id) >= slices.Index(mpdvirt.StepIDs(), "register")
	if len(vms) != 1 || (vms[0].State == mpdvirt.Unfinished) == registered {
		l.t.Errorf("list shows %+v", vms)
	}
	if !registered && vms[0].Next != "mpd-virt setup 150" {
		l.t.Errorf("list leads to %q", vms[0].Next)
	}
}

// finishes wants the octet alone to lead to a healthy VM.
func finishes(l *lab) {
	l.t.Helper()
	if res := l.setup(alone); !res.Report.Healthy() {
		l.t.Error(res.Report.Err())
	}
	wantFiles(l)
	wantPushed(l)
}

// F26: the work may be done or not when the connection breaks: the next run
// finds out.
func TestSetupConnectionLost(t *testing.T) {
	for _, kind := range []mpdvirttest.FaultKind{mpdvirttest.Drop, mpdvirttest.DropAfter} {
		for _, s := range scripts {
			bubble(t, "F26 "+string(kind)+" "+s.step, func(t *testing.T) {
				l := newLab(t, options{})
				l.vm.Inject(mpdvirttest.Fault{Step: s.script, Kind: kind})
				res, err := l.Setup(t.Context(), adoption)
				switch {
				case s.step == "30-networking" && kind == mpdvirttest.DropAfter:
					check(t, err) // that is how step 30 may end
				case s.step == "30-networking":
					wantError(t, err, err, "still at 10.211.55.37", "10.211.55.150")
				default:
					wantFailure(l, res, err, s.step)
					wantError(t, err, err, "connection lost")
				}
				finishes(l)
			})
		}
	}
	bubble(t, "F26 push", func(t *testing.T) {
		l := newLab(t, options{})
		see := l.cfg.Observer
		once := true
		l.cfg.Observer = func(e mpdvirt.Event) {
			if see(e); e.Kind == mpdvirt.StepStarted && e.Step == "push" && once {
				once = false
				l.vm.ResetConnections()
			}
		}
		l.Manager = l.manager()
		res, err := l.Setup(t.Context(), adoption)
		wantFailure(l, res, err, "push")
		wantError(t, err, err, "connection lost")
		finishes(l)
	})
}

// F28
func TestSetupExitStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  mpdvirttest.Fault
		status int // 0: none was delivered
	}{
		{"1", mpdvirttest.Fault{Kind: mpdvirttest.Exit, Status: 1}, 1},
		{"100", mpdvirttest.Fault{Kind: mpdvirttest.Exit, Status: 100}, 100},
		{"127", mpdvirttest.Fault{Kind: mpdvirttest.Exit, Status: 127}, 127},
		{"255", mpdvirttest.Fault{Kind: mpdvirttest.Exit, Status: 255}, 255},
		{"signal", mpdvirttest.Fault{Kind: mpdvirttest.Killed}, 137},
		{"none", mpdvirttest.Fault{Kind: mpdvirttest.NoStatus}, 0},
		{"VM reboots", mpdvirttest.Fault{Kind: mpdvirttest.Restarts, After: time.Second}, 0}, // F43
		{"VM dies", mpdvirttest.Fault{Kind: mpdvirttest.Dies}, 0},
		{"never ends", mpdvirttest.Fault{Kind: mpdvirttest.Hang}, 0}, // F40
	} {
		bubble(t, "F28 "+tt.name, func(t *testing.T) {
			l := newLab(t, options{})
			fault := tt.fault
			fault.Step = mpdvirttest.StepBuild
			l.vm.Inject(fault)
			start := time.Now()
			res, err := l.Setup(t.Context(), adoption)
			if took := time.Since(start); took > 31*time.Minute {
				t.Errorf("it took %v", took)
			}
			wantFailure(l, res, err, "50-build")
			var exit *mpdvirt.StepError
			if errors.As(err, &exit) != (tt.status != 0) || exit != nil && (exit.Status != tt.status || exit.Step != "50-build") {
				t.Errorf("error %v holds %+v, want status %d", err, exit, tt.status)
			}
			<-time.After(time.Minute)
			check(t, l.vm.PowerOn())
			finishes(l)
		})
	}
}

// F39: a step that ends well without its effect has failed.
func TestSetupNoEffect(t *testing.T) {
	missing := map[string]string{
		"20-git-clone": "/opt/mpd/bootstrap/30-networking.sh", "30-networking": "still at 10.211.55.37",
		"40-install-software": "not installed: ", "50-build": "/opt/mpd/bin/mpd",
		"60-wireguard": "wg-quick@mpd0", "mpd-setup": "vm.service.mpd.test",
	}
	for _, s := range scripts[1:] { // what step 10 is for is there already
		bubble(t, "F39 "+s.step, func(t *testing.T) {
			l := newLab(t, options{})
			l.vm.Inject(mpdvirttest.Fault{Step: s.script, Kind: mpdvirttest.NoEffect})
			res, err := l.Setup(t.Context(), adoption)
			wantFailure(l, res, err, s.step)
			wantError(t, err, err, missing[s.step])
			finishes(l)
		})
	}
}

// A slow step is no failure, however long it says nothing.
func TestSetupSlow(t *testing.T) {
	bubble(t, "F40 slow build", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepBuild, Kind: mpdvirttest.Slow, After: 29 * time.Minute})
		l.setup(adoption)
	})
}
