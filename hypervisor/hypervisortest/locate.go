package hypervisortest

import (
	"fmt"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func locateCases(h Harness) []testCase {
	if h.Stateless {
		return statelessLocateCases()
	}
	cases := []testCase{
		{"by UUID", locateOrder, func(c *check) {
			want := c.add(1, "renamed", hypervisor.Running)
			c.add(2, vmName, hypervisor.Running)
			c.finds(hypervisor.Query{Octet: octet, UUID: want.UUID}, want)
		}},
		{"by name", locateOrder, func(c *check) {
			want := c.add(1, vmName, hypervisor.Stopped)
			c.add(2, "mpd-151", hypervisor.Stopped)
			c.finds(hypervisor.Query{Octet: octet}, want)
		}},
		{"by name before the address", locateOrder, func(c *check) {
			want := c.addAt(1, vmName, hypervisor.Running, c.addr(38))
			c.addAt(2, "other", hypervisor.Running, c.addr(37))
			c.finds(hypervisor.Query{Octet: octet, Addr: c.addr(37)}, want)
		}},
		{"by address", queryAddr, func(c *check) {
			c.need(!c.h.NoAddresses, "addresses")
			want := c.addAt(1, "Debian 13", hypervisor.Running, c.addr(37))
			c.addAt(2, "other", hypervisor.Running, c.addr(38))
			c.finds(hypervisor.Query{Octet: octet, Addr: c.addr(37)}, want)
		}},
		{"a known UUID decides alone", queryUUID, func(c *check) {
			c.addAt(1, vmName, hypervisor.Running, c.addr(37))
			c.findsNot(hypervisor.Query{Octet: octet, UUID: uuid(9), Addr: c.addr(37)}, hypervisor.ErrNoMachine)
		}},
		{"none fits", locateErrors, func(c *check) {
			c.addAt(1, "mpd-151", hypervisor.Running, c.addr(37))
			c.findsNot(hypervisor.Query{Octet: octet}, hypervisor.ErrNoMachine)
			c.findsNot(hypervisor.Query{Octet: octet, Addr: c.addr(38)}, hypervisor.ErrNoMachine)
		}},
		{"no VM at all", locateErrors, func(c *check) {
			c.findsNot(hypervisor.Query{Octet: octet}, hypervisor.ErrNoMachine)
			c.findsNot(hypervisor.Query{Octet: octet, UUID: uuid(1)}, hypervisor.ErrNoMachine)
			c.findsNot(hypervisor.Query{Octet: octet, Addr: c.addr(37)}, hypervisor.ErrNoMachine)
		}},
		{"the whole name", locateOrder, func(c *check) {
			for i, name := range []string{"mpd-1500", "mpd-150-old", "old-mpd-150", "mpd-15", "mpd 150", "mpd-150 (1)"} {
				c.add(i, name, hypervisor.Stopped)
			}
			c.findsNot(hypervisor.Query{Octet: octet}, hypervisor.ErrNoMachine)
		}},
		{"the whole address", locateOrder, func(c *check) {
			c.need(!c.h.NoAddresses, "addresses")
			c.addAt(1, "one", hypervisor.Running, c.addr(37))
			c.findsNot(hypervisor.Query{Octet: octet, Addr: c.addr(3)}, hypervisor.ErrNoMachine)
		}},
		{"two of one name", locateErrors, func(c *check) {
			c.need(!c.h.UniqueNames, "VMs of one name")
			one, two := c.add(1, vmName, hypervisor.Stopped), c.add(2, vmName, hypervisor.Running)
			c.findsNot(hypervisor.Query{Octet: octet}, hypervisor.ErrAmbiguous)
			c.finds(hypervisor.Query{Octet: octet, UUID: one.UUID}, one)
			c.finds(hypervisor.Query{Octet: octet, UUID: two.UUID}, two)
		}},
		{"two at one address", errAmbiguous, func(c *check) {
			c.need(!c.h.NoAddresses, "addresses")
			c.addAt(1, "one", hypervisor.Running, c.addr(37))
			c.addAt(2, "two", hypervisor.Running, c.addr(37))
			c.findsNot(hypervisor.Query{Octet: octet, Addr: c.addr(37)}, hypervisor.ErrAmbiguous)
		}},
		{"the address", locateAddr, func(c *check) {
			c.need(!c.h.NoAddresses, "addresses")
			vm := c.addAt(1, vmName, hypervisor.Running, c.addr(37))
			for _, q := range []hypervisor.Query{{Octet: octet}, {Octet: octet, UUID: vm.UUID}} {
				if got, err := c.w.Backend.Locate(c.context(), q); err != nil || got.Addr != c.addr(37) {
					c.wrong("Locate(%+v) = %+v, %v; the guest is at %v", q, got, err, c.addr(37))
				}
			}
		}},
		{"no address is known", locateAddr, func(c *check) {
			c.add(1, vmName, hypervisor.Running)
			if got, err := c.w.Backend.Locate(c.context(), hypervisor.Query{Octet: octet}); err != nil || got.Addr != (netip.Addr{}) {
				c.wrong("Locate = %+v, %v; the guest has no address", got, err)
			}
		}},
		{"the state", machineState, func(c *check) {
			vm := c.add(1, vmName, hypervisor.Stopped)
			for _, s := range append(c.h.states(), unknown) {
				c.state(vm.UUID, s)
				vm.State = s
				c.finds(hypervisor.Query{Octet: octet}, vm)
				c.finds(hypervisor.Query{Octet: octet, UUID: vm.UUID}, vm)
			}
		}},
	}
	for _, f := range unanswered() {
		cases = append(cases, testCase{f.String(), errNoAnswer, func(c *check) {
			vm := c.addAt(1, vmName, hypervisor.Running, c.addr(37))
			queries := []hypervisor.Query{
				{Octet: octet}, {Octet: octet, UUID: vm.UUID}, {Octet: octet, UUID: uuid(9)},
				{Octet: octet + 1}, {Octet: octet + 1, Addr: c.addr(37)},
			}
			c.breakTool(f)
			for _, q := range queries {
				got, err := c.w.Backend.Locate(c.context(), q)
				c.unanswered(fmt.Sprintf("Locate(%+v)", q), f, err)
				if err != nil && got != (hypervisor.Machine{}) {
					c.wrong("Locate(%+v) = %+v beside %v", q, got, err)
				}
			}
		}})
	}
	return cases
}

// finds checks that Locate returns a VM; its address is checked elsewhere.
func (c *check) finds(q hypervisor.Query, want hypervisor.Machine) {
	c.Helper()
	got, err := c.w.Backend.Locate(c.context(), q)
	if err != nil || got.UUID != want.UUID || got.Name != want.Name || got.State != want.State {
		c.wrong("Locate(%+v) = %+v, %v; want %+v", q, got, err, want)
	}
}

// findsNot checks the error of Locate, and that no VM is beside it.
func (c *check) findsNot(q hypervisor.Query, want error) {
	c.Helper()
	got, err := c.w.Backend.Locate(c.context(), q)
	c.is(fmt.Sprintf("Locate(%+v) = %+v", q, got), err, want)
	if err != nil && got != (hypervisor.Machine{}) {
		c.wrong("Locate(%+v) = %+v beside %v", q, got, err)
	}
}

// statelessLocateCases are those of a backend that has nobody to ask.
func statelessLocateCases() []testCase {
	return []testCase{
		{"the address is believed", queryAddr, func(c *check) {
			for _, q := range []hypervisor.Query{{Octet: octet, Addr: c.addr(37)}, {Octet: octet, UUID: uuid(1), Addr: c.addr(37)}} {
				if vm, err := c.w.Backend.Locate(c.context(), q); err != nil || vm.Addr != q.Addr {
					c.wrong("Locate(%+v) = %+v, %v", q, vm, err)
				}
			}
		}},
		{"without an address", locateErrors, func(c *check) {
			c.findsNot(hypervisor.Query{Octet: octet}, hypervisor.ErrNoMachine)
			c.findsNot(hypervisor.Query{Octet: octet, UUID: uuid(1)}, hypervisor.ErrNoMachine)
		}},
		{"no state", stateUnasked, func(c *check) {
			if vm, err := c.w.Backend.Locate(c.context(), hypervisor.Query{Octet: octet, Addr: c.addr(37)}); err != nil || vm.State != "" {
				c.wrong("Locate = %+v, %v", vm, err)
			}
		}},
	}
}
