package mpdvirt_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// clonedMac is a Mac with mpd-150, which is set up, and somebody's own VM.
func clonedMac(t *testing.T) *prlMac {
	t.Helper()
	f := newMac(t, mpdvirttest.ParallelsOptions{})
	_, err := f.parallels.AddVM("somebody's", mpdvirttest.VMOptions{User: "dev"})
	check(t, err)
	_, err = f.m.Clone(t.Context(), order(150))
	check(t, err)
	return f
}

// verbs are all that ask Parallels something about mpd-150.
func (f *prlMac) verbs() map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"start": func(ctx context.Context) error {
			_, err := f.m.Start(ctx, mpdvirt.StartRequest{Octet: octet})
			return err
		},
		"stop":      func(ctx context.Context) error { return f.m.Stop(ctx, mpdvirt.StopRequest{Octet: octet}) },
		"stop kill": func(ctx context.Context) error { return f.m.Stop(ctx, mpdvirt.StopRequest{Octet: octet, Kill: true}) },
		"delete": func(ctx context.Context) error {
			_, err := f.m.Delete(ctx, deletion)
			return err
		},
		"setup": func(ctx context.Context) error {
			_, err := f.m.Setup(ctx, alone)
			return err
		},
		"clone": func(ctx context.Context) error {
			_, err := f.m.Clone(ctx, order(151))
			return err
		},
	}
}

// machines are all VMs by UUID, with names and states.
func (f *prlMac) machines(t *testing.T) map[string]string {
	t.Helper()
	all, err := f.parallels.Machines()
	check(t, err)
	out := map[string]string{}
	for _, m := range all {
		out[m.UUID] = m.Name + " " + string(m.State)
	}
	return out
}

// F53, F54, F56, F57, O8, O11: whatever is wrong with prlctl, each verb ends in
// time, says what it is and what to do, and leaves all VMs and the registry as
// they are; list and show still work and say it, too.
func TestParallelsBroken(t *testing.T) {
	type fault = mpdvirttest.ParallelsFault
	for _, tt := range []struct {
		name   string
		breaks func(f *prlMac) error
		class  error
		says   string
		next   string
	}{
		{"service down", func(f *prlMac) error {
			return f.parallels.Change(func(s *mpdvirttest.ParallelsSettings) { s.ServiceDown = true })
		},
			hypervisor.ErrService, "253", `open -ga "Parallels Desktop"`},
		{"tool missing", func(f *prlMac) error {
			return f.parallels.Change(func(s *mpdvirttest.ParallelsSettings) { s.Absent = true })
		},
			mpdvirt.ErrToolMissing, "prlctl", "install Parallels Desktop Pro"},
		{"list hangs", func(f *prlMac) error { return f.parallels.Inject(fault{Kind: "hang", Verb: "list", Times: -1}) },
			context.DeadlineExceeded, "prlctl", ""},
		{"list is garbage", func(f *prlMac) error { return f.parallels.Inject(fault{Kind: "garbage", Verb: "list", Times: -1}) },
			nil, "cannot be read", ""},
		{"list is cut", func(f *prlMac) error { return f.parallels.Inject(fault{Kind: "partial", Verb: "list", Times: -1}) },
			nil, "255", ""},
		{"list is empty", func(f *prlMac) error { return f.parallels.Inject(fault{Kind: "empty", Verb: "list", Times: -1}) },
			nil, "cannot be read", ""},
		{"login fails for ever", func(f *prlMac) error { return f.parallels.Inject(fault{Kind: "login failed", Times: -1}) },
			hypervisor.ErrService, "Login failed", `open -ga "Parallels Desktop"`},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			f := clonedMac(t)
			before, entry := f.machines(t), f.readEntry(t)
			check(t, tt.breaks(f))
			for name, verb := range f.verbs() {
				begin := time.Now()
				err := verb(t.Context())
				if took := time.Since(begin); took > 8*time.Minute {
					t.Errorf("%s took %v", name, took)
				}
				if err == nil {
					if name != "setup" {
						t.Errorf("%s: no error", name)
					}
					continue
				}
				if name == "setup" && errors.Is(err, mpdvirt.ErrUnhealthy) {
					continue // it asks Parallels in its diag only
				}
				if tt.class != nil {
					wantError(t, err, tt.class, tt.says, tt.next)
				} else {
					wantError(t, err, err, tt.says)
				}
				for _, never := range []error{hypervisor.ErrNoMachine, mpdvirt.ErrRefused, mpdvirt.ErrUsage, mpdvirt.ErrNotRegistered} {
					if errors.Is(err, never) {
						t.Errorf("%s: %v is %v", name, err, never)
					}
				}
			}
			vms, err := f.m.List(t.Context())
			if check(t, err); len(vms) != 1 || vms[0].State != "" || !strings.Contains(vms[0].Error, tt.says) {
				t.Errorf("list: %+v", vms)
			}
			show, err := f.m.Show(t.Context(), mpdvirt.ShowRequest{Octet: octet})
			if check(t, err); show.State != "" || !strings.Contains(show.Error, tt.says) {
				t.Errorf("show: %+v", show)
			}
			report, err := f.m.Diag(t.Context(), mpdvirt.DiagRequest{Octet: octet})
			check(t, err)
			if c := report.Check("backend"); c.Status != fail || !strings.Contains(c.Summary, tt.says) || report.Check("platform").Status == fail {
				t.Errorf("diag: %+v", report.Checks)
			}
			f.mended(t)
			if after := f.machines(t); !equalMaps(before, after) {
				t.Errorf("VMs before %v, after %v", before, after)
			}
			if now := f.readEntry(t); now != entry {
				t.Errorf("the entry was\n%s\nand is\n%s", entry, now)
			}
			_, err = f.m.Delete(t.Context(), deletion)
			check(t, err)
		})
	}
}

func equalMaps(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

func (f *prlMac) readEntry(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(f.Home() + "/.mpd-virt/150/env")
	check(t, err)
	return string(data)
}

// mended takes all faults away.
func (f *prlMac) mended(t *testing.T) {
	t.Helper()
	check(t, f.parallels.Emulator().ClearFaults())
	check(t, f.parallels.Change(func(s *mpdvirttest.ParallelsSettings) { s.ServiceDown, s.Absent = false, false }))
}

// F53, F62, O8: a verb of prlctl that hangs, refuses or has no effect is an
// error within its bound; the VM stays registered, and the same command works
// once prlctl does.
func TestParallelsVerbFails(t *testing.T) {
	for _, tt := range []struct{ verb, prlctl string }{
		{"start", "start"}, {"stop", "suspend"}, {"stop kill", "stop"}, {"delete", "delete"},
	} {
		for _, kind := range []string{"hang", "no effect", "refuse", "busy", "error with 0"} {
			bubble(t, tt.verb+" "+kind, func(t *testing.T) {
				f := clonedMac(t)
				if tt.verb == "start" {
					check(t, f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet, Kill: true}))
				}
				uuid := f.parallels.UUID("mpd-150")
				check(t, f.parallels.Inject(mpdvirttest.ParallelsFault{Kind: prlemu.FaultKind(kind), Verb: tt.prlctl, Times: -1, Text: "Failed to do it: no."}))
				begin := time.Now()
				err := f.verbs()[tt.verb](t.Context())
				if took := time.Since(begin); err == nil || took > 8*time.Minute {
					t.Errorf("%v after %v", err, took)
				}
				wantError(t, err, err, "mpd-150", uuid)
				if f.parallels.VM(uuid) == nil || f.readEntry(t) == "" {
					t.Error("the VM is gone")
				}
				f.mended(t)
				if err := f.verbs()[tt.verb](t.Context()); err != nil && !errors.Is(err, mpdvirt.ErrUnhealthy) {
					t.Errorf("again: %v", err)
				}
			})
		}
	}
}

// O11: what somebody does to a VM behind our back leads to an error that says
// so; no other VM is touched, and the way on works.
func TestParallelsBehindOurBack(t *testing.T) {
	for _, tt := range []struct {
		name    string
		do      func(t *testing.T, f *prlMac, uuid string)
		class   error    // of start, stop and delete; nil: they work
		words   []string // of their errors
		deleted error    // of delete, if that is another
		state   mpdvirt.State
	}{
		{"deleted", func(t *testing.T, f *prlMac, uuid string) { check(t, f.parallels.Remove(uuid)) },
			hypervisor.ErrNoMachine, []string{"mpd-virt delete 150"}, nil, hypervisor.Missing},
		{"renamed", func(t *testing.T, f *prlMac, uuid string) { check(t, f.parallels.Rename(uuid, "mine")) },
			nil, nil, nil, hypervisor.Stopped},
		{"two of the name", func(t *testing.T, f *prlMac, _ string) {
			_, err := f.parallels.AddVM("mpd-150", mpdvirttest.VMOptions{User: "dev"})
			check(t, err)
		}, mpdvirt.ErrRefused, []string{"UUID"}, mpdvirt.ErrRefused, hypervisor.Stopped},
		{"unknown state", func(t *testing.T, f *prlMac, uuid string) { check(t, f.parallels.SetState(uuid, "dreaming")) },
			hypervisor.ErrState, []string{"dreaming"}, hypervisor.ErrState, "dreaming"},
		{"files missing", func(t *testing.T, f *prlMac, uuid string) { check(t, f.parallels.SetState(uuid, "invalid")) },
			hypervisor.ErrState, []string{"prlctl unregister"}, hypervisor.ErrState, "invalid"},
		{"a template now", func(t *testing.T, f *prlMac, uuid string) {
			_, err := f.Run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "set", uuid, "--template", "on"}})
			check(t, err)
		}, hypervisor.ErrState, []string{"--template off"}, hypervisor.ErrState, hypervisor.Missing},
	} {
		for _, verb := range []string{"start", "stop", "stop kill", "delete"} {
			bubble(t, tt.name+", "+verb, func(t *testing.T) {
				f := clonedMac(t)
				uuid := f.parallels.UUID("mpd-150")
				check(t, f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet, Kill: true}))
				tt.do(t, f, uuid)
				vms, err := f.m.List(t.Context())
				if check(t, err); vms[0].State != tt.state {
					t.Errorf("list: %+v, want %s", vms, tt.state)
				}
				before := f.machines(t)
				err = f.verbs()[verb](t.Context())
				class := tt.class
				if verb == "delete" {
					class = tt.deleted
				}
				after := f.machines(t)
				if class == nil {
					check(t, err)
					delete(before, uuid)
					delete(after, uuid)
				} else {
					wantError(t, err, class, tt.words...)
					f.readEntry(t)
				}
				if !equalMaps(before, after) {
					t.Errorf("VMs before %v, after %v", before, after)
				}
			})
		}
	}
}

// F67: a VM whose name is not mpd-150 works under its UUID, also beside other
// VMs of ours; it is destroyed only once it is certain that it is the right one.
func TestUnderItsUUID(t *testing.T) {
	bubble(t, "beside mpd-151", func(t *testing.T) {
		f := clonedMac(t)
		_, err := f.m.Clone(t.Context(), order(151))
		check(t, err)
		uuid := f.parallels.UUID("mpd-150")
		check(t, f.parallels.Rename(uuid, "mine"))
		for _, verb := range []string{"stop", "start", "stop"} {
			check(t, f.verbs()[verb](t.Context()))
		}
		before := f.machines(t)
		err = f.verbs()["delete"](t.Context())
		wantError(t, err, mpdvirt.ErrRefused, uuid, f.parallels.UUID("mpd-151"), "prlctl set "+uuid+" --name")
		if after := f.machines(t); !equalMaps(before, after) {
			t.Errorf("VMs before %v, after %v", before, after)
		}
	})
}

// Without the right licence nothing starts and nothing is cloned, and the
// states are still told.
func TestUnlicensed(t *testing.T) {
	for name, change := range map[string]func(s *mpdvirttest.ParallelsSettings){
		"F57 standard edition": func(s *mpdvirttest.ParallelsSettings) { s.Edition = "standard" },
		"F57 expired":          func(s *mpdvirttest.ParallelsSettings) { s.License = "expired" },
	} {
		bubble(t, name, func(t *testing.T) {
			f := clonedMac(t)
			check(t, f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet, Kill: true}))
			check(t, f.parallels.Change(change))
			before := f.machines(t)
			for _, verb := range []string{"start", "clone", "setup"} {
				wantError(t, f.verbs()[verb](t.Context()), hypervisor.ErrLicense, "Parallels Desktop Pro")
			}
			if after := f.machines(t); !equalMaps(before, after) {
				t.Errorf("VMs before %v, after %v", before, after)
			}
			vms, err := f.m.List(t.Context())
			if check(t, err); len(vms) != 1 || vms[0].State != hypervisor.Stopped {
				t.Errorf("list: %+v", vms)
			}
		})
	}
}

// An old entry without a UUID: no verb guesses, and setup finds out.
func TestNoUUID(t *testing.T) {
	bubble(t, "old entry", func(t *testing.T) {
		f := clonedMac(t)
		state := registry.Open(f.Home() + "/.mpd-virt")
		e, err := state.Load(octet)
		check(t, err)
		uuid := e.UUID
		e.UUID = ""
		check(t, state.Save(e))
		before := f.machines(t)
		for _, verb := range []string{"start", "stop", "stop kill"} {
			err := f.verbs()[verb](t.Context())
			wantError(t, err, err, "no UUID", "mpd-virt setup 150")
		}
		err = f.verbs()["delete"](t.Context())
		wantError(t, err, err, "no UUID", "--keep-vm")
		if after := f.machines(t); !equalMaps(before, after) {
			t.Errorf("VMs before %v, after %v", before, after)
		}
		_, err = f.m.Setup(t.Context(), alone)
		check(t, err)
		if e, err = state.Load(octet); err != nil || e.UUID != uuid {
			t.Errorf("the entry has UUID %q, %v; want %s", e.UUID, err, uuid)
		}
		check(t, f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet}))
	})
}

// A suspended VM: what needs it says how to start it, and setup does not start
// it by itself.
func TestSuspended(t *testing.T) {
	bubble(t, "suspended", func(t *testing.T) {
		f := clonedMac(t)
		for range 2 { // twice is fine
			check(t, f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet}))
		}
		_, err := f.m.Setup(t.Context(), alone)
		wantError(t, err, err, "mpd-virt start 150", "suspended")
		_, err = f.m.Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet})
		wantError(t, err, err, "mpd-virt start 150", "suspended")
		report, err := f.m.Diag(t.Context(), mpdvirt.DiagRequest{Octet: octet})
		check(t, err)
		if c := report.Check("backend"); c.Status != fail || !slices.Equal(c.Fixes[0].Argv, []string{"mpd-virt", "start", "150"}) {
			t.Errorf("diag: %+v", c)
		}
		for range 2 { // a running one is fine
			_, err = f.m.Start(t.Context(), mpdvirt.StartRequest{Octet: octet})
			check(t, err)
		}
		check(t, f.parallels.SetState("mpd-150", "paused"))
		check(t, f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet}))
	})
}
