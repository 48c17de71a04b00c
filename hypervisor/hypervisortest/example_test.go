package hypervisortest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
)

// shelf is a backend for a hypervisor of which a tool prints all VMs as JSON. It
// has the core alone.
type shelf struct{ run hypervisor.Runner }

var _ hypervisor.Hypervisor = shelf{}

func (shelf) Name() string { return "shelf" }

func (shelf) Network(context.Context) (netip.Prefix, error) {
	return netip.MustParsePrefix("10.77.0.0/24"), nil
}

func (s shelf) Available(ctx context.Context) error {
	_, err := s.States(ctx)
	return err
}

func (s shelf) States(ctx context.Context) ([]hypervisor.Machine, error) {
	result, err := s.run(ctx, hypervisor.Command{Argv: []string{"shelfctl", "list"}})
	switch {
	case err != nil:
		return nil, err
	case result.Status == 69: // EX_UNAVAILABLE
		return nil, fmt.Errorf("shelfctl list: %w", hypervisor.ErrService)
	case result.Status != 0:
		return nil, fmt.Errorf("shelfctl list: exit status %d", result.Status)
	}
	var vms []hypervisor.Machine
	if err := json.Unmarshal(result.Stdout, &vms); err != nil {
		return nil, fmt.Errorf("shelfctl list: %w", err)
	}
	return vms, nil
}

func (s shelf) Locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	vms, err := s.States(ctx)
	if err != nil {
		return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), err)
	}
	by := []func(m hypervisor.Machine) bool{
		func(m hypervisor.Machine) bool { return m.Name == q.Octet.VMName() },
		func(m hypervisor.Machine) bool { return q.Addr.IsValid() && m.Addr == q.Addr },
	}
	if q.UUID != "" {
		by = []func(m hypervisor.Machine) bool{func(m hypervisor.Machine) bool { return m.UUID == q.UUID }}
	}
	for _, fits := range by {
		found := slices.DeleteFunc(slices.Clone(vms), func(m hypervisor.Machine) bool { return !fits(m) })
		switch {
		case len(found) > 1:
			return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), hypervisor.ErrAmbiguous)
		case len(found) == 1:
			return found[0], nil
		}
	}
	return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), hypervisor.ErrNoMachine)
}

// shelfctl plays the tool. The suite asks it from many goroutines.
type shelfctl struct {
	mu    sync.Mutex
	vms   []hypervisor.Machine
	fault hypervisortest.Fault
	calls int
}

func (c *shelfctl) run(ctx context.Context, command hypervisor.Command) (hypervisor.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(command.Limit, hypervisor.DefaultLimit))
	defer cancel()
	c.mu.Lock()
	c.calls++
	fault := c.fault
	list, err := json.Marshal(append([]hypervisor.Machine{}, c.vms...)) // [] where there is none
	c.mu.Unlock()
	switch fault {
	case hypervisortest.ToolMissing:
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", command.Argv[0], hypervisor.ErrToolMissing)
	case hypervisortest.ServiceDown:
		return hypervisor.Result{Status: 69}, nil
	case hypervisortest.Garbage:
		return hypervisor.Result{Stdout: []byte("<html>")}, nil
	case hypervisortest.Empty:
		return hypervisor.Result{}, nil
	case hypervisortest.Partial:
		return hypervisor.Result{Stdout: list[:len(list)/2], Status: 1}, nil
	case hypervisortest.Failing:
		return hypervisor.Result{Status: 3}, nil
	case hypervisortest.Hang:
		<-ctx.Done()
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", command.Argv[0], ctx.Err())
	}
	return hypervisor.Result{Stdout: list}, err
}

// world is the hypervisor without VMs, the backend over it, and what the suite may
// do behind its back.
func (c *shelfctl) world() hypervisortest.World {
	locked := func(f func()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		f()
	}
	return hypervisortest.World{
		Backend: shelf{c.run},
		Add: func(vm hypervisor.Machine) string {
			locked(func() { c.vms = append(c.vms, vm) })
			return vm.UUID
		},
		Look: func() (vms []hypervisor.Machine) {
			locked(func() { vms = slices.Clone(c.vms) })
			return vms
		},
		SetState: func(uuid string, s hypervisor.State) {
			locked(func() {
				for i := range c.vms {
					if c.vms[i].UUID == uuid {
						c.vms[i].State = s
					}
				}
			})
		},
		Remove: func(uuid string) {
			locked(func() {
				c.vms = slices.DeleteFunc(c.vms, func(vm hypervisor.Machine) bool { return vm.UUID == uuid })
			})
		},
		Calls: func() (n int) {
			locked(func() { n = c.calls })
			return n
		},
		Break: func(f hypervisortest.Fault) bool {
			locked(func() { c.fault = f })
			return f <= hypervisortest.Hang // the others are about actions, of which shelf has none
		},
	}
}

// A backend with the core alone, the tool behind it, played, and the test of both.
// The last lines are the test's body; what is printed before shows what a fault is.
func Example() {
	world := (&shelfctl{}).world()
	world.Add(hypervisor.Machine{UUID: "1b4e28ba-2fa1-4e1c-9a3e-0f1c3c1b0a01", Name: "mpd-150", State: hypervisor.Running})
	vm, err := world.Backend.Locate(context.Background(), hypervisor.Query{Octet: 150})
	fmt.Println(vm.Name, "is", vm.State, err)

	world.Break(hypervisortest.ToolMissing)
	_, err = world.Backend.Locate(context.Background(), hypervisor.Query{Octet: 150})
	fmt.Println(errors.Is(err, hypervisor.ErrToolMissing), errors.Is(err, hypervisor.ErrNoMachine))

	_ = func(t *testing.T) { // TestConformance, in a test file of the backend
		hypervisortest.Run(t, hypervisortest.Harness{
			New: func(*testing.T) hypervisortest.World { return (&shelfctl{}).world() },
		})
	}
	// Output:
	// mpd-150 is running <nil>
	// true false
}
