package hypervisortest

import (
	"net"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Harness tells Run about the backend under test. Only New is needed; the
// other fields are honest differences, and their zero values are those of a
// hypervisor that can do everything.
type Harness struct {
	// New makes a hypervisor without VMs and a backend over it, for one case.
	// It is called once in each case, in the case's bubble, and once before all
	// to see the backend's methods; t.Cleanup is the place to end what it started.
	// Backends of all calls have the same type.
	New func(t *testing.T) World

	// Stateless says that the backend has nobody to ask: it knows no VMs and
	// no states, and Locate believes the address that it is given.
	Stateless bool

	// States are the states in which the hypervisor can have a VM; nil is all
	// that package hypervisor knows, Missing aside.
	States []hypervisor.State

	// UniqueNames says that two VMs of the hypervisor never have one name.
	UniqueNames bool

	// NoAddresses says that the hypervisor does not know its guests' addresses.
	NoAddresses bool

	// DeafGuests says that no system runs in the VMs that would shut down when it
	// is asked to.
	DeafGuests bool

	// Renames says that Adopted gives the VM the name mpd-NNN.
	Renames bool

	// RealTime runs the cases outside of a bubble, for a tool that is a real
	// process: there a fake clock would stand still. Cases that wait for a
	// backend's own time limits are skipped.
	RealTime bool
}

// World is one hypervisor, the backend over it, and what the suite may do with
// the hypervisor behind the backend's back. A nil func is something that cannot
// be done here: the cases that need it are skipped. The suite calls the funcs
// from one goroutine, but the backend may be at work at the same time.
type World struct {
	// Backend is the backend under test.
	Backend hypervisor.Hypervisor

	// Add gives the hypervisor a VM. UUID is in the usual form of 32 hex
	// digits and four hyphens, and State is Running or Stopped, unless there is a
	// SetState. Name may hold blanks, quotes and any letters, and be that of
	// another VM, unless Harness.UniqueNames. Addr, if valid, is an address in the
	// backend's network that the guest has whenever it runs. A hypervisor that
	// chooses or writes UUIDs in its own way returns what the backend shall
	// see; others return vm.UUID. Needed unless the backend is Stateless.
	Add func(vm hypervisor.Machine) (uuid string)

	// Look is the truth: all VMs, without templates, not seen through the
	// backend and not touched by faults. Addresses may be left out. Needed
	// unless the backend is Stateless.
	Look func() []hypervisor.Machine

	// SetState brings a VM into a state, also into one whose word is unknown
	// to package hypervisor. From a state of transition (starting, stopping,
	// suspending, resuming) the VM may go on by itself.
	SetState func(uuid string, s hypervisor.State)

	// Rename and Remove are what another program may do to a VM meanwhile.
	Rename func(uuid, name string)
	Remove func(uuid string)

	// AddTemplate gives the hypervisor a template of a name from which a Cloner can
	// clone.
	AddTemplate func(name string)

	// Sizes are the sizes of a VM's memory and of the disk with its system, in
	// bytes.
	Sizes func(uuid string) (ram, disk hypervisor.Size)

	// Drives are the drives of a VM as the hypervisor has them, each by the name
	// that a Creator's Seed would give it. The first is the disk with the system.
	Drives func(uuid string) []string

	// MAC is the address of a VM's network card.
	MAC func(uuid string) net.HardwareAddr

	// Deafen makes the guest of a VM that runs ignore that it is asked to shut
	// down. All others do it, unless Harness.DeafGuests.
	Deafen func(uuid string)

	// Calls is how often the outside tool was started so far.
	Calls func() int

	// ServiceRuns says whether the hypervisor itself runs.
	ServiceRuns func() bool

	// Break makes the tool misbehave from now on, in this way alone; None
	// mends it. It returns false if that cannot be played.
	Break func(f Fault) bool
}

// Fault is a way in which an outside tool misbehaves. The zero value is None.
type Fault int

// The faults that World.Break is asked for.
const (
	// None is a tool that works.
	None Fault = iota
	// ToolMissing: the tool is not installed.
	ToolMissing
	// ServiceDown: the tool is there, but says that the service behind it does
	// not run.
	ServiceDown
	// Garbage: the tool does nothing, prints what nobody can read, and says
	// that all is well.
	Garbage
	// Empty: the tool does nothing, prints nothing, and says that all is well.
	Empty
	// Partial: the tool does nothing, stops in the middle of its answer, and fails.
	Partial
	// Failing: the tool does nothing and fails with a reason that nobody knows.
	Failing
	// Hang: the tool does nothing and does not end until it is ended.
	Hang
	// Ignored: the tool answers questions as ever, says of each action that it
	// is done, and does nothing.
	Ignored
	// Slow: actions take effect only some seconds after the tool said that they
	// are done.
	Slow
	// BusyOnce: the next action is refused because the VM is busy; the rest
	// works.
	BusyOnce
	// NoStart: no VM can be started or resumed; the rest works.
	NoStart
	// SizesRefused: the sizes of VMs cannot be changed; the rest works.
	SizesRefused
	// SilentAfterMaking: once a VM was made, the tool only fails.
	SilentAfterMaking
)

// String is a short description, by which cases are named.
func (f Fault) String() string {
	switch f {
	case None:
		return "tool works"
	case ToolMissing:
		return "tool missing"
	case ServiceDown:
		return "service down"
	case Garbage:
		return "tool prints garbage"
	case Empty:
		return "tool prints nothing"
	case Partial:
		return "tool stops in its answer"
	case Failing:
		return "tool fails"
	case Hang:
		return "tool hangs"
	case Ignored:
		return "tool ignores actions"
	case Slow:
		return "tool is slow"
	case BusyOnce:
		return "VM is busy once"
	case NoStart:
		return "VMs cannot be started"
	case SizesRefused:
		return "sizes are refused"
	case SilentAfterMaking:
		return "tool fails once a VM was made"
	}
	return "unknown fault"
}

// unanswered are the faults with which the tool tells nothing about VMs. It is
// a func because packages keep no variables.
func unanswered() []Fault {
	return []Fault{ToolMissing, ServiceDown, Garbage, Empty, Partial, Failing}
}
