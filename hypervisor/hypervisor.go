// Package hypervisor says what mpd-virt needs of a program that runs VMs. Those
// who only want to set up and use VMs need package mpdvirt, not this one.
//
// # Writing a backend
//
// A backend is a type with the methods of [Hypervisor] and, where the program
// behind it can do more, those of the small interfaces beside it: a backend is
// exactly what its methods say. A verb that needs more is refused.
//
//   - [Creator] makes a VM from a disk and a seed, [Cloner] from a template.
//   - [Lifecycle] turns VMs on and off and destroys them.
//   - [Adopter] makes a VM that was found to one of ours, [Resizer] changes its
//     memory and disk.
//   - [Addresser], [Inspector] and [Versioner] tell more than the core does.
//   - [Rehearser] lets plans show its commands. Of a backend that is none they
//     show the methods that would be called.
//
// A new backend needs one package of its own and one place in the list that is
// given to mpdvirt.Config.Backends. Package hypervisortest then checks it
// against each sentence of the comments here; its example is a backend with the
// core alone, and examples/libvirt in this module one with most of the rest.
//
// # The contract in short
//
// Methods may be called at the same time, unless their comment says otherwise.
// ctx ends a call promptly. A method that starts an outside tool bounds it, by
// [DefaultLimit] if nothing else is said. Errors are wrapped with what failed on
// what, and are one of the Err values here where a caller decides by it; "cannot
// tell" is an error, never an empty answer. An error with a method Hint() string
// tells people the next step: a sentence, or a command on a line of its own.
//
// # Values
//
// The package also holds the values that backends and the SDK share: [Octet],
// [User], [Size], [State], [Machine], and [Runner], through which a backend
// starts its outside tools so that tests can play them. What a Parse function
// reads, the String of its result reads back to.
package hypervisor

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Errors that backends return, wrapped with what failed on what.
var (
	// ErrToolMissing: the backend's outside tool is not installed.
	ErrToolMissing = errors.New("tool not installed")
	// ErrNoMachine: the hypervisor has no such VM. It is never used for "the
	// tool did not answer".
	ErrNoMachine = errors.New("no such VM")
	// ErrAmbiguous: more than one VM fits.
	ErrAmbiguous = errors.New("more than one VM fits")
	// ErrDrift: the VM that has the name or address is not the one recorded.
	ErrDrift = errors.New("another VM than the one recorded")
	// ErrTaken: the name or the address of a VM to be made belongs to another
	// one, also if its name differs only in case.
	ErrTaken = errors.New("taken by another VM")
	// ErrNoTemplate: there is no such template. The text lists those that are.
	ErrNoTemplate = errors.New("no such template")
	// ErrState: the VM is in a state, perhaps one that is not known, in which
	// the action is refused.
	ErrState = errors.New("not possible in the VM's state")
	// ErrService: the tool is there, but the service behind it does not answer.
	ErrService = errors.New("service not running")
	// ErrLicense: the licence or the edition does not allow it.
	ErrLicense = errors.New("not licensed")
	// ErrNetwork: the network in which the VMs get their addresses is missing
	// or not as it must be.
	ErrNetwork = errors.New("network not usable")
)

// State is what a hypervisor says of a VM. The constants are all that
// mpd-virt acts on; any other text is an unknown word of the tool, shown as it
// is, and destructive actions refuse on it. The zero value means "not asked"
// or "this backend has no states".
type State string

// The states that mpd-virt knows.
const (
	Running    State = "running"
	Stopped    State = "stopped"
	Suspended  State = "suspended" // memory saved to disk
	Paused     State = "paused"    // memory kept in RAM
	Starting   State = "starting"
	Stopping   State = "stopping"
	Suspending State = "suspending"
	Resuming   State = "resuming"
	Missing    State = "missing" // the hypervisor has no such VM any more
)

// Known says whether s is one of the package's constants; the zero value is not.
func (s State) Known() bool {
	switch s {
	case Running, Stopped, Suspended, Paused, Starting, Stopping, Suspending, Resuming, Missing:
		return true
	}
	return false
}

// Machine is a VM as its hypervisor sees it.
type Machine struct {
	UUID  string     // as the hypervisor writes it; "" if it has none
	Name  string     // the hypervisor's name of it; "" if it has none
	State State      // as of the call that returned it
	Addr  netip.Addr // the guest's address; invalid if not known or not asked for
}

// Query says which VM Locate shall find.
type Query struct {
	Octet Octet      // always valid
	UUID  string     // if known, decides alone
	Addr  netip.Addr // if valid, the VM may also be found by this address
}

// Hypervisor is what every backend can do.
//
// Methods may be called at the same time. They end soon after ctx ends, keep
// no VM state between calls, ask nobody, and never change a VM.
type Hypervisor interface {
	// Name is the word that --backend takes: ASCII lower case, constant.
	Name() string

	// Network is the network in which the VMs get their canonical addresses: an
	// IPv4 /24, since the octet is the last byte of an address in it.
	// The zero Prefix means that the backend has no network of its own: the
	// canonical address is then in the /24 of the address at which the VM was
	// adopted.
	Network(ctx context.Context) (netip.Prefix, error)

	// Available says why the backend cannot be used on this machine, and nil
	// if it can. A missing tool is ErrToolMissing. It may start the tool but
	// must not start the hypervisor.
	Available(ctx context.Context) error

	// Locate finds one VM: by UUID if the query has one, else by the name
	// mpd-NNN, else by the address. ErrNoMachine if none fits, ErrAmbiguous
	// if several do. Machine.Addr is the guest's address in the backend's
	// network, as far as the hypervisor knows it by now.
	Locate(ctx context.Context, q Query) (Machine, error)

	// States returns all VMs of the hypervisor with one call of its tool. An
	// answer that cannot be read is an error, never an empty list. A backend
	// without states returns nil, nil.
	States(ctx context.Context) ([]Machine, error)
}

// CreateSpec says what VM a Creator makes. There are no defaults.
type CreateSpec struct {
	Octet Octet
	Arch  string           // "arm64" or "amd64", as runtime.GOARCH: this machine's own
	RAM   Size             // whole MiB
	Cores int              // from 1
	MAC   net.HardwareAddr // of the network card, by which the seed finds it; six bytes, of one machine
	// Disk and Seed are absolute paths of raw disks. The disk has the size of the
	// file. Both are copied: they may be deleted when Create has returned.
	Disk, Seed string
}

// Creator is a backend that makes a VM from nothing but a disk with an
// installed system and a seed, the small second disk from which the system's
// first boot learns who it is. It is a Lifecycle, too: whoever creates a VM
// starts it next. The guest sees both disks without more than Debian's kernel
// for clouds has: virtio.
type Creator interface {
	Lifecycle

	// CanCreate says why Create would be refused, without making anything:
	// ErrTaken, or what Available says.
	CanCreate(ctx context.Context, o Octet) error

	// Create makes the VM mpd-NNN and leaves it stopped. It checks what
	// CanCreate checks. If the VM was made but something failed after it, Made
	// holds it beside the error. When ctx ends, the tool is ended, and what it
	// left is the caller's to find by Locate. progress is as with
	// Cloner.Clone.
	Create(ctx context.Context, spec CreateSpec, progress func(string)) (Made, error)

	// Seed names the drive with the seed, of a VM that Create made and that
	// was not changed since. ErrNoMachine if there is no such VM.
	Seed(ctx context.Context, uuid string) (drive string, err error)

	// Detach takes exactly that drive from the VM and destroys it; all others
	// stay. A drive that is gone already is fine. ErrState if the VM is not
	// stopped. After an error the drive must be taken for attached.
	Detach(ctx context.Context, uuid, drive string) error

	// Shutdown asks the guest to shut down and waits until it has; a stopped
	// VM is fine. It never cuts the power: a guest that does not shut down in
	// time is an error, and runs on. ErrState if the VM's state is not known.
	Shutdown(ctx context.Context, uuid string) error
}

// CloneSpec says what VM a Cloner makes.
type CloneSpec struct {
	Octet    Octet
	Template string // name of an existing template
	Linked   bool   // share the template's disk instead of copying it
	RAM      Size   // zero: as the template
	Disk     Size   // zero: as the template
}

// Made is a VM that Clone or Create made. The zero value is that none was made.
type Made struct {
	Machine
	// Warnings are for people: what of the spec could not be had.
	Warnings []string
}

// Cloner is a backend that makes a VM from a template. It is a Lifecycle, too:
// whoever clones a VM starts it next.
type Cloner interface {
	Lifecycle

	// CanClone says why Clone would be refused, without making anything:
	// ErrTaken, ErrNoTemplate, or what Available says.
	CanClone(ctx context.Context, spec CloneSpec) error

	// Clone makes the VM mpd-NNN and leaves it stopped. It checks what CanClone
	// checks. A size that the hypervisor refuses is a warning, not an error. If
	// the VM was made but something failed after it, Made holds it beside the
	// error. When ctx ends, the tool is ended, and what it left is the caller's
	// to find by Locate. progress, if not nil, gets lines for people while it
	// runs, from one goroutine at a time and none after the return. Two clones
	// of one template must not run at the same time: the caller sees to that.
	Clone(ctx context.Context, spec CloneSpec, progress func(string)) (Made, error)
}

// Resizer is a Cloner that sets the sizes of a VM also when it was made before,
// by a Clone that was interrupted.
type Resizer interface {
	// Resize gives the stopped VM the sizes of the spec, and leaves those that
	// it has. A size that the hypervisor refuses is a warning, not an error.
	// progress is as with Clone.
	Resize(ctx context.Context, uuid string, spec CloneSpec, progress func(string)) (warnings []string, err error)
}

// Lifecycle is a backend that turns VMs on and off and destroys them. A VM is
// named by the UUID that was recorded when it was made or adopted; if the name
// mpd-NNN now belongs to another VM, ErrDrift.
//
// Success is the state read back, not the tool's word.
type Lifecycle interface {
	// Start brings the VM to Running, from Stopped, Suspended and Paused; a
	// running one is fine. ErrState if its state is not known.
	Start(ctx context.Context, uuid string) error
	// Suspend saves the VM's memory and stops it; a VM that does not run is
	// fine. ErrState if its state is not known.
	Suspend(ctx context.Context, uuid string) error
	// Kill cuts the VM's power; a stopped VM is fine, a suspended one loses its
	// saved memory. ErrState if its state is not known.
	Kill(ctx context.Context, uuid string) error
	// Delete destroys the VM and its disk in any known state; a VM that is
	// already gone is fine. ErrState if its state is not known.
	Delete(ctx context.Context, uuid string) error
}

// NilUUID stands, in a rehearsal, for the UUID that a VM will have which is not
// made yet. No VM has it (RFC 9562, section 5.9).
const NilUUID = "00000000-0000-0000-0000-000000000000"

// Rehearser is a backend that can say what its methods would do, for those who
// want to see the plan of a verb before it runs.
type Rehearser interface {
	// Rehearse returns a backend with the same capabilities, Rehearser among them,
	// that changes nothing. It asks its tool as this one does; each command that
	// would change something it hands to tell, one at a time and in the order in
	// which they would run, and goes on as if the command had done what it should.
	// So its methods tell what those of this one would run if nothing goes wrong,
	// refuse what they would refuse, and see in their answers what was told before.
	// A VM that Create or Clone would make has NilUUID, and no address; the seed of
	// a created one is a drive of some name. The files of a CreateSpec need not be
	// there. A Resizer answers without warnings.
	//
	// It is good for one course of actions on one VM, and is then dropped.
	Rehearse(tell func(Command)) Hypervisor
}

// Finding is something about a hypervisor that should be changed, although the
// backend works as it is.
type Finding struct {
	Text   string   // what was found, for people
	Advice string   // what to do, for people; never empty
	Fix    []string // the argument list of the command that does it; nil if there is none
	Root   bool     // Fix needs root
}

// Inspector is a backend that looks for what may go wrong later.
type Inspector interface {
	// Inspect returns what should be changed, none if all is well. It changes
	// nothing.
	Inspect(ctx context.Context) ([]Finding, error)
}

// Addresser is a backend that can say which VMs have an address: two can, if
// their system was copied with it.
type Addresser interface {
	// At returns the VMs that tell the address now.
	At(ctx context.Context, addr netip.Addr) ([]Machine, error)
}

// Adopter is a backend that wants to know when an adopted VM has its
// canonical address, for instance to rename it.
type Adopter interface {
	// Adopted is called after the canonical address is live, and again by a
	// later setup: it must be safe to repeat. It may restart the VM.
	Adopted(ctx context.Context, o Octet, m Machine) error
}
