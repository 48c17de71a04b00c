package utm_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

// made is a VM with a disk, a seed, and a drive that a person added.
func made(m *mac, state string) utmemu.VM {
	m.Helper()
	v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150", State: state, Drives: []utmemu.Drive{
		{ID: "11111111-0000-4000-8000-000000000001", Interface: "VirtIO", HostSize: 1200, File: "mpd-150.utm/Data/disk.qcow2"},
		{ID: "11111111-0000-4000-8000-000000000002", Interface: "VirtIO", HostSize: 0, File: "mpd-150.utm/Data/seed.qcow2"},
		{ID: "11111111-0000-4000-8000-000000000003", Interface: "USB", Removable: true, HostSize: 0, File: "/Users/x/own.iso"},
	}})
	m.must(err)
	return v
}

// Exactly the seed goes, and its file; the disk and what a person added stay,
// although the size of that is 0, too.
func TestDetach(t *testing.T) {
	for _, delay := range []float64{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{Delay: delay})
			v := made(m, "stopped")
			for range 2 { // and again
				if err := m.backend.Detach(t.Context(), v.UUID, v.Drives[1].ID); err != nil {
					t.Fatal(err)
				}
			}
			now := m.vms()[0].Drives
			if len(now) != 2 || now[0] != v.Drives[0] || now[1] != v.Drives[2] {
				t.Errorf("drives %+v", now)
			}
			if files, _ := m.emu.Files(); len(files) != 1 || files[0] != v.Drives[0].File {
				t.Errorf("files %q", files)
			}
		})
	}
}

// F75: a seed that could not be taken away is an error that names it, and every
// drive is still there.
func TestDetachFaults(t *testing.T) {
	for _, tc := range []struct {
		name  string
		state string
		fault utmemu.Fault
		want  error // nil and says "": detached
		says  string
		hint  string
	}{
		{"cut once", "stopped", utmemu.Fault{Kind: utmemu.FaultEvent, Verb: "detach", Number: -609}, nil, "", ""},
		{"cut after the work", "stopped", utmemu.Fault{Kind: utmemu.FaultEventAfter, Verb: "detach", Number: -609}, nil, "", ""},
		{"-1712 after the work", "stopped", utmemu.Fault{Kind: utmemu.FaultEventAfter, Verb: "detach", Number: -1712}, nil, "", ""},
		{"cut for ever", "stopped", utmemu.Fault{Kind: utmemu.FaultEvent, Verb: "detach", Number: -609, Times: -1}, hypervisor.ErrService, "-609", "open -ga UTM"},
		{"running", "started", utmemu.Fault{}, hypervisor.ErrState, "must be stopped", "shut the VM down"},
		{"paused", "paused", utmemu.Fault{}, hypervisor.ErrState, "must be stopped", "shut the VM down"},
		{"without effect", "stopped", utmemu.Fault{Kind: utmemu.FaultNoEffect, Verb: "detach", Times: -1}, hypervisor.ErrState, "without a word", ""},
		{"not permitted", "stopped", utmemu.Fault{Kind: utmemu.FaultEvent, Verb: "detach", Number: -1743}, fs.ErrPermission, "-1743", "Automation"},
		{"the list is garbage", "stopped", utmemu.Fault{Kind: utmemu.FaultGarbage, Verb: "drives"}, nil, "cannot be read", ""},
		{"the dialog is not answered", "stopped", utmemu.Fault{Kind: utmemu.FaultHang, Verb: "detach"}, nil, "still running", "Automation"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMac(t, utmemu.Settings{})
				v := made(m, tc.state)
				if tc.fault.Kind != "" {
					m.inject(tc.fault)
				}
				err := m.backend.Detach(t.Context(), v.UUID, v.Drives[1].ID)
				now := m.vms()[0].Drives
				if tc.want == nil && tc.says == "" {
					if err != nil || len(now) != 2 {
						t.Errorf("Detach = %v; drives %+v", err, now)
					}
					return
				}
				if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) ||
					!strings.Contains(hint.Of(err), tc.hint) || !strings.Contains(err.Error(), v.Drives[1].ID) || len(now) != 3 {
					t.Errorf("Detach = %v, hint %q; drives %+v; want %v that says %q", err, hint.Of(err), now, tc.want, tc.says)
				}
			})
		})
	}
}

func TestDetachLast(t *testing.T) {
	m := newMac(t, utmemu.Settings{})
	v, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150"})
	m.must(err)
	if err := m.backend.Detach(t.Context(), v.UUID, v.Drives[0].ID); !errors.Is(err, hypervisor.ErrState) || len(m.vms()[0].Drives) != 1 {
		t.Errorf("Detach = %v", err)
	}
	if err := m.backend.Detach(t.Context(), "11111111-0000-4000-8000-000000000009", "x"); !errors.Is(err, hypervisor.ErrNoMachine) {
		t.Errorf("Detach of no VM = %v", err)
	}
	if err := m.backend.Detach(t.Context(), v.UUID, ""); err == nil || len(m.vms()[0].Drives) != 1 {
		t.Errorf("Detach of no drive = %v", err)
	}
}

// Seed names the second of two drives as UTM has them, and guesses nothing else.
func TestSeed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		drives int // of those of made
		want   error
		says   string
	}{
		{"disk and seed", 2, nil, ""},
		{"no seed", 1, nil, "no second drive"},
		{"a third drive", 3, hypervisor.ErrAmbiguous, "3 drives"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{})
			v := made(m, "started")
			m.must(m.emu.Edit(v.UUID, func(v *utmemu.VM) { v.Drives = v.Drives[:tc.drives] }))
			got, err := m.backend.Seed(t.Context(), v.UUID)
			if tc.says == "" {
				if err != nil || got != v.Drives[1].ID {
					t.Errorf("Seed = %q, %v", got, err)
				}
			} else if got != "" || err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "mpd-150") {
				t.Errorf("Seed = %q, %v", got, err)
			}
		})
	}
}

func TestSeedFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Settings{})
		v := made(m, "stopped")
		m.must(m.emu.Edit(v.UUID, func(v *utmemu.VM) { v.Drives = v.Drives[:2] }))
		for _, uuid := range []string{"mpd-150", "11111111-0000-4000-8000-000000000009", ""} {
			if got, err := m.backend.Seed(t.Context(), uuid); got != "" || !errors.Is(err, hypervisor.ErrNoMachine) {
				t.Errorf("Seed(%q) = %q, %v", uuid, got, err)
			}
		}
		m.inject(utmemu.Fault{Kind: utmemu.FaultEvent, Verb: "drives", Number: -609}) // asked again
		if got, err := m.backend.Seed(t.Context(), v.UUID); err != nil || got != v.Drives[1].ID {
			t.Errorf("Seed = %q, %v", got, err)
		}
		m.inject(utmemu.Fault{Kind: utmemu.FaultEmpty, Verb: "drives"})
		if got, err := m.backend.Seed(t.Context(), v.UUID); err == nil || got != "" || errors.Is(err, hypervisor.ErrNoMachine) {
			t.Errorf("Seed of silence = %q, %v", got, err)
		}
		_, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150"})
		m.must(err)
		if got, err := m.backend.Seed(t.Context(), v.UUID); got != "" || !errors.Is(err, hypervisor.ErrDrift) {
			t.Errorf("Seed beside a VM of the name = %q, %v", got, err)
		}
	})
}

// A drive that is added between the look and the change is not lost.
func TestDetachRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Settings{})
		v := made(m, "stopped")
		const added = "11111111-0000-4000-8000-000000000004"
		backend := newBackend(func(argv []string) {
			if argv[0] == "osascript" && argv[2] == "detach" {
				m.must(m.emu.Edit(v.UUID, func(v *utmemu.VM) { v.Drives = append(v.Drives, utmemu.Drive{ID: added}) }))
			}
		}, m.emu.Runner())
		err := backend.Detach(t.Context(), v.UUID, v.Drives[1].ID)
		if now := m.vms()[0].Drives; err == nil || len(now) != 4 || now[3].ID != added {
			t.Errorf("Detach = %v; drives %+v", err, now)
		}
	})
}
