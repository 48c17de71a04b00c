package hypervisortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// action is a method that changes the state of a VM: those of Lifecycle, and a
// Creator's Shutdown.
type action struct {
	name    string
	rule    string
	unknown string // the sentence about states that are not known
	do      func(l hypervisor.Lifecycle, ctx context.Context, uuid string) error
	// ends are the states in which success leaves a VM that was in state from;
	// nil if the contract does not promise that the action works there.
	ends func(from hypervisor.State) []hypervisor.State
	// done are the states in which the action has done what it is for.
	done []hypervisor.State
	// from is a state in which there is something to do.
	from hypervisor.State
}

func actions() []action {
	return []action{
		{"Start", startRuns, notKnown, hypervisor.Lifecycle.Start, startEnds, []hypervisor.State{hypervisor.Running}, hypervisor.Stopped},
		{"Suspend", suspendSaves, notKnown, hypervisor.Lifecycle.Suspend, suspendEnds, []hypervisor.State{hypervisor.Suspended, hypervisor.Stopped}, hypervisor.Running},
		{"Kill", killCuts, notKnown, hypervisor.Lifecycle.Kill, killEnds, []hypervisor.State{hypervisor.Stopped}, hypervisor.Running},
		{"Delete", deleteAll, notKnown, hypervisor.Lifecycle.Delete, deleteEnds, []hypervisor.State{hypervisor.Missing}, hypervisor.Running},
	}
}

func startEnds(from hypervisor.State) []hypervisor.State {
	switch from {
	case hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused:
		return []hypervisor.State{hypervisor.Running}
	}
	return nil
}

func suspendEnds(from hypervisor.State) []hypervisor.State {
	switch from {
	case hypervisor.Running:
		return []hypervisor.State{hypervisor.Suspended}
	case hypervisor.Stopped, hypervisor.Suspended:
		return []hypervisor.State{from}
	case hypervisor.Paused: // whether it runs is open: its memory is in use
		return []hypervisor.State{hypervisor.Suspended, hypervisor.Paused}
	}
	return nil
}

func killEnds(from hypervisor.State) []hypervisor.State {
	switch from {
	case hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused:
		return []hypervisor.State{hypervisor.Stopped}
	}
	return nil
}

func deleteEnds(hypervisor.State) []hypervisor.State {
	return []hypervisor.State{hypervisor.Missing}
}

func lifecycleCases(h Harness) (cases []testCase) {
	for _, a := range actions() {
		cases = append(cases, actionCases(a, h)...)
	}
	return append(cases,
		testCase{"Start " + NoStart.String(), readBack, func(c *check) { c.honest(actions()[0], hypervisor.Stopped, NoStart) }},
		testCase{"at the same time", methodsAtOnce, checkLifecycleAtOnce},
	)
}

// actionCases are those of one action.
func actionCases(a action, h Harness) (cases []testCase) {
	add := func(name, rule string, run func(c *check)) {
		cases = append(cases, testCase{a.name + " " + name, rule, run})
	}
	for _, from := range h.states() {
		if ends := a.ends(from); ends != nil {
			add(fmt.Sprintf("from %s", from), a.rule, func(c *check) { c.acts(a, from, ends) })
		} else {
			add(fmt.Sprintf("while %s", from), readBack, func(c *check) { c.honest(a, from, None) })
		}
	}
	add("in an unknown state", a.unknown, func(c *check) { c.refuses(a) })
	add("of a VM that is gone", goneRule(a), func(c *check) { c.gone(a) })
	add("after the name went to another VM", errDrift, func(c *check) {
		c.need(c.w.Rename != nil, "Rename")
		vm := c.in(a.from)
		c.w.Rename(vm.UUID, "precious")
		c.drifted(a, vm)
	})
	add("while two VMs have the name", errDrift, func(c *check) {
		c.need(!c.h.UniqueNames, "VMs of one name")
		c.drifted(a, c.in(a.from))
	})
	add("after the VM was replaced", lifecycleUUID, func(c *check) { c.replaced(a) })
	add("by a name", lifecycleUUID, func(c *check) { c.byName(a) })
	add("while the tool hangs", methodsHonest, func(c *check) {
		vm := c.add(1, vmName, a.from)
		c.breakTool(Hang)
		err := c.ends(a.name, func(ctx context.Context) error { return a.do(c.lifecycle(), ctx, vm.UUID) })
		c.unanswered(a.name, Hang, err)
	})
	for _, f := range append(unanswered(), Ignored, BusyOnce) {
		add(f.String(), readBack, func(c *check) { c.honest(a, a.from, f) })
	}
	add(Slow.String(), readBack, func(c *check) {
		c.breakTool(Slow)
		c.acts(a, a.from, a.ends(a.from))
	})
	return cases
}

func goneRule(a action) string {
	if a.name == "Delete" {
		return a.rule
	}
	return errNoMachine
}

func (c *check) lifecycle() hypervisor.Lifecycle { return c.w.Backend.(hypervisor.Lifecycle) }

// neighbours are VMs that no action may touch.
func (c *check) neighbours() {
	c.add(8, "mpd-151", hypervisor.Running)
	c.add(9, "Windows 11", hypervisor.Stopped)
}

// in makes the VM mpd-150 in a state.
func (c *check) in(s hypervisor.State) hypervisor.Machine {
	c.Helper()
	first := s
	if s != hypervisor.Running {
		first = hypervisor.Stopped
	}
	vm := c.add(1, vmName, first)
	if s != first {
		c.state(vm.UUID, s)
	}
	vm.State = s
	return vm
}

// acts checks that an action leads to one of the states, and again.
func (c *check) acts(a action, from hypervisor.State, ends []hypervisor.State) {
	c.neighbours()
	vm := c.in(from)
	c.unchanged(func() {
		for _, again := range []string{"", " again"} {
			err := a.do(c.lifecycle(), c.context(), vm.UUID)
			now, _ := c.vm(vm.UUID)
			if err != nil || !slices.Contains(ends, now.State) {
				c.wrong("%s%s from %s = %v, and the VM is %s; want %q", a.name, again, from, err, now.State, ends)
				return
			}
			if now.State != hypervisor.Missing && now.Name != vmName {
				c.wrong("%s%s from %s renamed the VM to %q", a.name, again, from, now.Name)
			}
		}
	}, vm.UUID)
}

// honest checks that an action over a fault, or from a state in which nothing
// is promised, says success only if it is true, and that it can be repeated
// once the tool works.
func (c *check) honest(a action, from hypervisor.State, f Fault) {
	if f == Ignored && c.h.RealTime {
		c.Skip("the backend's own time limit is too long on a real clock")
	}
	c.neighbours()
	vm := c.in(from)
	if f != None {
		c.breakTool(f)
	}
	c.unchanged(func() {
		err := a.do(c.lifecycle(), c.context(), vm.UUID)
		now, _ := c.vm(vm.UUID)
		switch {
		case err == nil && !slices.Contains(a.done, now.State):
			c.wrong("%s: %s of a VM that is %s succeeded, and it is %s", f, a.name, from, now.State)
		case slices.Contains(unanswered(), f):
			c.unanswered(a.name, f, err)
		case errors.Is(err, hypervisor.ErrNoMachine):
			c.against(errNoMachine, "%s: %s of a VM that is %s = %v", f, a.name, from, err)
		}
		if f == None {
			return
		}
		c.w.Break(None)
		if err := a.do(c.lifecycle(), c.context(), vm.UUID); err != nil {
			c.against(a.rule, "%s once the tool works again = %v", a.name, err)
		}
	}, vm.UUID)
}

// refuses checks that an unknown state is let alone.
func (c *check) refuses(a action) {
	vm := c.in(unknown)
	c.unchanged(func() {
		err := a.do(c.lifecycle(), c.context(), vm.UUID)
		c.is(a.name+" of a VM in state "+string(unknown), err, hypervisor.ErrState)
	})
}

func (c *check) gone(a action) {
	c.neighbours()
	c.unchanged(func() {
		err := a.do(c.lifecycle(), c.context(), uuid(1))
		if a.name != "Delete" {
			c.is(a.name+" of a VM that is not there", err, hypervisor.ErrNoMachine)
		} else if err != nil {
			c.wrong("Delete of a VM that is not there = %v", err)
		}
	})
}

// drifted: another VM has the name of the recorded one. A backend that finds
// that one by its UUID cannot always know which name it had: it may serve it,
// but never the other.
func (c *check) drifted(a action, vm hypervisor.Machine) {
	c.add(2, vmName, a.from)
	c.unchanged(func() {
		err := a.do(c.lifecycle(), c.context(), vm.UUID)
		now, _ := c.vm(vm.UUID)
		switch {
		case err != nil:
			c.is(a.name, err, hypervisor.ErrDrift)
			if now.State != a.from {
				c.wrong("%s = %v, but the VM is %s now", a.name, err, now.State)
			}
		case !slices.Contains(a.done, now.State):
			c.wrong("%s succeeded, and the VM is %s", a.name, now.State)
		}
	}, vm.UUID)
}

// replaced: the recorded VM is gone, and another VM has its name. Whether that
// is drift or a VM that is gone, the other VM is let alone.
func (c *check) replaced(a action) {
	c.need(c.w.Remove != nil, "Remove")
	vm := c.in(a.from)
	c.w.Remove(vm.UUID)
	c.add(2, vmName, a.from)
	c.unchanged(func() {
		err := a.do(c.lifecycle(), c.context(), vm.UUID)
		switch {
		case err == nil && a.name == "Delete", errors.Is(err, hypervisor.ErrDrift):
		case errors.Is(err, hypervisor.ErrNoMachine) && a.name != "Delete":
		default:
			c.wrong("%s of a VM whose name another has = %v", a.name, err)
		}
	})
}

// byName: nothing but a UUID names a VM, also where the tool takes names.
func (c *check) byName(a action) {
	c.add(1, vmName, a.from)
	c.add(2, uuid(3), a.from)
	for _, name := range []string{vmName, uuid(3), ""} {
		c.unchanged(func() {
			if err := a.do(c.lifecycle(), c.context(), name); err == nil && a.name != "Delete" {
				c.wrong("%s(%q) succeeded, which is the UUID of no VM", a.name, name)
			}
		})
	}
}

func checkLifecycleAtOnce(c *check) {
	var vms []hypervisor.Machine
	for i := range 6 {
		vms = append(vms, c.add(i, hypervisor.Octet(150+i).VMName(), hypervisor.Stopped))
	}
	var wg sync.WaitGroup
	for _, vm := range vms {
		wg.Go(func() {
			if err := c.lifecycle().Start(c.context(), vm.UUID); err != nil {
				c.wrong("Start of %s beside others = %v", vm.Name, err)
			}
		})
	}
	wg.Wait()
	for _, vm := range vms {
		if now, _ := c.vm(vm.UUID); now.State != hypervisor.Running {
			c.wrong("%s is %s after Start beside others", vm.Name, now.State)
		}
	}
}
