//go:build e2e && linux

package e2e

import (
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mutms/mpd-virt-macos/examples/libvirt/virsh"
	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
	"github.com/mutms/mpd-virt-macos/internal/command"
)

// TestLibvirt: the example of a backend keeps the contract with a real libvirtd
// and real virsh, over VMs that QEMU computes. Nothing boots in those that the
// backend makes; the others have guestROM.
func TestLibvirt(t *testing.T) {
	requireMachine(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the VMs of this test are amd64 ones")
	}
	requirePrograms(t, "libvirtd", "virsh", "qemu-system-x86_64", "dnsmasq")
	t.Parallel()
	d := startLibvirt(t)
	t.Run("names", d.checkNames)
	hypervisortest.Run(t, hypervisortest.Harness{
		UniqueNames: true, RealTime: true,
		States: []hypervisor.State{hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused},
		New:    func(t *testing.T) hypervisortest.World { return d.world(t) },
	})
}

// description is what dumpxml says of a VM.
type description struct {
	Memory struct {
		KiB int64 `xml:",chardata"`
	} `xml:"memory"`
	Disks []struct {
		Pool   string `xml:"pool,attr"`
		Volume string `xml:"volume,attr"`
	} `xml:"devices>disk>source"`
	MAC struct {
		Address string `xml:"address,attr"`
	} `xml:"devices>interface>mac"`
}

func (d *libvirt) describe(t *testing.T, uuid string) (x description) {
	t.Helper()
	if err := xml.Unmarshal([]byte(d.virsh(t, "dumpxml", uuid, "--inactive")), &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// world is this libvirtd without VMs. Its faults are real ones, too: a PATH
// without virsh, a socket on which nobody listens, a program that does not end.
func (d *libvirt) world(t *testing.T) hypervisortest.World {
	select {
	case <-d.ended:
		t.Fatal("libvirtd has ended")
	default:
	}
	d.reset(t)
	t.Cleanup(d.settle)
	calls, fault, real := atomic.Int64{}, hypervisortest.None, command.New(os.Environ()).Run
	run := func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		calls.Add(1)
		d.settle()
		switch fault {
		case hypervisortest.ToolMissing:
			return command.Runner{}.Run(ctx, c)
		case hypervisortest.ServiceDown:
			c.Argv = append([]string{"virsh", "--quiet", "--connect", d.uri + "-nobody"}, c.Argv[4:]...)
		case hypervisortest.Hang:
			c.Argv = []string{"sleep", "600"}
		}
		return real(ctx, c)
	}
	return hypervisortest.World{
		Backend: virsh.New(virsh.Config{Run: run, URI: d.uri, Type: "qemu"}),
		Add: func(vm hypervisor.Machine) string {
			if strings.Contains(vm.Name, "/") {
				t.Skipf("libvirt has no VM called %q", vm.Name)
			}
			mac := fmt.Sprintf("52:54:00:00:%s:%s", vm.UUID[9:11], vm.UUID[11:13])
			if vm.Addr.IsValid() {
				d.lease(t, mac, vm.Addr.String())
			}
			d.add(t, vm, mac)
			return vm.UUID
		},
		Look: func() []hypervisor.Machine { return d.look(t) },
		SetState: func(uuid string, s hypervisor.State) {
			if !s.Known() {
				t.Skipf("no VM of libvirt can be made %s", s)
			}
			d.must(t, d.power(uuid, d.state(t, uuid), s))
		},
		Rename: func(uuid, name string) { // which libvirt does with VMs that are off
			was := d.state(t, uuid)
			d.must(t, d.power(uuid, was, hypervisor.Stopped))
			d.virsh(t, "domrename", uuid, name)
			d.must(t, d.power(uuid, hypervisor.Stopped, was))
		},
		Remove: func(uuid string) {
			d.must(t, d.power(uuid, d.state(t, uuid), hypervisor.Stopped))
			d.virsh(t, "undefine", uuid)
		},
		Sizes: func(uuid string) (ram, disk hypervisor.Size) {
			x := d.describe(t, uuid)
			info, err := os.Stat(filepath.Join(d.dir, "pool", x.Disks[0].Volume))
			if err != nil {
				t.Fatal(err)
			}
			return hypervisor.Size(x.Memory.KiB) << 10, hypervisor.Size(info.Size())
		},
		Drives: func(uuid string) (ids []string) {
			for _, disk := range d.describe(t, uuid).Disks {
				ids = append(ids, disk.Pool+"/"+disk.Volume)
			}
			return ids
		},
		MAC: func(uuid string) net.HardwareAddr {
			mac, err := net.ParseMAC(d.describe(t, uuid).MAC.Address)
			if err != nil {
				t.Fatal(err)
			}
			return mac
		},
		Calls:       func() int { return int(calls.Load()) },
		ServiceRuns: func() bool { return fault != hypervisortest.ServiceDown },
		Break: func(f hypervisortest.Fault) bool {
			fault = f
			return slices.Contains([]hypervisortest.Fault{hypervisortest.None, hypervisortest.ToolMissing, hypervisortest.ServiceDown, hypervisortest.Hang}, f)
		},
	}
}

// checkNames: names with all that libvirt allows in them are read as they are.
func (d *libvirt) checkNames(t *testing.T) {
	w := d.world(t)
	var want []string
	for i, name := range []string{"mpd-150 exist running", `say "hello"`, "it's", `back\slash`, "Übung ☃", "[{}]", "-", " two  spaces ", "Domain: 'x'", "end"} {
		w.Add(hypervisor.Machine{UUID: fmt.Sprintf("5c0ffee0-%04x-4d1e-8b00-0123456789ab", i), Name: name, State: hypervisor.Stopped})
		want = append(want, name)
	}
	vms, err := w.Backend.States(t.Context())
	var got []string
	for _, vm := range vms {
		got = append(got, vm.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("States = %q, %v; want %q", got, err, want)
	}
}
