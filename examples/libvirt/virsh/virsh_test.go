package virsh_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/examples/libvirt/virsh"
	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
)

// order is a VM that can be made, and its files.
func order(t *testing.T) hypervisor.CreateSpec {
	t.Helper()
	spec := hypervisor.CreateSpec{Octet: 150, Arch: "arm64", RAM: 512 * hypervisor.MiB, Cores: 2,
		MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x96}, Disk: filepath.Join(t.TempDir(), "a disk.raw")}
	spec.Seed = filepath.Join(filepath.Dir(spec.Disk), "seed.iso")
	for _, file := range []string{spec.Disk, spec.Seed} {
		if err := os.WriteFile(file, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return spec
}

// Whatever goes wrong while a VM is made, no copy of its seed stays behind: it
// has the private half of the VM's host key. Delete takes both volumes along.
func TestNothingIsLeft(t *testing.T) {
	for _, f := range []hypervisortest.Fault{hypervisortest.None, hypervisortest.Ignored, hypervisortest.BusyOnce, hypervisortest.Slow} {
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEmulator()
				w := e.world(t)
				w.Break(f)
				b := w.Backend.(hypervisor.Creator)
				made, err := b.Create(t.Context(), order(t), nil)
				e.left(t)
				if err != nil {
					return
				}
				if len(e.volumes) != 2 {
					t.Errorf("%d volumes", len(e.volumes))
				}
				if err := b.Delete(t.Context(), made.UUID); err != nil {
					t.Error(err)
				}
				if len(e.volumes) != 0 {
					t.Errorf("after Delete: %d volumes", len(e.volumes))
				}
			})
		})
	}
}

// A Create that is cancelled in the middle takes away what it copied.
func TestCancelledCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmulator()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := virsh.New(virsh.Config{Run: func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			res, err := e.Run(ctx, c)
			if c.Argv[4] == "vol-upload" && strings.HasSuffix(c.Argv[6], "-seed.raw") {
				cancel()
				return res, ctx.Err()
			}
			return res, err
		}})
		made, err := b.Create(ctx, order(t), nil)
		if !errors.Is(err, context.Canceled) || made.UUID != "" || len(e.volumes) != 0 {
			t.Errorf("Create = %+v, %v, and %d volumes are left", made, err, len(e.volumes))
		}
	})
}

// A Detach that was stopped after the drive was unplugged is finished by the next.
func TestDetachGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEmulator()
		b := e.world(t).Backend.(hypervisor.Creator)
		made, err := b.Create(t.Context(), order(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		seed, err := b.Seed(t.Context(), made.UUID)
		if err != nil {
			t.Fatal(err)
		}
		e.domains[0].disks = e.domains[0].disks[:1]
		if err := b.Detach(t.Context(), made.UUID, seed); err != nil || len(e.volumes) != 1 {
			t.Errorf("Detach = %v, and there are %d volumes", err, len(e.volumes))
		}
		for _, drive := range []string{"", "vdb", "/", "nowhere/x"} {
			if err := b.Detach(t.Context(), made.UUID, drive); err == nil {
				t.Errorf("Detach(%q) succeeded", drive)
			}
		}
	})
}

// What is told to virsh, word for word, and what a name of a network is quoted
// like.
func TestDefinition(t *testing.T) {
	var text []byte
	var argv [][]string
	b := virsh.New(virsh.Config{Network: `o'dd "<&>`, Pool: "-p", Type: "qemu", URI: "qemu+ssh://there/system",
		Run: func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			argv = append(argv, c.Argv[3:])
			switch c.Argv[4] {
			case "net-dumpxml":
				return hypervisor.Result{Stdout: []byte("<network><ip address='10.0.7.1' prefix='24'/></network>")}, nil
			case "define":
				text = c.Stdin
			}
			return hypervisor.Result{Stdout: []byte("end")}, nil
		}})
	synctest.Test(t, func(t *testing.T) {
		if _, err := b.Create(t.Context(), order(t), nil); err == nil {
			t.Error("a VM that is not listed was made")
		}
	})
	for _, want := range []string{`<domain type="qemu">`, "<name>mpd-150</name>", `<memory unit="MiB">512</memory>`, "<vcpu>2</vcpu>",
		`<os firmware="efi">`, `<type arch="aarch64" machine="virt">hvm</type>`, "<acpi></acpi>", `<source pool="-p" volume="mpd-150-`,
		`-seed.raw"></source>`, `<source network="o&#39;dd &#34;&lt;&amp;&gt;"></source>`, `<mac address="52:54:00:00:00:96"></mac>`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	want := []string{"qemu+ssh://there/system", "vol-create-as", "--pool=-p", "--format=raw", "--allocation=0"}
	i := slices.IndexFunc(argv, func(a []string) bool { return a[1] == "vol-create-as" })
	for _, word := range want {
		if i < 0 || !slices.Contains(argv[i], word) {
			t.Errorf("no %s in %q", word, argv)
		}
	}
}

func TestRefusals(t *testing.T) {
	e := newEmulator()
	b := e.world(t).Backend.(hypervisor.Creator)
	for name, change := range map[string]func(s *hypervisor.CreateSpec){
		"octet": func(s *hypervisor.CreateSpec) { s.Octet = 99 }, "architecture": func(s *hypervisor.CreateSpec) { s.Arch = "riscv64" },
		"size": func(s *hypervisor.CreateSpec) { s.RAM++ }, "number of cores": func(s *hypervisor.CreateSpec) { s.Cores = 0 },
		"MAC": func(s *hypervisor.CreateSpec) { s.MAC = s.MAC[:5] }, "path": func(s *hypervisor.CreateSpec) { s.Seed = "seed" },
	} {
		spec := order(t)
		change(&spec)
		_, err := b.Create(t.Context(), spec, nil)
		if bad := (*hypervisor.ValueError)(nil); !errors.As(err, &bad) || bad.Kind != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e.calls != 0 {
		t.Errorf("virsh was called %d times", e.calls)
	}
}

// A VM that comes while virsh asks its questions does not make others vanish.
func TestVMsComeAndGo(t *testing.T) {
	e := newEmulator()
	w := e.world(t)
	w.Add(hypervisor.Machine{UUID: one, Name: "a", State: hypervisor.Running})
	calls := 0
	b := virsh.New(virsh.Config{Run: func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		res, err := e.Run(ctx, c)
		if calls++; calls == 1 {
			res.Stdout = []byte(strings.Replace(string(res.Stdout), "Domain: 'a'", "Domain: 'b'", 1))
		}
		return res, err
	}})
	vms, err := b.States(t.Context())
	if err != nil || len(vms) != 1 || vms[0].Name != "a" || calls != 2 {
		t.Errorf("States = %+v, %v after %d calls", vms, err, calls)
	}
}

// A tool's text is cleaned before it is in an error.
func TestErrorsAreClean(t *testing.T) {
	b := virsh.New(virsh.Config{Run: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
		return hypervisor.Result{Stderr: []byte("warning: x\nerror: \x1b]0;evil\x07 no\nerror: " + strings.Repeat("y", 1000) + "\n")}, nil
	}})
	_, err := b.States(t.Context())
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\x07\n") || len(err.Error()) > 400 || strings.Contains(err.Error(), "warning") {
		t.Errorf("%q", err)
	}
}

// Network is what libvirt's description says.
func TestNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"<network><ip address='192.168.122.1' netmask='255.255.255.0'/></network>":                                 "192.168.122.0/24",
		"<network><ip family='ipv6' address='fd00::1' prefix='64'/><ip address='10.0.7.9' prefix='24'/></network>": "10.0.7.0/24",
		"<network><ip address='10.0.0.1' netmask='255.255.0.0'/></network>":                                        "",
		"<network><forward mode='bridge'/></network>":                                                              "",
		"<domain/>": "",
		"":          "",
	} {
		b := virsh.New(virsh.Config{Run: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{Stdout: []byte(text)}, nil
		}})
		p, err := b.Network(t.Context())
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("%s: %v, %v; want %q", text, p, err, want)
		}
	}
	b := virsh.New(virsh.Config{Run: func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		return result(fails("error: failed to get network 'nope'\nerror: Network not found: no network with matching name 'nope'\n")), nil
	}})
	if _, err := b.Network(t.Context()); !errors.Is(err, hypervisor.ErrNetwork) {
		t.Errorf("a network that is not there: %v", err)
	}
}

const one = "5c0ffee0-0001-4d1e-8b00-0123456789ab"

// What any virsh may print is an error, or VMs with UUIDs and states.
func FuzzStates(f *testing.F) {
	f.Add(recorded)
	f.Add("")
	f.Add("end")
	f.Add(one + " end\nDomain: 'end'\n  state.state=7\n\nend")
	f.Add(one + " end\nDomain: 'end'\n  state.state=\x1f\n\nend")
	f.Add(one + " a' \nDomain: 'a' '\n  state.state=3\n  state.reason=11\n\nend")
	f.Add(one + "\n" + one + " x\nDomain: 'x'\n  state.state=5\n\nend\nend")
	f.Fuzz(func(t *testing.T, text string) {
		b := virsh.New(virsh.Config{Run: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{Stdout: []byte(text)}, nil
		}})
		vms, err := b.States(t.Context())
		if err != nil && vms != nil {
			t.Fatalf("%v beside %v", vms, err)
		}
		for _, vm := range vms {
			if len(vm.UUID) != 36 || vm.Name == "" || vm.State == "" || strings.Contains(vm.Name, "\n") {
				t.Fatalf("%q: %+v", text, vm)
			}
			if !strings.Contains(text, vm.UUID+" "+vm.Name+"\n") || !strings.Contains(text, "Domain: '"+vm.Name+"'") {
				t.Fatalf("%q: where is %+v?", text, vm)
			}
		}
		if _, err := b.Locate(t.Context(), hypervisor.Query{Octet: 150}); err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Fatalf("%q", err)
		}
	})
}

// recorded is what virsh 9.0.0 of Debian 12 printed.
const recorded = `11111111-1111-4111-8111-111111111111  a  b 
11111111-1111-4111-8111-111111111112 mpd-150

11111111-1111-4111-8111-111111111112

Domain: ' a  b '
  state.state=1
  state.reason=1

Domain: 'mpd-150'
  state.state=5
  state.reason=5

end`

func TestRecorded(t *testing.T) {
	b := virsh.New(virsh.Config{Run: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
		return hypervisor.Result{Stdout: []byte(recorded)}, nil
	}})
	vms, err := b.States(t.Context())
	want := []hypervisor.Machine{
		{UUID: "11111111-1111-4111-8111-111111111111", Name: " a  b ", State: hypervisor.Running},
		{UUID: "11111111-1111-4111-8111-111111111112", Name: "mpd-150", State: hypervisor.Suspended},
	}
	if err != nil || !slices.Equal(vms, want) {
		t.Errorf("States = %+v, %v; want %+v", vms, err, want)
	}
}
