package prlemu_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  prlemu.Fault
		line   string
		status int
		stdout string // exactly, unless "…"
		stderr string // a part
		state  string // of mpd-131 afterwards
	}{
		{"garbage", prlemu.Garbage("list"), "list -a -j", 0, "…", "", "stopped"},
		{"own garbage", prlemu.Fault{Kind: prlemu.FaultGarbage, Text: "[{]"}, "list -a -j", 0, "[{]", "", "stopped"},
		{"partial list", prlemu.Partial("list"), "list -a -j", 255, "…", "", "stopped"},
		{"partial start", prlemu.Partial("start"), "start mpd-131", 255, "Starting the VM...\n", "", "stopped"},
		{"empty", prlemu.Empty("list"), "list -a -j", 0, "", "", "stopped"},
		{"busy start", prlemu.Busy("start", 1), "start mpd-131", 255, "Starting the VM...\n", "Failed to start the VM: " + busy, "stopped"},
		{"busy set", prlemu.Busy("set", 1), "set mpd-131 --name x", 255, "", busy + notDone, "stopped"},
		{"busy clone", prlemu.Busy("clone", 1), "clone mpd-131 --name x", 255, "…", "\nFailed to clone the VM: " + busy, "stopped"},
		{"login", prlemu.LoginFailed(1), "list -a -j", 255, "", "Login failed: ", "stopped"},
		{"service", prlemu.Fault{Kind: prlemu.FaultService}, "list -a -j", 253, "", "Login failed: Unable to connect to Parallels Service.\n", "stopped"},
		{"password", prlemu.Fault{Kind: prlemu.FaultPassword, Verb: "clone"}, "clone mpd-131 --name x", 255, "…", "you must enter the host OS administrator's credentials.", "stopped"},
		{"refusal", prlemu.Fault{Kind: prlemu.FaultRefuse, Text: "No.", Status: 7}, "start mpd-131", 7, "Starting the VM...\n", "No.\n", "stopped"},
		{"error with 0", prlemu.ErrorWithZero("start"), "start mpd-131", 0, "Starting the VM...\n", "Failed to start the VM: Operation failed.", "stopped"},
		{"1 with good", prlemu.OneWithGood("start"), "start mpd-131", 1, "Starting the VM...\nThe VM has been successfully started.\n", "", "running"},
		{"no effect", prlemu.NoEffect("start"), "start mpd-131", 0, "Starting the VM...\nThe VM has been successfully started.\n", "", "stopped"},
		{"no effect of delete", prlemu.NoEffect("delete"), "delete mpd-131", 0, "Removing the VM...\nThe VM has been successfully removed.\n", "", "stopped"},
		{"noise", prlemu.Fault{Kind: prlemu.FaultNoise}, "list -a -j", 0, "…", "", "stopped"},
		{"slow", prlemu.Fault{Kind: prlemu.FaultSlow, After: time.Minute}, "start mpd-131", 0, "…", "", "running"},
		{"stuck", prlemu.Fault{Kind: prlemu.FaultStuck}, "start mpd-131", 0, "…", "", "starting"},
		{"other verb", prlemu.Busy("stop", 1), "start mpd-131", 0, "…", "", "running"},
		{"other option", prlemu.Fault{Kind: prlemu.FaultBusy, Verb: "start", Has: "--x"}, "start mpd-131", 0, "…", "", "running"},
		{"later", prlemu.Fault{Kind: prlemu.FaultBusy, Verb: "start", Skip: 1}, "start mpd-131", 0, "…", "", "running"},
		{"deleted behind", prlemu.Fault{Kind: prlemu.FaultDeleteBehind, VM: "mpd-131"}, "list -a -j", 0, "…", "", "gone"},
		{"renamed behind", prlemu.Fault{Kind: prlemu.FaultRenameBehind, VM: "mpd-131", Name: "other"}, "list -a -j", 0, "…", "", "gone"},
		{"word behind", prlemu.Fault{Kind: prlemu.FaultStateBehind, VM: "mpd-131", Name: "dreaming"}, "list -a -j", 0, "…", "", "dreaming"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMac(t, prlemu.Options{})
				m.check(m.Inject(tt.fault))
				r := m.run(tt.line)
				if r.Status != tt.status || tt.stdout != "…" && string(r.Stdout) != tt.stdout || !strings.Contains(string(r.Stderr), tt.stderr) {
					t.Errorf("status %d, want %d\nstdout %q\nstderr %q", r.Status, tt.status, r.Stdout, r.Stderr)
				}
				spoiled := strings.Contains(tt.name, "garbage") || tt.name == "partial list" || tt.name == "noise"
				if spoiled && (len(r.Stdout) == 0 || json.Valid(r.Stdout)) {
					t.Errorf("good output: %q", r.Stdout)
				}
				if got := m.state("mpd-131"); got != tt.state {
					t.Errorf("it is %s, want %s", got, tt.state)
				}
			})
		})
	}
}

func TestReplaceBehind(t *testing.T) {
	m := newMac(t, prlemu.Options{})
	m.check(m.Inject(prlemu.Fault{Kind: prlemu.FaultReplaceBehind, Verb: "list", VM: "mpd-131"}))
	before := decode[[]brief](m, "list -a -j mpd-131")[0].UUID
	after := decode[[]brief](m, "list -a -j mpd-131")[0].UUID
	if before != m.uuid["mpd-131"] || after == before {
		t.Errorf("%s, then %s", before, after)
	}
}

func TestTimesOfFaults(t *testing.T) {
	m := newMac(t, prlemu.Options{})
	m.check(m.Inject(prlemu.Busy("start", 2), prlemu.Fault{Kind: prlemu.FaultRefuse, Verb: "start", Text: "No."}))
	var codes []int
	for range 5 {
		r := m.run("start mpd-131")
		codes = append(codes, r.Status)
		if r.Status == 0 {
			break
		}
	}
	if len(codes) != 4 {
		t.Errorf("statuses %v", codes)
	}
}

// F53, inside the process: the limit and the context end what hangs.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, prlemu.Options{})
		m.check(m.Inject(prlemu.Hang("start"), prlemu.Fault{Kind: prlemu.FaultHangAfter, Verb: "suspend", Stubborn: true}))
		begin := time.Now()
		_, err := m.Runner()(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "start", "mpd-131"}, Limit: 7 * time.Second})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 7*time.Second {
			t.Errorf("limit: %v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = m.Runner()(ctx, hypervisor.Command{Argv: []string{"prlctl", "suspend", "mpd-130"}})
		if !errors.Is(err, context.DeadlineExceeded) || m.state("mpd-130") != "suspended" {
			t.Errorf("hang after: %v, %s", err, m.state("mpd-130"))
		}
	})
}

func TestWedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, prlemu.Options{})
		m.check(m.Inject(prlemu.Fault{Kind: prlemu.FaultWedged, Verb: "stop", After: 2 * time.Minute}))
		go func() {
			<-time.After(time.Minute)
			if got := m.state("mpd-130"); got != "stopping" {
				t.Errorf("meanwhile: %s", got)
			}
		}()
		r := m.run("stop mpd-130")
		if r.Status != 255 || m.state("mpd-130") != "running" {
			t.Errorf("status %d, %s", r.Status, m.state("mpd-130"))
		}
	})
}

// A clone that is cut short leaves nothing or a half bundle, and no source that
// is busy for ever.
func TestInterruptedClone(t *testing.T) {
	for _, half := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newMac(t, prlemu.Options{Settings: prlemu.Settings{Delay: 1, HalfBundle: half}})
			before, err := m.Bundles()
			m.check(err)
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			_, err = m.Runner()(ctx, hypervisor.Command{Argv: strings.Fields("prlctl clone mpd-131 --name mpd-150"), Limit: time.Hour})
			if !errors.Is(err, context.DeadlineExceeded) || m.state("mpd-150") != "gone" {
				t.Errorf("%v, %s", err, m.state("mpd-150"))
			}
			after, err := m.Bundles()
			m.check(err)
			if left := len(after) > len(before); left != half {
				t.Errorf("bundles %v", after)
			}
			r, err := m.Runner()(t.Context(), hypervisor.Command{Argv: strings.Fields("prlctl clone mpd-131 --name mpd-151"), Limit: time.Hour})
			if err != nil || r.Status != 0 {
				t.Errorf("the next: %v %d %s", err, r.Status, r.Stderr)
			}
		})
	}
}
