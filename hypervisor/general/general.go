// Package general is the backend for VMs that no hypervisor of ours manages:
// any Debian machine that answers SSH, wherever it runs. It can be set up,
// diagnosed, updated and forgotten; who made it starts, stops and deletes it.
//
// [New] makes a [Backend], which has the core interface of package hypervisor
// and nothing more. It starts no tool and waits for nothing, so it is available
// everywhere and no method heeds its context.
//
// # Out of scope
//
// It lists and looks for no VM: the caller says where one answers. The network
// is unknown, so that the canonical address is in the /24 of that address.
package general

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Backend is the general backend. The zero value is ready, and all its methods
// may be called at the same time.
type Backend struct{}

var _ hypervisor.Hypervisor = Backend{}

// New returns the backend.
func New() Backend { return Backend{} }

// Name is "general".
func (Backend) Name() string { return "general" }

// Network is the zero Prefix, and no error: the canonical address is in the /24 of
// the address at which the VM was adopted.
func (Backend) Network(context.Context) (netip.Prefix, error) { return netip.Prefix{}, nil }

// Available is always nil: SSH is part of the program.
func (Backend) Available(context.Context) error { return nil }

// Locate believes the address that it is given, since there is nobody to ask: the
// result has that and the name mpd-NNN, no UUID and no state. Without an address it is
// hypervisor.ErrNoMachine, whatever else the query has.
func (Backend) Locate(_ context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	if !q.Addr.IsValid() {
		return hypervisor.Machine{}, fmt.Errorf("locate %s: the general backend cannot look for VMs, it needs an address: %w",
			q.Octet.VMName(), hypervisor.ErrNoMachine)
	}
	return hypervisor.Machine{Name: q.Octet.VMName(), Addr: q.Addr}, nil
}

// States is nil, and no error: nobody can be asked for the states of such VMs.
func (Backend) States(context.Context) ([]hypervisor.Machine, error) { return nil, nil }
