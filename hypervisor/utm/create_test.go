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
func (m *mac) spec(folder string) hypervisor.CreateSpec {
	m.Helper()
	dir := filepath.Join(m.TempDir(), folder)
	m.must(os.MkdirAll(dir, 0o700))
	s := hypervisor.CreateSpec{Octet: 150, Arch: "arm64", RAM: 4 * hypervisor.GiB, Cores: 2, MAC: net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3},
		Disk: filepath.Join(dir, "disk.raw"), Seed: filepath.Join(dir, "seed.iso")}
	m.must(os.WriteFile(s.Disk, make([]byte, 3<<20), 0o600))
	m.must(os.WriteFile(s.Seed, []byte("seed"), 0o600))
	return s
}

// create is Create without its progress.
func (m *mac) create(s hypervisor.CreateSpec) (hypervisor.Machine, error) {
	made, err := m.backend.Create(m.Context(), s, nil)
	if len(made.Warnings) > 0 {
		m.Errorf("warnings %q", made.Warnings)
	}
	return made.Machine, err
}

func TestCreate(t *testing.T) {
	for arch, word := range map[string]string{"arm64": "aarch64", "amd64": "x86_64"} {
		t.Run(arch, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{})
			s := m.spec("150")
			s.Arch = arch
			got, err := m.create(s)
			vms := m.vms()
			if err != nil || len(vms) != 1 || got.UUID != vms[0].UUID || got.Name != "mpd-150" || got.State != hypervisor.Stopped {
				t.Fatalf("Create = %+v, %v; VMs %+v", got, err, vms)
			}
			v := vms[0]
			if v.RAM != 4096 || v.Cores != 2 || v.MAC != "52:54:00:01:02:03" || v.NIC != "virtio-net-pci" || v.Mode != "shared" || v.Arch != word ||
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
func TestCreateStrangePaths(t *testing.T) {
	for _, folder := range []string{`it's "quoted"`, `back\slash`, "line\nend", "¬ and more", "$(touch x)", "`id`", "\u202eright to left", "tab\there", `" & (do shell script "id") & "`} {
		t.Run(folder, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{})
			s := m.spec(folder)
			if _, err := m.create(s); err != nil {
				t.Fatal(err)
			}
			if d := m.vms()[0].Drives; d[0].Source != s.Disk || d[1].Source != s.Seed {
				t.Errorf("drives %+v, want those of %q", d, s.Disk)
			}
		})
	}
}

func TestCreateRefusesSpec(t *testing.T) {
	for name, change := range map[string]func(s *hypervisor.CreateSpec){
		"no octet":              func(s *hypervisor.CreateSpec) { s.Octet = 0 },
		"an octet too large":    func(s *hypervisor.CreateSpec) { s.Octet = 255 },
		"no architecture":       func(s *hypervisor.CreateSpec) { s.Arch = "" },
		"UTM's own word":        func(s *hypervisor.CreateSpec) { s.Arch = "aarch64" },
		"another architecture":  func(s *hypervisor.CreateSpec) { s.Arch = "riscv64" },
		"no memory":             func(s *hypervisor.CreateSpec) { s.RAM = 0 },
		"memory with a rest":    func(s *hypervisor.CreateSpec) { s.RAM++ },
		"no cores":              func(s *hypervisor.CreateSpec) { s.Cores = 0 },
		"no MAC":                func(s *hypervisor.CreateSpec) { s.MAC = nil },
		"a MAC of a group":      func(s *hypervisor.CreateSpec) { s.MAC = net.HardwareAddr{1, 2, 3, 4, 5, 6} },
		"a relative path":       func(s *hypervisor.CreateSpec) { s.Disk = "disk.raw" },
		"no seed":               func(s *hypervisor.CreateSpec) { s.Seed = "" },
		"a path with NUL":       func(s *hypervisor.CreateSpec) { s.Seed += "\x00" },
		"a path that is broken": func(s *hypervisor.CreateSpec) { s.Seed += "\xff" },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMac(t, utmemu.Settings{})
			s := m.spec("150")
			change(&s)
			var bad *hypervisor.ValueError
			if got, err := m.create(s); !errors.As(err, &bad) || got != (hypervisor.Machine{}) {
				t.Errorf("Create = %+v, %v", got, err)
			}
			if calls, _ := m.emu.Calls(); len(calls) != 0 {
				t.Errorf("calls %q", calls)
			}
		})
	}
}

func TestCreateFaults(t *testing.T) {
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
				got, err := m.create(s)
				if tc.want == nil && tc.says == "" {
					if err != nil || got.Name != "mpd-150" || got.UUID == "" {
						t.Errorf("Create = %+v, %v", got, err)
					}
					return
				}
				if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(hint.Of(err), tc.hint) {
					t.Errorf("Create = %v, hint %q; want %v that says %q with hint %q", err, hint.Of(err), tc.want, tc.says, tc.hint)
				}
				if (got.UUID != "") != tc.named {
					t.Errorf("Machine = %+v", got)
				}
			})
		})
	}
}

// What Available refuses, CanCreate and Create do, too, before a disk is copied.
func TestCanCreate(t *testing.T) {
	version := new(utm.VersionError)
	for _, tc := range []struct {
		name     string
		settings utmemu.Settings
		there    utmemu.VM
		want     error
	}{
		{"all is well", utmemu.Settings{}, utmemu.VM{Name: "mpd-151"}, nil},
		{"name taken", utmemu.Settings{}, utmemu.VM{Name: "mpd-150"}, hypervisor.ErrTaken},
		{"name taken in other letters", utmemu.Settings{}, utmemu.VM{Name: "MPD-150"}, hypervisor.ErrTaken},
		{"no UTM", utmemu.Settings{Absent: true}, utmemu.VM{}, hypervisor.ErrToolMissing},
		{"not permitted", utmemu.Settings{Denied: true}, utmemu.VM{}, fs.ErrPermission},
		{"not running", utmemu.Settings{NotRunning: true}, utmemu.VM{}, hypervisor.ErrService},
		{"too old", utmemu.Settings{Version: "4.6.4"}, utmemu.VM{}, version},
		{"a release that tells no states", utmemu.Settings{Version: "4.7.2", StatusBroken: true}, utmemu.VM{Name: "mpd-151"}, version},
		{"a release that tells them all the same", utmemu.Settings{Version: "4.7.1"}, utmemu.VM{Name: "mpd-151"}, nil},
		{"a release that perhaps tells them", utmemu.Settings{Version: "4.7.1"}, utmemu.VM{}, version},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMac(t, tc.settings)
			if tc.there.Name != "" {
				_, err := m.emu.AddVM(tc.there)
				m.must(err)
			}
			before, _ := m.emu.Files()
			for name, do := range map[string]func() error{
				"CanCreate": func() error { return m.backend.CanCreate(t.Context(), 150) },
				"Create":    func() error { _, err := m.create(m.spec("150")); return err },
			} {
				if name == "Create" && tc.want == nil {
					continue
				}
				err := do()
				ok := errors.Is(err, tc.want)
				if tc.want == version {
					ok = errors.As(err, new(*utm.VersionError)) && strings.Contains(hint.Of(err), "update UTM")
				}
				if !ok || err != nil && !strings.Contains(err.Error(), "mpd-150") {
					t.Errorf("%s = %v, want %v", name, err, tc.want)
				}
			}
			if after, _ := m.emu.Files(); !slices.Equal(before, after) {
				t.Errorf("files %q, and then %q", before, after)
			}
		})
	}
}

// Progress is lines for people: what UTM does, and when it did not answer.
func TestCreateProgress(t *testing.T) {
	for name, tc := range map[string]struct {
		fault utmemu.Fault
		want  []string // beginnings
	}{
		"all is well":              {utmemu.Fault{}, []string{"UTM copies the disk", "UTM made mpd-150"}},
		"UTM takes long to answer": {utmemu.Fault{Kind: utmemu.FaultEventAfter, Verb: "make", Number: -1712}, []string{"UTM copies the disk", "UTM did not say"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMac(t, utmemu.Settings{})
				if tc.fault.Kind != "" {
					m.inject(tc.fault)
				}
				var got []string
				_, err := m.backend.Create(t.Context(), m.spec("150"), func(line string) { got = append(got, line) })
				m.must(err)
				if !slices.EqualFunc(got, tc.want, strings.HasPrefix) {
					t.Errorf("progress %q, want %q", got, tc.want)
				}
			})
		})
	}
}

// A name that is taken is known before a disk is copied.
func TestCreateTakenCopiesNothing(t *testing.T) {
	m := newMac(t, utmemu.Settings{})
	_, err := m.emu.AddVM(utmemu.VM{Name: "mpd-150"})
	m.must(err)
	before, _ := m.emu.Files()
	_, _ = m.create(m.spec("150"))
	if after, _ := m.emu.Files(); !slices.Equal(before, after) {
		t.Errorf("files %q, and then %q", before, after)
	}
}

// Create ends with its context, at once.
func TestCreateEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Settings{Delay: 1})
		s := m.spec("150")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		begin := time.Now()
		got, err := m.backend.Create(ctx, s, nil)
		if !errors.Is(err, context.Canceled) || got.Machine != (hypervisor.Machine{}) || time.Since(begin) != 5*time.Second {
			t.Errorf("Create = %+v, %v after %v", got, err, time.Since(begin))
		}
	})
}

// From nothing to a VM that runs without its seed, with the times of a Mac, with
// and without utmctl.
func TestWholeLife(t *testing.T) {
	for _, s := range []utmemu.Settings{{Delay: 1}, {Delay: 1, NoUtmctl: true, Localised: true}} {
		synctest.Test(t, func(t *testing.T) {
			m := newMac(t, s)
			made, err := m.create(m.spec("150"))
			m.must(err)
			disk := m.vms()[0].Drives[0]
			seed, err := m.backend.Seed(t.Context(), made.UUID)
			m.must(err)
			m.must(m.backend.Start(t.Context(), made.UUID))
			m.must(m.backend.Shutdown(t.Context(), made.UUID))
			m.must(m.backend.Detach(t.Context(), made.UUID, seed))
			m.must(m.backend.Start(t.Context(), made.UUID))
			v := m.vms()[0]
			if v.State != "started" || len(v.Drives) != 1 || v.Drives[0] != disk {
				t.Errorf("the VM is %+v", v)
			}
			m.must(m.backend.Delete(t.Context(), made.UUID))
			if files, err := m.emu.Files(); err != nil || len(files) != 0 || len(m.vms()) != 0 {
				t.Errorf("left: %q, %v, %v", files, m.vms(), err)
			}
		})
	}
}
