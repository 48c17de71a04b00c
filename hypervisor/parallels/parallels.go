// Package parallels is the backend for Parallels Desktop, which it drives
// through prlctl and prlsrvctl.
//
// [New] makes a [Backend]; all else is in the interfaces of package hypervisor:
// it clones VMs from templates, turns them on and off, destroys them, and
// renames the ones that are adopted. [Backend.Findings] says what of Parallels'
// network should be changed.
//
// # How it trusts the tool
//
// The tool's words for people are matched only where there is nothing else, and
// all of them stand in one table. VMs and states come from its JSON; an answer
// that cannot be read is an error, never "no VMs". What an action did is known
// by the state that is read back, whatever the tool said and with whatever
// status it ended. A VM is addressed by its UUID, and looked at again right
// before each call that destroys something.
//
// # Out of scope
//
// VMs are not made from nothing, templates are not built, Parallels Desktop is
// not started or licensed, and its network is not changed: errors and findings
// say what a person can do. VMs belong to the macOS account: run as root, the
// tool shows another world.
package parallels

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// DefaultLeaseFile is where the DHCP server of the Shared network keeps what
// addresses it gave to which network cards.
const DefaultLeaseFile = "/Library/Preferences/Parallels/parallels_dhcp_leases"

// Config says how the backend reaches the outside world.
type Config struct {
	// Run starts prlctl and prlsrvctl. It must be set: a backend without it
	// answers that the tool is missing.
	Run hypervisor.Runner
	// LeaseFile is read, if it can be, for the address of a VM in which
	// Parallels Tools do not run; empty is DefaultLeaseFile.
	LeaseFile string
}

// Backend is the Parallels backend, which New makes. It keeps no state; all its
// methods may be called at the same time. Two that change one VM should not be.
type Backend struct {
	run    hypervisor.Runner
	leases string
	draft  *draft // nil: it is for real
}

var (
	_ hypervisor.Hypervisor = (*Backend)(nil)
	_ hypervisor.Cloner     = (*Backend)(nil)
	_ hypervisor.Resizer    = (*Backend)(nil)
	_ hypervisor.Addresser  = (*Backend)(nil)
	_ hypervisor.Lifecycle  = (*Backend)(nil)
	_ hypervisor.Adopter    = (*Backend)(nil)
	_ hypervisor.Rehearser  = (*Backend)(nil)
)

// New returns the backend. It starts nothing.
func New(c Config) *Backend {
	b := &Backend{run: c.Run, leases: c.LeaseFile}
	if b.run == nil {
		b.run = func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{}, fmt.Errorf("run %s: no runner is configured: %w", c.Argv[0], hypervisor.ErrToolMissing)
		}
	}
	if b.leases == "" {
		b.leases = DefaultLeaseFile
	}
	return b
}

// Name is "parallels".
func (*Backend) Name() string { return "parallels" }

// Network is 10.211.55.0/24, Parallels' Shared network as it is installed. It
// starts no tool: whether the network is really so, Available says.
func (*Backend) Network(context.Context) (netip.Prefix, error) { return sharedNetwork(), nil }

// Available says why Parallels cannot be used: ErrToolMissing, ErrService,
// ErrLicense (a *LicenseError if the licence itself says so) or ErrNetwork (a
// *NetworkError if the network is there but cannot serve). It costs three
// processes.
//
// A DHCP range that takes in the octets is no reason to refuse, since it is what
// Parallels comes with; Findings tells it.
func (b *Backend) Available(ctx context.Context) error {
	if err := b.version(ctx); err != nil {
		return err
	}
	if err := b.licensed(ctx); err != nil {
		return err
	}
	findings, err := b.Findings(ctx)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Problem != DHCPRange && f.Problem != DHCPOff {
			return f.hinted()
		}
	}
	return nil
}

// version asks prlctl for its version, which it tells without service and
// licence: what does not is no prlctl.
func (b *Backend) version(ctx context.Context) error {
	out, err := b.ask(ctx, argvVersion())
	if err != nil {
		return err
	}
	if _, err := decodeVersion(out); err != nil {
		return err
	}
	return nil
}

// States is one `prlctl list`. The UUIDs are as Parallels writes them, without
// braces; addresses are not asked for, which could take minutes.
func (b *Backend) States(ctx context.Context) ([]hypervisor.Machine, error) {
	vms, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]hypervisor.Machine, len(vms))
	for i, v := range vms {
		out[i] = v.machine()
	}
	return out, nil
}
