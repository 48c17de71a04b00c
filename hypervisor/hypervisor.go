// Package hypervisor says what mpd-virt needs of a program that runs VMs.
//
// A backend is a type with the methods of [Hypervisor] and, where the program
// behind it can do more, those of [Creator], [Cloner], [Lifecycle] or
// [Adopter]: a backend is exactly what its methods say. A new one needs one
// package of its own and one place in the list that is given to
// mpdvirt.Config.Backends.
//
// The package also holds the values that backends and the SDK share: [Octet],
// [User], [Size], [State], [Machine], and [Runner], through which a backend
// starts its outside tools so that tests can play them.
//
// Those who only want to set up and use VMs need package mpdvirt, not this
// one.
package hypervisor

import (
	"context"
	"errors"
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

// Known says whether s is one of the package's constants.
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
	Addr  netip.Addr // the address it was found at; invalid if not known
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

	// Network is the network in which the VMs get their canonical addresses.
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
	// if several do.
	Locate(ctx context.Context, q Query) (Machine, error)

	// States returns all VMs of the hypervisor with one call of its tool. An
	// answer that cannot be read is an error, never an empty list. A backend
	// without states returns nil, nil.
	States(ctx context.Context) ([]Machine, error)
}

// CreateSpec says what VM a Creator makes.
type CreateSpec struct {
	Octet Octet
	User  User
	RAM   Size // zero: the backend's default
	Disk  Size // zero: the backend's default
}

// Creator is a backend that makes a VM from nothing.
type Creator interface {
	// Create makes and starts the VM mpd-NNN. ErrAmbiguous if that name is
	// taken. On failure nothing that it made stays behind.
	Create(ctx context.Context, spec CreateSpec) (Machine, error)
}

// CloneSpec says what VM a Cloner makes.
type CloneSpec struct {
	Octet    Octet
	Template string // name of an existing template
	Linked   bool   // share the template's disk instead of copying it
	RAM      Size   // zero: as the template
	Disk     Size   // zero: as the template
}

// Cloner is a backend that makes a VM from a template.
type Cloner interface {
	// Clone makes and starts the VM mpd-NNN. ErrAmbiguous if that name is
	// taken, ErrNoMachine if there is no such template.
	Clone(ctx context.Context, spec CloneSpec) (Machine, error)
}

// Lifecycle is a backend that turns VMs on and off and destroys them. A VM is
// named by the UUID that was recorded when it was made or adopted; if the name
// mpd-NNN now belongs to another VM, ErrDrift.
//
// Success is the state read back, not the tool's word.
type Lifecycle interface {
	// Start brings the VM to Running; a running one is fine.
	Start(ctx context.Context, uuid string) error
	// Suspend saves the VM's memory and stops it; a VM that does not run is
	// fine.
	Suspend(ctx context.Context, uuid string) error
	// Kill cuts the VM's power; a VM that does not run is fine.
	Kill(ctx context.Context, uuid string) error
	// Delete destroys the VM and its disk in any known state; a VM that is
	// already gone is fine.
	Delete(ctx context.Context, uuid string) error
}

// Adopter is a backend that wants to know when an adopted VM has its
// canonical address, for instance to rename it.
type Adopter interface {
	// Adopted is called after the canonical address is live, and again by a
	// later setup: it must be safe to repeat.
	Adopted(ctx context.Context, o Octet, m Machine) error
}
