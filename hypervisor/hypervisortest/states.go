package hypervisortest

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// most is how many VMs can have an octet.
const most = int(hypervisor.LastOctet-hypervisor.FirstOctet) + 1

func stateCases(h Harness) []testCase {
	if h.Stateless {
		return []testCase{{"none", statesNone, func(c *check) {
			if vms, err := c.w.Backend.States(c.context()); vms != nil || err != nil {
				c.wrong("States = %v, %v", vms, err)
			}
		}}}
	}
	cases := []testCase{
		{"no VM", statesAll, func(c *check) { c.lists() }},
		{"all VMs, also those that are not ours", statesAll, func(c *check) {
			c.lists(c.add(1, vmName, hypervisor.Running), c.add(2, "mpd-151", hypervisor.Stopped),
				c.add(3, "Windows 11", hypervisor.Running), c.add(4, "mpd-99", hypervisor.Stopped))
		}},
		{"odd names", statesAll, func(c *check) {
			var want []hypervisor.Machine
			for i, name := range []string{"mpd-150 exist running", `say "hello"`, "it's", `back\slash`, "a/b", "Übung ☃", "[{}]", "-", " two  spaces "} {
				want = append(want, c.add(i, name, hypervisor.Stopped))
			}
			c.lists(want...)
		}},
		{"one call for all", statesAll, func(c *check) {
			c.need(c.w.Calls != nil, "Calls")
			var want []hypervisor.Machine
			for i := range most {
				want = append(want, c.add(i, (hypervisor.FirstOctet+hypervisor.Octet(i)).VMName(), hypervisor.Stopped))
			}
			before := c.w.Calls()
			c.lists(want...)
			if n := c.w.Calls() - before; n != 1 {
				c.wrong("%d calls for %d VMs", n, most)
			}
		}},
		{"each state", machineState, func(c *check) {
			vm := c.add(1, vmName, hypervisor.Stopped)
			for _, s := range c.h.states() {
				c.state(vm.UUID, s)
				vm.State = s
				c.lists(vm)
			}
		}},
		{"an unknown state", stateUnknown, func(c *check) {
			vm := c.add(1, vmName, hypervisor.Stopped)
			c.state(vm.UUID, unknown)
			vm.State = unknown
			c.lists(vm)
		}},
	}
	for _, f := range unanswered() {
		cases = append(cases, testCase{f.String(), statesUnread, func(c *check) {
			c.add(1, vmName, hypervisor.Running)
			c.breakTool(f)
			vms, err := c.w.Backend.States(c.context())
			c.unanswered("States", f, err)
			if err != nil && vms != nil {
				c.wrong("States = %v beside %v", vms, err)
			}
		}})
	}
	return cases
}

// lists checks that States returns these VMs, in any order; addresses aside.
func (c *check) lists(want ...hypervisor.Machine) {
	c.Helper()
	got, err := c.w.Backend.States(c.context())
	if err != nil {
		c.wrong("States = %v", err)
		return
	}
	if g, w := lines(got), lines(want); !slices.Equal(g, w) {
		c.wrong("States =\n\t%q, want\n\t%q", g, w)
	}
}

func lines(vms []hypervisor.Machine) []string {
	vms = slices.SortedFunc(slices.Values(vms), func(a, b hypervisor.Machine) int { return cmp.Compare(a.UUID, b.UUID) })
	out := make([]string, len(vms))
	for i, vm := range vms {
		out[i] = fmt.Sprintf("%s %s %s", vm.UUID, vm.Name, vm.State)
	}
	return out
}
