package hypervisortest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func rehearserCases(h Harness) []testCase {
	return slices.Concat(rehearsedQuestions(), rehearsedActions(h), rehearsedClones(), rehearsedCreates(), rehearsedAdoptions())
}

// rehearsal is a check of the backend that Rehearse returned, over the VMs of the
// case.
type rehearsal struct {
	*check
	mu   sync.Mutex
	told []hypervisor.Command
}

// rehearse begins a rehearsal. It checks the commands that are told, and skips the
// case over a backend that has other capabilities then, which is a case of its own.
func (c *check) rehearse() *rehearsal {
	c.Helper()
	r := c.twin()
	for _, capability := range capabilities() {
		if has(c.w.Backend, capability) != has(r.w.Backend, capability) {
			c.Skipf("only one of the backend and its rehearsal is a %v", capability)
		}
	}
	return r
}

func (c *check) twin() *rehearsal {
	r := &rehearsal{}
	twin := *c
	r.check = &twin
	var inside atomic.Bool
	twin.w.Backend = c.w.Backend.(hypervisor.Rehearser).Rehearse(func(told hypervisor.Command) {
		if inside.Swap(true) {
			r.against(rehearseTells, "tell is called while it is at work")
		}
		if len(told.Argv) == 0 || told.Argv[0] == "" {
			r.against(rehearseTells, "tell gets the command %+v, which no program runs", told)
		}
		if !c.h.RealTime { // others would come in now
			<-time.After(time.Millisecond)
		}
		r.mu.Lock()
		r.told = append(r.told, told)
		r.mu.Unlock()
		inside.Store(false)
	})
	return r
}

// capabilities are the interfaces of package hypervisor. A test compares them.
func capabilities() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[hypervisor.Hypervisor](), reflect.TypeFor[hypervisor.Creator](), reflect.TypeFor[hypervisor.Cloner](),
		reflect.TypeFor[hypervisor.Resizer](), reflect.TypeFor[hypervisor.Lifecycle](), reflect.TypeFor[hypervisor.Rehearser](),
		reflect.TypeFor[hypervisor.Inspector](), reflect.TypeFor[hypervisor.Addresser](), reflect.TypeFor[hypervisor.Adopter](),
		reflect.TypeFor[hypervisor.Versioner](),
	}
}

func has(b hypervisor.Hypervisor, capability reflect.Type) bool {
	return b != nil && reflect.TypeOf(b).Implements(capability)
}

// capable skips a case about a capability that the backend does not have.
func capable[Capability any](cases []testCase) []testCase {
	for i, tc := range cases {
		cases[i].run = func(c *check) {
			if _, ok := c.w.Backend.(Capability); !ok {
				c.Skipf("the backend is no %v", reflect.TypeFor[Capability]())
			}
			tc.run(c)
		}
	}
	return cases
}

// refusedToo are cases of a method that is refused, in a rehearsal.
func refusedToo(cases []testCase) (out []testCase) {
	for _, tc := range cases {
		out = append(out, testCase{tc.name, tc.rule, func(c *check) {
			r := c.rehearse()
			tc.run(r.check)
			r.toldNothing(tc.name)
		}})
	}
	return out
}

// tells is how many commands are told while f runs.
func (r *rehearsal) tells(f func()) int {
	before := len(r.told)
	f()
	return len(r.told) - before
}

func (r *rehearsal) toldNothing(what string) {
	r.Helper()
	if len(r.told) > 0 {
		r.against(rehearsePlan, "%s: the rehearsal tells %q", what, r.told)
	}
}

// does checks that f succeeds and tells something.
func (r *rehearsal) does(what string, f func() error) {
	r.Helper()
	var err error
	if n := r.tells(func() { err = f() }); err != nil || n == 0 {
		r.against(rehearsePlan, "a rehearsed %s = %v, and tells %d commands", what, err, n)
	}
}

// idles checks that f succeeds and tells nothing.
func (r *rehearsal) idles(what string, f func() error) {
	r.Helper()
	var err error
	if n := r.tells(func() { err = f() }); err != nil || n > 0 {
		r.against(rehearsePlan, "a rehearsed %s, where nothing is to be done, = %v, and tells %q", what, err, r.told[len(r.told)-n:])
	}
}

// sees is the backend's own list of VMs.
func (c *check) sees() []string {
	c.Helper()
	vms, err := c.w.Backend.States(c.context())
	if err != nil {
		c.against(statesAll, "States = %v", err)
		c.FailNow()
	}
	return lines(vms)
}

// asPlanned checks that the VMs are as a rehearsal had them, with the UUID of one
// that was made.
func (c *check) asPlanned(what string, plan []string, uuid string) {
	c.Helper()
	for i := range plan {
		plan[i] = strings.Replace(plan[i], hypervisor.NilUUID, uuid, 1)
	}
	slices.Sort(plan)
	if now := slices.Sorted(slices.Values(c.sees())); !slices.Equal(now, plan) {
		c.against(rehearsePlan, "after %s there is\n\t%q, and in the rehearsal there was\n\t%q", what, now, plan)
	}
}

// alike says whether two errors are the same to those who decide on them.
func alike(a, b error) bool {
	for _, kind := range []error{hypervisor.ErrToolMissing, hypervisor.ErrNoMachine, hypervisor.ErrAmbiguous, hypervisor.ErrDrift, hypervisor.ErrTaken,
		hypervisor.ErrNoTemplate, hypervisor.ErrState, hypervisor.ErrService, hypervisor.ErrLicense, hypervisor.ErrNetwork} {
		if errors.Is(a, kind) != errors.Is(b, kind) {
			return false
		}
	}
	return (a == nil) == (b == nil)
}

func rehearsedQuestions() []testCase {
	return []testCase{
		{"capabilities", rehearseSame, func(c *check) {
			r := c.twin()
			for _, capability := range capabilities() {
				if own, its := has(c.w.Backend, capability), has(r.w.Backend, capability); own != its {
					c.wrong("the backend is a %v: %t; and in a rehearsal: %t", capability, own, its)
				}
			}
		}},
		{"Name and Network", rehearseSame, func(c *check) {
			r := c.rehearse()
			if name := r.w.Backend.Name(); name != c.w.Backend.Name() {
				c.wrong("Name = %q, and in a rehearsal %q", c.w.Backend.Name(), name)
			}
			want, err := c.w.Backend.Network(c.context())
			if got, err2 := r.w.Backend.Network(c.context()); got != want || !alike(err, err2) {
				c.wrong("Network = %v, %v, and in a rehearsal %v, %v", want, err, got, err2)
			}
		}},
		{"questions", rehearseTells, func(c *check) {
			vm := c.addAt(1, vmName, hypervisor.Running, c.addr(37))
			c.neighbours()
			r := c.rehearse()
			r.unchanged(func() {
				if got, want := r.sees(), c.sees(); !slices.Equal(got, want) {
					c.wrong("States = %q, and in a rehearsal %q", want, got)
				}
				if err := r.w.Backend.Available(c.context()); err != nil {
					c.wrong("Available = %v in a rehearsal", err)
				}
				for _, q := range []hypervisor.Query{{Octet: octet}, {Octet: octet, UUID: vm.UUID}, {Octet: octet + 3, Addr: c.addr(37)}} {
					want, err := c.w.Backend.Locate(c.context(), q)
					if got, err2 := r.w.Backend.Locate(c.context(), q); got != want || !alike(err, err2) {
						c.wrong("Locate(%+v) = %+v, %v, and in a rehearsal %+v, %v", q, want, err, got, err2)
					}
				}
			})
			r.toldNothing("questions")
		}},
		{"what others do meanwhile", rehearseTells, func(c *check) {
			r := c.rehearse()
			c.add(2, "late", hypervisor.Running)
			if got, want := r.sees(), c.sees(); !slices.Equal(got, want) {
				c.wrong("States = %q, and in a rehearsal that began before %q", want, got)
			}
		}},
	}
}

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
