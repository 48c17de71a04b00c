package hypervisortest

import (
	"context"
	"net/netip"
	"reflect"
	"regexp"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// unknown is a word that no hypervisor of ours has for a state.
const unknown = hypervisor.State("defragmenting")

// backendName is what the registry of mpd-virt takes for a name.
var backendName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func coreCases(Harness) []testCase {
	return []testCase{
		{"capabilities", exactlyItsOwn, checkCapabilities},
		{"Name", nameWord, func(c *check) {
			name := c.w.Backend.Name()
			if !backendName.MatchString(name) {
				c.wrong("Name = %q, want letters a-z, then perhaps digits and hyphens, at most 32", name)
			}
			if again := c.w.Backend.Name(); again != name {
				c.wrong("Name = %q, and then %q", name, again)
			}
		}},
		{"Network", networkIs, func(c *check) {
			p, err := c.w.Backend.Network(c.context())
			switch {
			case err != nil:
				c.wrong("Network = %v", err)
			case p == netip.Prefix{}: // the backend has none
			case !p.IsValid():
				c.against(networkNone, "Network = %#v, which is neither a network nor zero", p)
			case !p.Addr().Is4() || p.Bits() != 24 || p != p.Masked():
				c.wrong("Network = %v, want an IPv4 /24, since the octet is the last byte of an address in it", p)
			}
		}},
		{"Network stays", networkIs, func(c *check) {
			p, err := c.w.Backend.Network(c.context())
			if again, err2 := c.w.Backend.Network(c.context()); again != p || (err == nil) != (err2 == nil) {
				c.wrong("Network = %v, %v, and then %v, %v", p, err, again, err2)
			}
		}},
		{"Available", availableSays, func(c *check) {
			if err := c.w.Backend.Available(c.context()); err != nil {
				c.wrong("Available = %v, with a hypervisor that works", err)
			}
		}},
		{"Available without the tool", availableTool, func(c *check) {
			c.breakTool(ToolMissing)
			c.is("Available", c.w.Backend.Available(c.context()), hypervisor.ErrToolMissing)
		}},
		{"Available does not start the hypervisor", availableStarts, func(c *check) {
			c.need(c.w.ServiceRuns != nil, "ServiceRuns")
			c.breakTool(ServiceDown)
			err := c.w.Backend.Available(c.context())
			if c.w.ServiceRuns() {
				c.wrong("after Available = %v the hypervisor runs", err)
			}
			if err != nil {
				c.rule = errService
				c.is("Available", err, hypervisor.ErrService)
			}
		}},
		{"at the same time", methodsAtOnce, checkAtOnce},
		{"no VM is changed", methodsHonest, checkLooksOnly},
		{"nothing is remembered", methodsHonest, checkForgets},
		{"the context ends a call", methodsHonest, checkEnds},
		{"an ended context ends a call", methodsHonest, func(c *check) {
			ctx, cancel := context.WithCancel(c.context())
			cancel()
			for name, call := range core(c) {
				_ = c.ends(name, func(context.Context) error { return call(ctx) }) // an answer that needs no tool is fine
			}
		}},
	}
}

// core are the methods of Hypervisor that take a context.
func core(c *check) map[string]func(ctx context.Context) error {
	q := hypervisor.Query{Octet: octet, Addr: c.addr(37)}
	return map[string]func(ctx context.Context) error{
		"Network":   func(ctx context.Context) error { _, err := c.w.Backend.Network(ctx); return err },
		"Available": c.w.Backend.Available,
		"Locate":    func(ctx context.Context) error { _, err := c.w.Backend.Locate(ctx, q); return err },
		"States":    func(ctx context.Context) error { _, err := c.w.Backend.States(ctx); return err },
	}
}

// checkCapabilities finds methods that look like those of a capability, of
// which others are missing or have another signature: a Manager would not see
// them.
func checkCapabilities(c *check) {
	backend := reflect.TypeOf(c.w.Backend)
	for _, capability := range []reflect.Type{
		reflect.TypeFor[hypervisor.Creator](), reflect.TypeFor[hypervisor.Lifecycle](),
		reflect.TypeFor[hypervisor.Cloner](), reflect.TypeFor[hypervisor.Adopter](),
	} {
		if backend.Implements(capability) {
			continue
		}
		for i := range capability.NumMethod() {
			name := capability.Method(i).Name
			// The power methods of a Cloner and of a Creator are those of a
			// Lifecycle, too.
			if _, power := reflect.TypeFor[hypervisor.Lifecycle]().MethodByName(name); power && capability != reflect.TypeFor[hypervisor.Lifecycle]() {
				continue
			}
			if _, has := backend.MethodByName(name); has {
				c.wrong("%v has a method %s, but is no %v", backend, name, capability)
			}
		}
	}
}

func checkAtOnce(c *check) {
	q, want := hypervisor.Query{Octet: octet, Addr: c.addr(37)}, 0
	if !c.h.Stateless {
		c.add(1, vmName, hypervisor.Running)
		c.add(2, "other", hypervisor.Stopped)
		want = 2
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name, call := range core(c) {
				if err := call(c.context()); err != nil {
					c.wrong("%s = %v, beside other calls", name, err)
				}
			}
			vm, err := c.w.Backend.Locate(c.context(), q)
			if err != nil || vm.Name != vmName {
				c.wrong("Locate = %+v, %v, beside other calls", vm, err)
			}
			if vms, err := c.w.Backend.States(c.context()); err != nil || len(vms) != want {
				c.wrong("States = %d VMs, %v, beside other calls; want %d", len(vms), err, want)
			}
			_ = c.w.Backend.Name()
		})
	}
	wg.Wait()
}

func checkLooksOnly(c *check) {
	c.need(!c.h.Stateless, "VMs")
	for i, s := range append(c.h.states(), unknown) {
		vm := c.add(i, hypervisor.Octet(150+i).VMName(), hypervisor.Stopped)
		c.state(vm.UUID, s)
	}
	for name, call := range core(c) {
		c.unchanged(func() {
			if err := call(c.context()); err != nil {
				c.wrong("%s = %v", name, err)
			}
		})
	}
	for i := range c.h.states() {
		c.unchanged(func() {
			q := hypervisor.Query{Octet: hypervisor.Octet(150 + i), UUID: uuid(i)}
			_, _ = c.w.Backend.Locate(c.context(), q) // what it finds is another case
		})
	}
}

func checkForgets(c *check) {
	c.need(!c.h.Stateless, "VMs")
	c.need(c.w.Remove != nil, "Remove")
	first := c.add(1, vmName, hypervisor.Stopped)
	for _, call := range core(c) {
		_ = call(c.context()) // other cases check the answers
	}
	c.w.Remove(first.UUID)
	second := c.add(2, vmName, hypervisor.Stopped)
	if vm, err := c.w.Backend.Locate(c.context(), hypervisor.Query{Octet: octet}); err != nil || vm.UUID != second.UUID {
		c.wrong("Locate = %+v, %v, after %s was replaced by %s", vm, err, first.UUID, second.UUID)
	}
	vms, err := c.w.Backend.States(c.context())
	if err != nil || len(vms) != 1 || vms[0].UUID != second.UUID {
		c.wrong("States = %+v, %v, after %s was replaced by %s", vms, err, first.UUID, second.UUID)
	}
}

func checkEnds(c *check) {
	calls := core(c)
	c.breakTool(Hang)
	for name, call := range calls {
		err := c.ends(name, call)
		// Network and Available may need no tool; these two always do.
		if name == "Locate" || name == "States" {
			c.unanswered(name, Hang, err)
		}
	}
}
