package hypervisortest

import (
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// harness is that of the reference backend, with or without a mistake.
func harness(broken func(b memory, w *wrong)) Harness {
	return Harness{
		Renames: true,
		New: func(*testing.T) World {
			tool := &memtool{}
			w := &wrong{memory: memory{tool}}
			if broken != nil {
				broken(w.memory, w)
			}
			return tool.world(w)
		},
	}
}

// The reference passes, and with a World that can do all there is nothing to
// skip.
func TestReference(t *testing.T) {
	Run(t, Harness{Renames: true, New: func(*testing.T) World {
		tool := &memtool{}
		return tool.world(memory{tool})
	}})
}

// The type that the wrong backends are made of passes, too, as long as it has
// no mistake: what fails below is the mistake.
func TestReferenceWithoutMistake(t *testing.T) { Run(t, harness(nil)) }

// A World with the least passes: all that it cannot do is skipped.
func TestLittleWorld(t *testing.T) {
	Run(t, Harness{NoAddresses: true, UniqueNames: true, DeafGuests: true, States: []hypervisor.State{hypervisor.Running, hypervisor.Stopped}, New: func(*testing.T) World {
		tool := &memtool{}
		all := tool.world(memory{tool})
		return World{Backend: all.Backend, Look: all.Look, Add: func(vm hypervisor.Machine) string {
			defer all.Deafen(vm.UUID)
			return all.Add(vm)
		}}
	}})
}

// On a real clock the suite does not need a bubble.
func TestRealTime(t *testing.T) {
	Run(t, Harness{RealTime: true, New: func(*testing.T) World {
		tool := &memtool{}
		w := tool.world(memory{tool})
		w.Break = func(f Fault) bool {
			tool.fault = f
			return f != Hang && f != Slow // these two would take their time here
		}
		return w
	}})
}
