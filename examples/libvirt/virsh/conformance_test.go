package virsh_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/examples/libvirt/virsh"
	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
)

// The real libvirtd is asked the same in the end-to-end tests.
func TestConformance(t *testing.T) {
	hypervisortest.Run(t, hypervisortest.Harness{
		UniqueNames: true,
		States: []hypervisor.State{hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused,
			hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending},
		New: func(t *testing.T) hypervisortest.World { return newEmulator().world(t) },
	})
}

// numbers are libvirt's for a state, its reason, and the state in which one of
// transition ends.
func numbers(s hypervisor.State) (state, reason, next string) {
	switch s {
	case hypervisor.Running:
		return "1", "1", ""
	case hypervisor.Stopped, hypervisor.Suspended:
		return "5", "0", ""
	case hypervisor.Paused:
		return "3", "1", ""
	case hypervisor.Starting:
		return "3", "11", "1"
	case hypervisor.Stopping:
		return "4", "1", "5"
	case hypervisor.Suspending:
		return "3", "3", "5"
	}
	return string(s), "0", ""
}

// state is the truth about a domain, for VMs that no fault has touched.
func (g *guest) truth() hypervisor.State {
	for _, s := range []hypervisor.State{hypervisor.Suspended, hypervisor.Starting, hypervisor.Suspending, hypervisor.Running,
		hypervisor.Stopped, hypervisor.Stopping} {
		state, reason, _ := numbers(s)
		if g.state == state && (g.state != "3" || g.reason == reason) && g.saved == (s == hypervisor.Suspended) {
			return s
		}
	}
	if g.state == "3" {
		return hypervisor.Paused
	}
	return hypervisor.State(g.state)
}

func (e *emulator) world(t *testing.T) hypervisortest.World {
	find := func(uuid string) *guest {
		i := slices.IndexFunc(e.domains, func(g *guest) bool { return g.uuid == uuid })
		if i < 0 {
			t.Fatalf("there is no domain %s", uuid)
		}
		e.domains[i].pass()
		return e.domains[i]
	}
	edit := func(uuid string, f func(g *guest)) {
		e.mu.Lock()
		defer e.mu.Unlock()
		f(find(uuid))
	}
	return hypervisortest.World{
		Backend: virsh.New(virsh.Config{Run: e.Run}),
		Add: func(vm hypervisor.Machine) string {
			e.mu.Lock()
			defer e.mu.Unlock()
			g := &guest{uuid: vm.UUID, name: vm.Name}
			g.state, g.reason, _ = numbers(vm.State)
			if vm.Addr.IsValid() {
				g.lease = vm.Addr.String()
			}
			e.domains = append(e.domains, g)
			return vm.UUID
		},
		Look: func() (vms []hypervisor.Machine) {
			e.mu.Lock()
			defer e.mu.Unlock()
			for _, g := range slices.Clone(e.domains) {
				g.pass()
			}
			for _, g := range e.domains {
				vms = append(vms, hypervisor.Machine{UUID: g.uuid, Name: g.name, State: g.truth()})
			}
			return vms
		},
		SetState: func(uuid string, s hypervisor.State) {
			edit(uuid, func(g *guest) {
				next := ""
				g.state, g.reason, next = numbers(s)
				g.saved, g.at = s == hypervisor.Suspended, time.Now().Add(20*time.Second)
				g.then = func() { g.state, g.reason, g.saved = next, "1", s == hypervisor.Suspending }
				if next == "" {
					g.then = nil
				}
			})
		},
		Rename: func(uuid, name string) { edit(uuid, func(g *guest) { g.name = name }) },
		Remove: func(uuid string) {
			edit(uuid, func(g *guest) { e.domains = slices.DeleteFunc(e.domains, func(o *guest) bool { return o == g }) })
		},
		Sizes: func(uuid string) (ram, disk hypervisor.Size) {
			edit(uuid, func(g *guest) {
				ram, disk = hypervisor.Size(g.ram)*hypervisor.MiB, hypervisor.Size(len(e.volumes[g.disks[0].volume]))
			})
			return ram, disk
		},
		Drives: func(uuid string) (ids []string) {
			edit(uuid, func(g *guest) {
				for _, d := range g.disks {
					ids = append(ids, "default/"+d.volume)
				}
			})
			return ids
		},
		MAC: func(uuid string) (mac net.HardwareAddr) {
			edit(uuid, func(g *guest) { mac, _ = net.ParseMAC(g.mac) })
			return mac
		},
		Deafen: func(uuid string) { edit(uuid, func(g *guest) { g.deaf = true }) },
		Calls: func() int {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.calls
		},
		ServiceRuns: func() bool { return e.fault != hypervisortest.ServiceDown },
		Break: func(f hypervisortest.Fault) bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.fault, e.busy = f, f == hypervisortest.BusyOnce
			return f != hypervisortest.SizesRefused
		},
	}
}
