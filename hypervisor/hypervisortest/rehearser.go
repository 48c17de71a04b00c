package hypervisortest

import (
	"errors"
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
				r.asksMore(c)
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

// asksMore asks what only some backends can say; c is the check of the one that
// does not rehearse.
func (r *rehearsal) asksMore(c *check) {
	r.Helper()
	same := func(what string, want, got any, err, err2 error) {
		r.Helper()
		if !reflect.DeepEqual(got, want) || !alike(err, err2) {
			r.wrong("%s = %v, %v, and in a rehearsal %v, %v", what, want, err, got, err2)
		}
	}
	if b, ok := c.w.Backend.(hypervisor.Addresser); ok {
		want, err := b.At(c.context(), c.addr(37))
		got, err2 := r.w.Backend.(hypervisor.Addresser).At(r.context(), c.addr(37))
		same("At", want, got, err, err2)
	}
	if b, ok := c.w.Backend.(hypervisor.Inspector); ok {
		want, err := b.Inspect(c.context())
		got, err2 := r.w.Backend.(hypervisor.Inspector).Inspect(r.context())
		same("Inspect", want, got, err, err2)
	}
	if b, ok := c.w.Backend.(hypervisor.Versioner); ok {
		want, err := b.Version(c.context())
		got, err2 := r.w.Backend.(hypervisor.Versioner).Version(r.context())
		same("Version", want, got, err, err2)
	}
	if _, ok := c.w.Backend.(hypervisor.Creator); ok {
		same("CanCreate", nil, nil, c.creator().CanCreate(c.context(), octet+3), r.creator().CanCreate(r.context(), octet+3))
	}
	if _, ok := c.w.Backend.(hypervisor.Cloner); ok && c.w.AddTemplate != nil {
		c.w.AddTemplate(template)
		spec := hypervisor.CloneSpec{Octet: octet + 3, Template: template}
		same("CanClone", nil, nil, c.cloner().CanClone(c.context(), spec), r.cloner().CanClone(r.context(), spec))
	}
}
