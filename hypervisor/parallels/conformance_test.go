package parallels_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

// The backend keeps the contract over releases of Parallels with different
// habits.
func TestConformance(t *testing.T) {
	for name, settings := range map[string]prlemu.Settings{
		"at once":     {},
		"as on a Mac": {Delay: 1},
		// It tells addresses only in the list with --full, which Locate asks for
		// when it looks for an address.
		"release 16.5": {NoNetworkBlock: true},
		"old release":  {Noise: true, KeepsSuspended: true, SilentSnapshots: true, EmptyHomes: true, RenameMovesBundle: true},
		"other habits": {UpperUUIDs: true, StartsSuspended: true, StopIsIdempotent: true, AllAddrs: true, StaleAddrs: true, MaskSuffix: true,
			EditionNotice: true, QuotedStatus: true},
	} {
		t.Run(name, func(t *testing.T) {
			hypervisortest.Run(t, hypervisortest.Harness{
				Renames:     true,
				NoAddresses: settings.NoNetworkBlock,
				New:         func(t *testing.T) hypervisortest.World { return newMac(t, settings).world() },
			})
		})
	}
}

// mac is an emulated Parallels Desktop for one case.
type mac struct {
	*testing.T
	emu      *prlemu.Emulator
	settings prlemu.Settings
	silent   bool // after a VM was made
}

func newMac(t *testing.T, s prlemu.Settings) *mac {
	m := &mac{T: t, settings: s}
	emu, err := prlemu.New(prlemu.Options{Settings: s, Hooks: prlemu.Hooks{Cloned: func(prlemu.VM, prlemu.VM) {
		if m.silent {
			m.inject(failing())
		}
	}}})
	m.must(err)
	m.emu = emu
	return m
}

func (m *mac) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *mac) inject(faults ...prlemu.Fault) { m.must(m.emu.Inject(faults...)) }

// seen is a UUID as this release writes it.
func (m *mac) seen(uuid string) string {
	if m.settings.UpperUUIDs {
		return strings.ToUpper(uuid)
	}
	return uuid
}

func (m *mac) world() hypervisortest.World {
	return hypervisortest.World{
		Backend: parallels.New(parallels.Config{Run: m.emu.Runner(), LeaseFile: m.TempDir() + "/none"}),
		Add: func(vm hypervisor.Machine) string {
			v, err := m.emu.AddVM(prlemu.VM{UUID: vm.UUID, Name: vm.Name, State: string(vm.State), IP: vm.Addr, NoTools: !vm.Addr.IsValid()})
			m.must(err)
			return m.seen(v.UUID)
		},
		Look: func() (out []hypervisor.Machine) {
			vms, err := m.emu.VMs()
			m.must(err)
			for _, v := range vms {
				if !v.Template {
					out = append(out, hypervisor.Machine{UUID: m.seen(v.UUID), Name: v.Name, State: hypervisor.State(v.State)})
				}
			}
			return out
		},
		SetState: m.setState,
		Rename:   func(uuid, name string) { m.must(m.emu.Rename(uuid, name)) },
		Remove:   func(uuid string) { m.must(m.emu.Remove(uuid)) },
		AddTemplate: func(name string) {
			_, err := m.emu.AddVM(prlemu.VM{Name: name, Template: true})
			m.must(err)
		},
		Sizes: func(uuid string) (ram, disk hypervisor.Size) {
			v, ok := m.emu.VM(uuid)
			if !ok {
				m.Fatalf("there is no VM %s", uuid)
			}
			return hypervisor.Size(v.RAM) * hypervisor.MiB, hypervisor.Size(v.Disk) * hypervisor.MiB
		},
		Calls: func() int {
			calls, err := m.emu.Calls()
			m.must(err)
			return len(calls)
		},
		ServiceRuns: func() (runs bool) {
			m.must(m.emu.Change(func(s *prlemu.Settings) { runs = !s.ServiceDown }))
			return runs
		},
		Break: m.breakTool,
	}
}

// setState also lets a state of transition pass, as on a Mac.
func (m *mac) setState(uuid string, s hypervisor.State) {
	next := map[hypervisor.State]hypervisor.State{
		hypervisor.Starting: hypervisor.Running, hypervisor.Resuming: hypervisor.Running,
		hypervisor.Stopping: hypervisor.Stopped, hypervisor.Suspending: hypervisor.Suspended,
	}[s]
	m.must(m.emu.SetState(uuid, string(s)))
	if next != "" {
		m.must(m.emu.Edit(uuid, func(v *prlemu.VM) { v.Next, v.Until = string(next), time.Now().Add(20*time.Second) }))
	}
}

func failing() prlemu.Fault { return refusing("") }

// refusing is a refusal whose reason nobody knows.
func refusing(verb string) prlemu.Fault {
	return prlemu.Fault{Kind: prlemu.FaultRefuse, Verb: verb, Text: "Operation failed. Failed to execute the operation.", Times: -1}
}

func (m *mac) breakTool(f hypervisortest.Fault) bool {
	m.silent = f == hypervisortest.SilentAfterMaking
	m.must(m.emu.ClearFaults())
	m.must(m.emu.Change(func(s *prlemu.Settings) {
		s.Absent, s.ServiceDown = f == hypervisortest.ToolMissing, f == hypervisortest.ServiceDown
		s.Delay = m.settings.Delay
		if f == hypervisortest.Slow {
			s.Delay = 2
		}
	}))
	verbs := []string{"start", "resume", "suspend", "pause", "stop", "delete", "set", "clone"}
	switch f {
	case hypervisortest.Garbage:
		m.inject(prlemu.Garbage(""))
	case hypervisortest.Empty:
		m.inject(prlemu.Empty(""))
	case hypervisortest.Partial:
		m.inject(prlemu.Partial(""))
	case hypervisortest.Failing:
		m.inject(failing())
	case hypervisortest.Hang:
		m.inject(prlemu.Hang(""))
	case hypervisortest.Ignored:
		for _, verb := range verbs {
			m.inject(prlemu.NoEffect(verb))
		}
	case hypervisortest.BusyOnce:
		for _, verb := range verbs {
			m.inject(prlemu.Busy(verb, 1))
		}
	case hypervisortest.NoStart:
		m.inject(refusing("start"), refusing("resume"))
	case hypervisortest.SizesRefused:
		m.inject(refusing("set"))
	}
	return true
}
