package utm_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
	"github.com/mutms/mpd-virt-macos/hypervisor/utm"
	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

// The backend keeps the contract with utmctl and without it. NewWords is a
// release that is newer than all we know: those tell an unknown state as
// "unknown", which TestUnknownState has.
func TestConformance(t *testing.T) {
	for name, settings := range map[string]utmemu.Settings{
		"at once":        {NewWords: true},
		"as on a Mac":    {NewWords: true, Delay: 1},
		"Japanese":       {NewWords: true, Localised: true, Bridge: "192.168.66.1"},
		"without utmctl": {NewWords: true, NoUtmctl: true, Delay: 1},
		"utmctl on PATH": {NewWords: true, NoUtmctl: true, OnPath: true},
	} {
		t.Run(name, func(t *testing.T) {
			hypervisortest.Run(t, hypervisortest.Harness{
				NoAddresses: true,
				// UTM has no word for a VM whose memory is saved.
				States: []hypervisor.State{hypervisor.Running, hypervisor.Stopped, hypervisor.Paused,
					hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming},
				New: func(t *testing.T) hypervisortest.World { return newMac(t, settings).world() },
			})
		})
	}
}

// mac is an emulated UTM for one case.
type mac struct {
	*testing.T
	emu      *utmemu.Emulator
	backend  *utm.Backend
	settings utmemu.Settings
	silent   bool // after a VM was made
}

func newMac(t *testing.T, s utmemu.Settings) *mac {
	t.Helper()
	m := &mac{T: t, settings: s}
	emu, err := utmemu.New(utmemu.Options{Settings: s, Hooks: utmemu.Hooks{Made: func(utmemu.VM) {
		if m.silent {
			m.inject(utmemu.Fault{Kind: utmemu.FaultEvent, Times: -1, Number: -10000, Text: "AppleEvent handler failed."})
		}
	}}})
	m.must(err)
	m.emu = emu
	m.backend = utm.New(utm.Config{Run: emu.Runner()})
	return m
}

func (m *mac) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *mac) inject(faults ...utmemu.Fault) { m.Helper(); m.must(m.emu.Inject(faults...)) }

// word is UTM's for a state, and saved whether the memory is on disk then.
func word(s hypervisor.State) (word string, saved bool) {
	switch s {
	case hypervisor.Running:
		return "started", false
	case hypervisor.Suspending:
		return "pausing", true
	}
	return string(s), false
}

// state is the truth about a VM, of which UTM's word is only a part.
func state(v utmemu.VM) hypervisor.State {
	switch {
	case v.State == "started":
		return hypervisor.Running
	case v.State == "pausing":
		return hypervisor.Suspending
	case v.State == "paused" && v.Saved:
		return hypervisor.Suspended
	}
	return hypervisor.State(v.State)
}

func (m *mac) vms() []utmemu.VM {
	m.Helper()
	vms, err := m.emu.VMs()
	m.must(err)
	return vms
}

func (m *mac) vm(uuid string) utmemu.VM {
	m.Helper()
	v, ok := m.emu.VM(uuid)
	if !ok {
		m.Fatalf("there is no VM %s", uuid)
	}
	return v
}

func (m *mac) world() hypervisortest.World {
	return hypervisortest.World{
		Backend: m.backend,
		Add: func(vm hypervisor.Machine) string {
			w, _ := word(vm.State)
			v, err := m.emu.AddVM(utmemu.VM{UUID: vm.UUID, Name: vm.Name, State: w})
			m.must(err)
			return v.UUID
		},
		Look: func() (out []hypervisor.Machine) {
			for _, v := range m.vms() {
				out = append(out, hypervisor.Machine{UUID: v.UUID, Name: v.Name, State: state(v)})
			}
			return out
		},
		SetState: m.setState,
		Rename:   func(uuid, name string) { m.must(m.emu.Edit(uuid, func(v *utmemu.VM) { v.Name = name })) },
		Remove:   func(uuid string) { m.must(m.emu.Remove(uuid)) },
		Sizes: func(uuid string) (ram, disk hypervisor.Size) {
			v := m.vm(uuid)
			return hypervisor.Size(v.RAM) * hypervisor.MiB, hypervisor.Size(v.Drives[0].HostSize) * hypervisor.MiB
		},
		Drives: func(uuid string) (ids []string) {
			for _, d := range m.vm(uuid).Drives {
				ids = append(ids, d.ID)
			}
			return ids
		},
		MAC: func(uuid string) net.HardwareAddr {
			mac, err := net.ParseMAC(m.vm(uuid).MAC)
			m.must(err)
			return mac
		},
		Deafen: func(uuid string) { m.must(m.emu.Edit(uuid, func(v *utmemu.VM) { v.Deaf = true })) },
		Calls: func() int {
			calls, err := m.emu.Calls()
			m.must(err)
			return len(calls)
		},
		ServiceRuns: func() (runs bool) {
			m.must(m.emu.Change(func(s *utmemu.Settings) { runs = !s.NotRunning }))
			return runs
		},
		Break: m.breakTool,
	}
}

// setState also lets a state of transition pass, as on a Mac.
func (m *mac) setState(uuid string, s hypervisor.State) {
	next := map[hypervisor.State]string{
		hypervisor.Starting: "started", hypervisor.Resuming: "started",
		hypervisor.Stopping: "stopped", hypervisor.Suspending: "paused",
	}[s]
	m.must(m.emu.Edit(uuid, func(v *utmemu.VM) {
		v.State, v.Saved = word(s)
		v.Next, v.Until = next, time.Now().Add(20*time.Second)
	}))
}

func (m *mac) breakTool(f hypervisortest.Fault) bool {
	m.must(m.emu.ClearFaults())
	m.silent = f == hypervisortest.SilentAfterMaking
	m.must(m.emu.Change(func(s *utmemu.Settings) {
		s.Absent, s.NotRunning = f == hypervisortest.ToolMissing, f == hypervisortest.ServiceDown
		s.OnPath = m.settings.OnPath && !s.Absent
	}))
	always := func(k utmemu.FaultKind, verbs ...string) {
		for _, verb := range verbs {
			m.inject(utmemu.Fault{Kind: k, Verb: verb, Times: -1, Number: -10000, Text: "AppleEvent handler failed.", After: 3 * time.Second})
		}
	}
	actions := strings.Fields("start suspend kill request delete make detach")
	switch f {
	case hypervisortest.Garbage:
		always(utmemu.FaultGarbage, "")
	case hypervisortest.Empty:
		always(utmemu.FaultEmpty, "")
	case hypervisortest.Partial:
		always(utmemu.FaultPartial, "list")
		always(utmemu.FaultEvent, "")
	case hypervisortest.Failing:
		always(utmemu.FaultEvent, "")
	case hypervisortest.Hang:
		always(utmemu.FaultHang, "")
	case hypervisortest.Ignored:
		always(utmemu.FaultNoEffect, actions...)
	case hypervisortest.Slow:
		always(utmemu.FaultSlow, actions...)
	case hypervisortest.BusyOnce:
		for _, verb := range actions {
			m.inject(utmemu.Fault{Kind: utmemu.FaultEvent, Verb: verb, Number: -609, Text: "Connection is invalid."})
		}
	case hypervisortest.NoStart:
		always(utmemu.FaultEvent, "start")
	}
	return f != hypervisortest.SizesRefused
}
