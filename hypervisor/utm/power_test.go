package utm_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/utm"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

// newBackend sees each command before it runs.
func newBackend(before func(argv []string), run hypervisor.Runner) *utm.Backend {
	return utm.New(utm.Config{Run: func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		before(c.Argv)
		return run(ctx, c)
	}})
}

// stops are the ways in which VMs were stopped.
func (m *mac) stops() (out []string) {
	m.Helper()
	calls, err := m.emu.Calls()
	m.must(err)
	for _, c := range calls {
		if len(c) > 1 && c[1] == "stop" {
			out = append(out, c[len(c)-1])
		} else if c[0] == "osascript" && (c[2] == "kill" || c[2] == "request") {
			out = append(out, "--"+c[2])
		}
	}
	return out
}

// F76, M15: a shutdown never becomes a power cut.
func TestShutdown(t *testing.T) {
	for _, tc := range []struct {
		name, state string
		deaf        bool
		want        error
		ends        string
		stops       []string
	}{
		{"running", "started", false, nil, "stopped", []string{"--request"}},
		{"stopped", "stopped", false, nil, "stopped", nil},
		{"paused", "paused", false, nil, "stopped", []string{"--request"}},
		{"the guest does not listen", "started", true, hypervisor.ErrState, "started", []string{"--request"}},
		{"unknown", "dreaming", false, hypervisor.ErrState, "dreaming", nil},
	} {
		for _, scripted := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMac(t, utmemu.Settings{Delay: 1, NewWords: true, NoUtmctl: scripted})
					v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150", State: tc.state, Deaf: tc.deaf})
					m.must(err)
					begin := time.Now()
					err = m.backend.Shutdown(t.Context(), v.UUID)
					if !errors.Is(err, tc.want) || m.vms()[0].State != tc.ends || !slices.Equal(m.stops(), tc.stops) {
						t.Errorf("Shutdown = %v, the VM is %s, stops %q", err, m.vms()[0].State, m.stops())
					}
					if tc.deaf && (!strings.Contains(hint.Of(err), "--kill") || time.Since(begin) > 3*time.Minute) {
						t.Errorf("hint %q after %v", hint.Of(err), time.Since(begin))
					}
				})
			})
		}
	}
}

// No verb of the backend cuts the power but Kill and Delete.
func TestOnlyKillCutsPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Settings{Delay: 1})
		v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150", State: "started"})
		m.must(err)
		m.must(m.backend.Suspend(t.Context(), v.UUID))
		m.must(m.backend.Start(t.Context(), v.UUID))
		if len(m.stops()) != 0 {
			t.Fatalf("stops %q", m.stops())
		}
		m.must(m.backend.Suspend(t.Context(), v.UUID))
		m.must(m.backend.Kill(t.Context(), v.UUID))
		if now := m.vms()[0]; now.Saved || now.State != "stopped" || !slices.Equal(m.stops(), []string{"--kill"}) {
			t.Errorf("%+v after kill, stops %q: the saved memory must be gone", now, m.stops())
		}
	})
}

// On Intel UTM pauses the VM and saves nothing.
func TestSuspendOnIntel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Settings{Intel: true})
		v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150", State: "started"})
		m.must(err)
		err = m.backend.Suspend(t.Context(), v.UUID)
		if !errors.Is(err, errors.ErrUnsupported) || hint.Of(err) == "" || m.vms()[0].State != "paused" {
			t.Errorf("Suspend = %v, the VM is %s", err, m.vms()[0].State)
		}
		if err := m.backend.Start(t.Context(), v.UUID); err != nil || m.vms()[0].State != "started" {
			t.Errorf("Start = %v", err)
		}
	})
}

// F68, F69: the list and the verbs, with utmctl and without.
func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(s *utmemu.Settings)
		fault  utmemu.Fault
		want   error
		hint   string
	}{
		{"not permitted", func(s *utmemu.Settings) { s.Denied = true }, utmemu.Fault{}, fs.ErrPermission, "Privacy & Security, Automation"},
		{"not permitted, Japanese", func(s *utmemu.Settings) { s.Denied, s.Localised = true, true }, utmemu.Fault{}, fs.ErrPermission, "Automation"},
		{"not running", func(s *utmemu.Settings) { s.NotRunning = true }, utmemu.Fault{}, hypervisor.ErrService, "not from an SSH session"},
		{"no session", func(*utmemu.Settings) {}, utmemu.Fault{Kind: utmemu.FaultCrash, Times: -1}, hypervisor.ErrService, "not from an SSH session"},
		{"no UTM", func(s *utmemu.Settings) { s.Absent = true }, utmemu.Fault{}, hypervisor.ErrToolMissing, "install UTM"},
		{"the dialog is not answered", func(*utmemu.Settings) {}, utmemu.Fault{Kind: utmemu.FaultHang, Times: -1}, context.DeadlineExceeded, "Automation"},
		{"cut for ever", func(*utmemu.Settings) {}, utmemu.Fault{Kind: utmemu.FaultEvent, Number: -609, Times: -1}, hypervisor.ErrService, "open -ga UTM"},
	} {
		for _, scripted := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMac(t, utmemu.Settings{NoUtmctl: scripted})
					v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150", State: "started"})
					m.must(err)
					m.must(m.emu.Change(tc.change))
					if tc.fault.Kind != "" {
						m.inject(tc.fault)
					}
					vms, err := m.backend.States(t.Context())
					if vms != nil {
						t.Errorf("States = %v", vms)
					}
					for name, err := range map[string]error{"States": err, "Delete": m.backend.Delete(t.Context(), v.UUID), "Kill": m.backend.Kill(t.Context(), v.UUID)} {
						if err == nil || tc.want != nil && !errors.Is(err, tc.want) || errors.Is(err, hypervisor.ErrNoMachine) || !strings.Contains(hint.Of(err), tc.hint) {
							t.Errorf("%s = %v, hint %q; want %v, %q", name, err, hint.Of(err), tc.want, tc.hint)
						}
					}
					if len(m.vms()) != 1 || m.vms()[0].State != "started" {
						t.Errorf("VMs %+v", m.vms())
					}
				})
			})
		}
	}
}

// F71: UTM 4.7.2 and a word that is new say "unknown".
func TestUnknownState(t *testing.T) {
	m := newMac(t, utmemu.Settings{StatusBroken: true})
	v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150", State: "started"})
	m.must(err)
	if vms, err := m.backend.States(t.Context()); err != nil || vms[0].State != "unknown" {
		t.Errorf("States = %v, %v", vms, err)
	}
	if err := m.backend.Delete(t.Context(), v.UUID); !errors.Is(err, hypervisor.ErrState) || len(m.vms()) != 1 {
		t.Errorf("Delete = %v", err)
	}
}

// A delete that UTM took too long to answer is done all the same; the state says so.
func TestTimedOutIsNotFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Settings{})
		v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150"})
		m.must(err)
		for verb, do := range map[string]func(context.Context, string) error{"start": m.backend.Start} {
			m.inject(utmemu.Fault{Kind: utmemu.FaultEventAfter, Verb: verb, Number: -1712})
			if err := do(t.Context(), v.UUID); err != nil {
				t.Errorf("%s = %v", verb, err)
			}
		}
		m.inject(utmemu.Fault{Kind: utmemu.FaultEventAfter, Verb: "delete", Number: -1712})
		if err := m.backend.Delete(t.Context(), v.UUID); err != nil || len(m.vms()) != 0 {
			t.Errorf("Delete = %v", err)
		}
	})
}
