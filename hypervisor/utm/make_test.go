package utm_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
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

// spec is a VM whose files are in a folder of that name.
func (m *mac) spec(folder string) utm.MakeSpec {
	m.Helper()
	dir := filepath.Join(m.TempDir(), folder)
	m.must(os.MkdirAll(dir, 0o700))
	s := utm.MakeSpec{Name: "mpd-150", Arch: "aarch64", RAM: 4 * hypervisor.GiB, Cores: 2, MAC: net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3},
		Disk: filepath.Join(dir, "disk.raw"), Seed: filepath.Join(dir, "seed.iso")}
	m.must(os.WriteFile(s.Disk, make([]byte, 3<<20), 0o600))
	m.must(os.WriteFile(s.Seed, []byte("seed"), 0o600))
	return s
}

func TestMake(t *testing.T) {
	for _, arch := range []string{"aarch64", "x86_64"} {
		t.Run(arch, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{})
			s := m.spec("150")
			s.Arch = arch
			got, err := m.backend.Make(t.Context(), s)
			vms := m.vms()
			if err != nil || len(vms) != 1 || got.UUID != vms[0].UUID || got.Name != "mpd-150" || got.State != hypervisor.Stopped {
				t.Fatalf("Make = %+v, %v; VMs %+v", got, err, vms)
			}
			v := vms[0]
			if v.RAM != 4096 || v.Cores != 2 || v.MAC != "52:54:00:01:02:03" || v.NIC != "virtio-net-pci" || v.Mode != "shared" || v.Arch != arch ||
				!slices.Equal(v.Args, []string{"-device", "virtio-balloon-pci,free-page-reporting=on"}) {
				t.Errorf("made %+v", v)
			}
			if len(v.Drives) != 2 || v.Drives[0].Source != s.Disk || v.Drives[1].Source != s.Seed {
				t.Fatalf("drives %+v", v.Drives)
			}
			for _, d := range v.Drives {
				if d.Interface != "VirtIO" || d.Removable {
					t.Errorf("drive %+v: Debian's cloud kernel sees only virtio", d)
				}
			}
		})
	}
}

// F72: what is in a path stays in that argument.
func TestMakeStrangePaths(t *testing.T) {
	for _, folder := range []string{`it's "quoted"`, `back\slash`, "line\nend", "¬ and more", "$(touch x)", "`id`", "\u202eright to left", "tab\there", `" & (do shell script "id") & "`} {
		t.Run(folder, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{})
			s := m.spec(folder)
			if _, err := m.backend.Make(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if d := m.vms()[0].Drives; d[0].Source != s.Disk || d[1].Source != s.Seed {
				t.Errorf("drives %+v, want those of %q", d, s.Disk)
			}
		})
	}
}

func TestMakeRefusesSpec(t *testing.T) {
	for name, change := range map[string]func(s *utm.MakeSpec){
		"no name":               func(s *utm.MakeSpec) { s.Name = "" },
		"a name with a slash":   func(s *utm.MakeSpec) { s.Name = "a/b" },
		"a name with controls":  func(s *utm.MakeSpec) { s.Name = "a\x1b[2J" },
		"a name like a flag":    func(s *utm.MakeSpec) { s.Name = "-x" },
		"another architecture":  func(s *utm.MakeSpec) { s.Arch = "arm64" },
		"no memory":             func(s *utm.MakeSpec) { s.RAM = 0 },
		"memory with a rest":    func(s *utm.MakeSpec) { s.RAM++ },
		"no cores":              func(s *utm.MakeSpec) { s.Cores = 0 },
		"no MAC":                func(s *utm.MakeSpec) { s.MAC = nil },
		"a MAC of a group":      func(s *utm.MakeSpec) { s.MAC = net.HardwareAddr{1, 2, 3, 4, 5, 6} },
		"a relative path":       func(s *utm.MakeSpec) { s.Disk = "disk.raw" },
		"no seed":               func(s *utm.MakeSpec) { s.Seed = "" },
		"a path with NUL":       func(s *utm.MakeSpec) { s.Seed += "\x00" },
		"a path that is broken": func(s *utm.MakeSpec) { s.Seed += "\xff" },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{})
			s := m.spec("150")
			change(&s)
			var bad *hypervisor.ValueError
			if got, err := m.backend.Make(t.Context(), s); !errors.As(err, &bad) || got != (hypervisor.Machine{}) {
				t.Errorf("Make = %+v, %v", got, err)
			}
			if calls, _ := m.emu.Calls(); len(calls) != 0 {
				t.Errorf("calls %q", calls)
			}
		})
	}
}

func TestMakeFaults(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault utmemu.Fault
		prior string // name of a VM that is there before
		want  error  // nil and says "": made
		says  string
		hint  string
		named bool // the half VM is told beside the error
	}{
		{"all is well", utmemu.Fault{}, "", nil, "", "", false},
		{"name taken", utmemu.Fault{}, "mpd-150", hypervisor.ErrTaken, "mpd-150", "", false},
		{"name taken in other letters", utmemu.Fault{}, "MPD-150", hypervisor.ErrTaken, "MPD-150", "", false},
		{"-1712 although the work is done", utmemu.Fault{Kind: utmemu.FaultEventAfter, Number: -1712, Text: "AppleEvent timed out."}, "", nil, "", "", false},
		{"-1712 and the work is done later", utmemu.Fault{Kind: utmemu.FaultEvent, Number: -1712, Text: "AppleEvent timed out."}, "later", nil, "", "", false},
		{"-1712 and nothing is done", utmemu.Fault{Kind: utmemu.FaultEvent, Number: -1712}, "", hypervisor.ErrService, "-1712", "may still be at work", false},
		{"F70: UTM quits after", utmemu.Fault{Kind: utmemu.FaultEventAfter, Number: -609, Text: "Connection is invalid."}, "", hypervisor.ErrService, "perhaps not whole", "", true},
		{"F70: UTM quits in the middle", utmemu.Fault{Kind: utmemu.FaultQuit}, "", hypervisor.ErrService, "-609", "mpd-150.utm", false},
		{"F68: not permitted", utmemu.Fault{Kind: utmemu.FaultEvent, Number: -1743, Text: "Not authorized"}, "", fs.ErrPermission, "-1743", "Automation", false},
		{"F69: the dialog is not answered", utmemu.Fault{Kind: utmemu.FaultHang}, "", nil, "still running", "Automation", false},
		{"garbage", utmemu.Fault{Kind: utmemu.FaultGarbage}, "", nil, "names no VM", "", false},
		{"says nothing, does nothing", utmemu.Fault{Kind: utmemu.FaultEmpty}, "", nil, "names no VM", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMac(t, utmemu.Settings{})
				s := m.spec("150")
				if tc.prior == "later" {
					time.AfterFunc(90*time.Second, func() {
						_, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150"})
						m.must(err)
					})
				} else if tc.prior != "" {
					_, err := m.emu.AddVM(utmemu.VM{Name: tc.prior})
					m.must(err)
				}
				if tc.fault.Kind != "" {
					tc.fault.Verb = "make"
					m.inject(tc.fault)
				}
				got, err := m.backend.Make(t.Context(), s)
				if tc.want == nil && tc.says == "" {
					if err != nil || got.Name != "mpd-150" || got.UUID == "" {
						t.Errorf("Make = %+v, %v", got, err)
					}
					return
				}
				if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(hint.Of(err), tc.hint) {
					t.Errorf("Make = %v, hint %q; want %v that says %q with hint %q", err, hint.Of(err), tc.want, tc.says, tc.hint)
				}
				if (got.UUID != "") != tc.named {
					t.Errorf("Machine = %+v", got)
				}
			})
		})
	}
}

// A name that is taken is known before a disk is copied.
func TestMakeTakenCopiesNothing(t *testing.T) {
	m := newMac(t, utmemu.Settings{})
	_, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150"})
	m.must(err)
	before, _ := m.emu.Files()
	_, _ = m.backend.Make(t.Context(), m.spec("150"))
	if after, _ := m.emu.Files(); !slices.Equal(before, after) {
		t.Errorf("files %q, and then %q", before, after)
	}
}

// A make ends with its context, at once.
func TestMakeEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Settings{Delay: 1})
		s := m.spec("150")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		begin := time.Now()
		got, err := m.backend.Make(ctx, s)
		if !errors.Is(err, context.Canceled) || got != (hypervisor.Machine{}) || time.Since(begin) != 5*time.Second {
			t.Errorf("Make = %+v, %v after %v", got, err, time.Since(begin))
		}
	})
}

// From nothing to a VM that runs without its seed, with the times of a Mac, with
// and without utmctl.
func TestWholeLife(t *testing.T) {
	for _, s := range []utmemu.Settings{{Delay: 1}, {Delay: 1, NoUtmctl: true, Localised: true}} {
		synctest.Test(t, func(t *testing.T) {
			m := newMac(t, s)
			made, err := m.backend.Make(t.Context(), m.spec("150"))
			m.must(err)
			m.must(m.backend.Start(t.Context(), made.UUID))
			m.must(m.backend.Shutdown(t.Context(), made.UUID, 0))
			drives, err := m.backend.Drives(t.Context(), made.UUID)
			m.must(err)
			m.must(m.backend.Detach(t.Context(), made.UUID, drives[1].ID))
			m.must(m.backend.Start(t.Context(), made.UUID))
			v := m.vms()[0]
			if v.State != "started" || len(v.Drives) != 1 || v.Drives[0].ID != drives[0].ID {
				t.Errorf("the VM is %+v", v)
			}
			m.must(m.backend.Delete(t.Context(), made.UUID))
			if files, err := m.emu.Files(); err != nil || len(files) != 0 || len(m.vms()) != 0 {
				t.Errorf("left: %q, %v, %v", files, m.vms(), err)
			}
		})
	}
}
