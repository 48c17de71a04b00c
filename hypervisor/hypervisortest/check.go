package hypervisortest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	octet    = hypervisor.Octet(150)
	vmName   = "mpd-150"
	template = "mpd-template-trixie"

	// cancelAfter is when a call over a tool that hangs is cancelled, and soon
	// how long it may take to end then: tools are asked politely first.
	cancelAfter = time.Second
	soon        = 5 * time.Second
)

// check is one case at work.
type check struct {
	*testing.T
	h    Harness
	w    World
	dir  string // of files that all cases of a Run share
	rule string // the sentence that the case checks
}

// wrong says how the case's sentence is broken.
func (c *check) wrong(format string, a ...any) {
	c.Helper()
	c.against(c.rule, format, a...)
}

// against says how another sentence is broken.
func (c *check) against(rule, format string, a ...any) {
	c.Helper()
	c.Errorf("%s\n\tThe contract: %q", fmt.Sprintf(format, a...), rule)
}

// fatal is wrong, and ends the case.
func (c *check) fatal(format string, a ...any) {
	c.Helper()
	c.wrong(format, a...)
	c.FailNow()
}

// need skips the case if the World cannot do something.
func (c *check) need(there bool, what string) {
	c.Helper()
	if !there {
		c.Skipf("the World has no %s", what)
	}
}

// breakTool makes the tool misbehave, or skips the case.
func (c *check) breakTool(f Fault) {
	c.Helper()
	c.need(c.w.Break != nil, "Break")
	if !c.w.Break(f) {
		c.Skipf("the World cannot play: %v", f)
	}
}

// state brings a VM into a state.
func (c *check) state(uuid string, s hypervisor.State) {
	c.Helper()
	c.need(c.w.SetState != nil, "SetState")
	c.w.SetState(uuid, s)
}

// context is bounded, so that a backend that waits for ever fails a case
// instead of keeping it: all limits of ours are shorter.
func (c *check) context() context.Context {
	limit := 2 * time.Hour
	if c.h.RealTime {
		limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(c.T.Context(), limit)
	c.Cleanup(cancel)
	return ctx
}

// uuid is the n-th UUID.
func uuid(n int) string { return fmt.Sprintf("5c0ffee0-%04x-4d1e-8b00-0123456789ab", n) }

// addr is an address in the backend's network.
func (c *check) addr(last byte) netip.Addr {
	c.Helper()
	p, err := c.w.Backend.Network(c.context())
	if err != nil {
		c.against(networkIs, "Network = %v", err)
		c.FailNow()
	}
	a := netip.AddrFrom4([4]byte{192, 168, 64, last})
	if p.IsValid() && p.Addr().Is4() {
		a = hypervisor.Octet(last).In(p.Addr())
	}
	return a
}

// add makes a VM in a state; it has no address.
func (c *check) add(n int, name string, s hypervisor.State) hypervisor.Machine {
	c.Helper()
	return c.addAt(n, name, s, netip.Addr{})
}

func (c *check) addAt(n int, name string, s hypervisor.State, a netip.Addr) hypervisor.Machine {
	c.Helper()
	if s != hypervisor.Running && s != hypervisor.Stopped {
		c.need(c.w.SetState != nil, "SetState")
	}
	vm := hypervisor.Machine{UUID: uuid(n), Name: name, State: s, Addr: a}
	vm.UUID = c.w.Add(vm)
	return vm
}

// vm is the truth about a VM; ok is false if it is gone.
func (c *check) vm(uuid string) (vm hypervisor.Machine, ok bool) {
	for _, vm := range c.w.Look() {
		if vm.UUID == uuid {
			return vm, true
		}
	}
	return hypervisor.Machine{State: hypervisor.Missing}, false
}

// named is the truth about the VMs of a name.
func (c *check) named(name string) []hypervisor.Machine {
	return slices.DeleteFunc(slices.Clone(c.w.Look()), func(vm hypervisor.Machine) bool { return vm.Name != name })
}

// snapshot is all that must not change of the VMs, by UUID.
func (c *check) snapshot() map[string]string {
	out := map[string]string{}
	for _, vm := range c.w.Look() {
		out[vm.UUID] = fmt.Sprintf("%s %q %s", vm.UUID, vm.Name, vm.State)
	}
	return out
}

// unchanged checks that f changes no VM, apart from those given.
func (c *check) unchanged(f func(), apart ...string) {
	c.Helper()
	before := c.snapshot()
	f()
	after := c.snapshot()
	for _, uuid := range apart {
		delete(before, uuid)
		delete(after, uuid)
	}
	if !maps.Equal(before, after) {
		c.wrong("VMs changed:\n\tbefore %s\n\tafter  %s", text(before), text(after))
	}
}

func text(vms map[string]string) string {
	return strings.Join(slices.Sorted(maps.Values(vms)), ", ")
}

// is checks that an error is of the wanted kind and says more than that.
func (c *check) is(what string, err, want error) {
	c.Helper()
	switch {
	case !errors.Is(err, want):
		c.wrong("%s = %v, want an error that is %q", what, err, want)
	case err == want:
		c.against(errWrapped, "%s returns the bare error %q", what, err)
	}
}

// unanswered checks the error of a call to which the tool, misbehaving in way
// f, gave no answer.
func (c *check) unanswered(what string, f Fault, err error) {
	c.Helper()
	switch {
	case errors.Is(err, hypervisor.ErrNoMachine):
		c.against(errNoAnswer, "%s: %s = %v", f, what, err)
	case err == nil:
		c.wrong("%s: %s succeeded", f, what)
	case f == ToolMissing && !errors.Is(err, hypervisor.ErrToolMissing):
		c.against(errToolMissing, "%s: %s = %v", f, what, err)
	case f == ServiceDown && !errors.Is(err, hypervisor.ErrService):
		c.against(errService, "%s: %s = %v", f, what, err)
	}
}

// ends checks that a call over a hanging tool ends soon after its context, and
// returns its error.
func (c *check) ends(what string, call func(ctx context.Context) error) error {
	c.Helper()
	ctx, cancel := context.WithCancel(c.context())
	defer cancel()
	start := time.Now()
	timer := time.AfterFunc(cancelAfter, cancel)
	defer timer.Stop()
	err := call(ctx)
	if took := time.Since(start); took > cancelAfter+soon {
		c.wrong("%s ended %v after its context", what, took-cancelAfter)
	}
	return err
}

func (h Harness) has(s hypervisor.State) bool {
	return h.States == nil || slices.Contains(h.States, s)
}

// states are the states that the hypervisor can have.
func (h Harness) states() []hypervisor.State {
	return slices.DeleteFunc([]hypervisor.State{hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused,
		hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming},
		func(s hypervisor.State) bool { return !h.has(s) })
}
