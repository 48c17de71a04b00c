// Package utm is the backend for UTM, which it drives through utmctl and, where
// that has no verb or is not there, AppleScript.
//
// [New] makes a [Backend]. The interfaces of package hypervisor list its VMs and
// turn them on and off, make them from a disk and a seed, and look for a release of
// UTM that should be updated.
//
// # How it trusts the tools
//
// utmctl ends with status 0 also when UTM refused: success is status 0, nothing
// on standard error, and the state that is read back. UTM's and macOS's texts are
// translated, so that only the number of an Apple event error decides; see
// [ToolError]. An empty list is believed only with nothing on standard error,
// because without the permission to control UTM it looks the same otherwise. A VM
// is addressed by its UUID. Each script is constant ASCII text, and values go to
// it as arguments.
//
// # How a VM is made
//
// Image, seed, and the wait for the guest are the caller's. The order is CanCreate,
// before anything is downloaded; Network, to put the right address into the seed;
// Create, whose files may be deleted afterwards; Seed, whose answer the caller
// keeps; Start; then, when the guest is done with the seed, Shutdown, Detach
// of that drive, and Start again. What failed half-way is taken away by Delete with
// the UUID that Create returned, also beside an error.
//
// # What UTM does not tell
//
// No address of a guest: Machine.Addr is never valid, and Locate finds no VM by
// an address. Nor whether the memory of a VM is saved: one that was suspended
// reads as paused while UTM runs, and as stopped after it quit; Start brings the
// memory back from both.
//
// # Out of scope
//
// UTM is not installed, its network is not changed, and its bundles are not read:
// macOS guards them. VMs of UTM live only while the user is logged in and UTM runs;
// SSH sessions cannot drive it.
package utm

import (
	"context"
	"fmt"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// DefaultApp is where UTM is installed.
const DefaultApp = "/Applications/UTM.app"

// Config says how the backend reaches the outside world.
type Config struct {
	// Run starts utmctl, osascript, defaults and ifconfig. It must be set: a
	// backend without it answers that the tool is missing.
	Run hypervisor.Runner
	// App is the bundle of UTM; empty is DefaultApp.
	App string
}

// Backend is the UTM backend, which New makes. It keeps no state; all its methods
// may be called at the same time. Two that change one VM should not be.
type Backend struct {
	run   hypervisor.Runner
	app   string
	draft *draft // nil: it is for real
}

var (
	_ hypervisor.Hypervisor = (*Backend)(nil)
	_ hypervisor.Lifecycle  = (*Backend)(nil)
	_ hypervisor.Creator    = (*Backend)(nil)
	_ hypervisor.Inspector  = (*Backend)(nil)
	_ hypervisor.Rehearser  = (*Backend)(nil)
)

// New returns the backend. It starts nothing.
func New(c Config) *Backend {
	b := &Backend{run: c.Run, app: c.App}
	if b.run == nil {
		b.run = func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{}, fmt.Errorf("run %s: no runner is configured: %w", c.Argv[0], hypervisor.ErrToolMissing)
		}
	}
	if b.app == "" {
		b.app = DefaultApp
	}
	return b
}

// Name is "utm".
func (*Backend) Name() string { return "utm" }

// States is one `utmctl list`, or one script where there is no utmctl. The UUIDs
// are as UTM writes them, in upper case. A VM whose bundle is broken or on a disk
// that is not there, UTM does not list.
func (b *Backend) States(ctx context.Context) ([]hypervisor.Machine, error) {
	vms, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	return vms, nil
}
