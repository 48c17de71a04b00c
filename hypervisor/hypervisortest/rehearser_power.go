package hypervisortest

import (
	"context"
	"fmt"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func rehearsedActions(h Harness) []testCase {
	var cases []testCase
	for _, a := range actions() {
		cases = append(cases, rehearsedAction(a, h)...)
	}
	course := testCase{"one action after the other", rehearsePlan, checkCourse}
	deaf := testCase{"Shutdown of a guest that does not listen", rehearsePlan, func(c *check) {
		vm := c.deaf()
		r := c.rehearse()
		r.unchanged(func() {
			r.does("Shutdown", func() error { return r.creator().Shutdown(r.context(), vm.UUID) })
			vm.State = hypervisor.Stopped
			r.lists(vm)
		})
	}}
	return append(capable[hypervisor.Lifecycle](append(cases, course)), capable[hypervisor.Creator](append(rehearsedAction(shutdownAction(h), h), deaf))...)
}

// rehearsedAction are the cases of one action.
func rehearsedAction(a action, h Harness) []testCase {
	var cases, refusals []testCase
	for _, from := range h.states() {
		if a.ends(from) != nil {
			cases = append(cases, testCase{fmt.Sprintf("%s from %s", a.name, from), rehearsePlan, func(c *check) { c.rehearses(a, from) }})
		}
	}
	refuse := func(name, rule string, run func(c *check)) {
		refusals = append(refusals, testCase{a.name + " " + name, rule, run})
	}
	refuse("in an unknown state", a.unknown, func(c *check) { c.refuses(a) })
	refuse("of a VM that is gone", goneRule(a), func(c *check) { c.gone(a) })
	refuse("after the VM was replaced", lifecycleUUID, func(c *check) { c.replaced(a) })
	refuse("by a name", lifecycleUUID, func(c *check) { c.byName(a) })
	refuse("while the tool hangs", methodsHonest, func(c *check) {
		vm := c.add(1, vmName, a.from)
		c.breakTool(Hang)
		c.unanswered(a.name, Hang, c.ends(a.name, func(ctx context.Context) error { return a.do(c.lifecycle(), ctx, vm.UUID) }))
	})
	for _, f := range unanswered() {
		refuse(f.String(), errNoAnswer, func(c *check) {
			vm := c.in(a.from)
			c.breakTool(f)
			c.unanswered(a.name, f, a.do(c.lifecycle(), c.context(), vm.UUID))
		})
	}
	cases = append(cases, refusedToo(refusals)...)
	return append(cases,
		testCase{a.name + " after the name went to another VM", rehearsePlan, func(c *check) {
			c.need(c.w.Rename != nil, "Rename")
			vm := c.in(a.from)
			c.w.Rename(vm.UUID, "precious")
			c.rehearsesDrift(a, vm)
		}},
		testCase{a.name + " while two VMs have the name", rehearsePlan, func(c *check) {
			c.need(!c.h.UniqueNames, "VMs of one name")
			c.rehearsesDrift(a, c.in(a.from))
		}})
}

// rehearses checks an action in a rehearsal, and then does it: the one must be
// the plan of the other.
func (c *check) rehearses(a action, from hypervisor.State) {
	c.neighbours()
	vm := c.in(from)
	var moves []string
	if passing(from) { // by itself
		moves = append(moves, vm.UUID)
	}
	before := c.sees()
	r := c.rehearse()
	var plan []string
	r.unchanged(func() {
		err := a.do(r.lifecycle(), r.context(), vm.UUID)
		if err != nil {
			c.fatal("a rehearsed %s from %s = %v", a.name, from, err)
		}
		plan = r.sees()
		r.mustBeIdle(a, vm.UUID)
	}, moves...)
	if _, ok := c.vm(vm.UUID); !ok {
		c.against(rehearseSame, "the VM is gone after a rehearsed %s", a.name)
	}
	todo := !slices.Equal(plan, before)
	if n := len(r.told); todo != (n > 0) {
		c.wrong("a rehearsed %s from %s tells %q; something is to be done: %t", a.name, from, r.told, todo)
	}
	n := len(r.told)
	if err := a.do(c.lifecycle(), c.context(), vm.UUID); err != nil {
		c.wrong("%s from %s, after a rehearsal = %v", a.name, from, err)
	}
	c.asPlanned(a.name, plan, "")
	if len(r.told) != n {
		c.against(rehearseSame, "%s of the backend that does not rehearse tells commands", a.name)
	}
}

// mustBeIdle checks that an action that was rehearsed need not be done again.
func (r *rehearsal) mustBeIdle(a action, uuid string) {
	r.Helper()
	r.idles(a.name+" again", func() error { return a.do(r.lifecycle(), r.context(), uuid) })
}

// passing says whether a VM may leave a state by itself.
func passing(s hypervisor.State) bool {
	return slices.Contains([]hypervisor.State{hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming}, s)
}

// rehearsesDrift checks that a rehearsal decides like the backend on a VM that may
// be the wrong one.
func (c *check) rehearsesDrift(a action, vm hypervisor.Machine) {
	c.add(2, vmName, a.from)
	r := c.rehearse()
	var plan error
	r.unchanged(func() { plan = a.do(r.lifecycle(), r.context(), vm.UUID) })
	if plan != nil {
		r.toldNothing(fmt.Sprintf("%s = %v", a.name, plan))
	}
	if err := a.do(c.lifecycle(), c.context(), vm.UUID); !alike(plan, err) {
		c.wrong("%s = %v, and in a rehearsal %v", a.name, err, plan)
	}
}

// checkCourse rehearses a life, and then lives it.
func checkCourse(c *check) {
	c.neighbours()
	vm := c.in(hypervisor.Stopped)
	all := actions()
	course := []action{all[0], all[1], all[0], all[2], all[0], all[3]} // the VM is on whenever another one than Start comes
	r := c.rehearse()
	var plans [][]string
	r.unchanged(func() {
		for _, a := range course {
			r.does(a.name, func() error { return a.do(r.lifecycle(), r.context(), vm.UUID) })
			plans = append(plans, r.sees())
		}
	})
	for i, a := range course {
		if err := a.do(c.lifecycle(), c.context(), vm.UUID); err != nil {
			c.wrong("%s after a rehearsal = %v", a.name, err)
		}
		c.asPlanned(a.name, plans[i], "")
	}
}
