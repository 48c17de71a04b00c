package hypervisortest

import (
	"context"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func adopterCases(h Harness) []testCase {
	cases := []testCase{
		{"Adopted and again", adoptedRepeat, func(c *check) {
			c.neighbours()
			vm := c.adoptee("Debian 13")
			c.unchanged(func() {
				c.adopts(vm)
				first := c.snapshot()
				c.adopts(vm) // as it was recorded
				now, _ := c.vm(vm.UUID)
				now.Addr = vm.Addr
				c.adopts(now) // as Locate finds it
				if again := c.snapshot(); text(again) != text(first) {
					c.wrong("again Adopted changes VMs:\n\tbefore %s\n\tafter  %s", text(first), text(again))
				}
			}, vm.UUID)
		}},
		{"Adopted of a VM that has the name", adoptedRepeat, func(c *check) {
			vm := c.adoptee(vmName)
			c.unchanged(func() { c.adopts(vm) })
		}},
		{"Adopted while another VM has the name", errDrift, func(c *check) {
			vm := c.adoptee("Debian 13")
			c.add(2, vmName, hypervisor.Stopped)
			c.unchanged(func() {
				_ = c.adopter().Adopted(c.context(), octet, vm) // a backend that renames nothing succeeds
			}, vm.UUID)
			if now, ok := c.vm(vm.UUID); !ok || now.Name == vmName && !c.h.UniqueNames {
				c.wrong("after Adopted there is %+v beside another VM of that name", now)
			}
		}},
		{"Adopted while the tool hangs", methodsHonest, func(c *check) {
			vm := c.adoptee("Debian 13")
			c.breakTool(Hang)
			_ = c.ends("Adopted", func(ctx context.Context) error { return c.adopter().Adopted(ctx, octet, vm) })
		}},
	}
	if h.Renames {
		cases = append(cases, testCase{"Adopted renames", adoptedRename, func(c *check) {
			vm := c.adoptee("Debian 13")
			c.adopts(vm)
			if now, _ := c.vm(vm.UUID); now.Name != vmName {
				c.wrong("after Adopted the VM is %+v", now)
			}
		}})
	}
	for _, f := range unanswered() {
		cases = append(cases, testCase{"Adopted " + f.String(), adoptedRepeat, func(c *check) {
			c.neighbours()
			vm := c.adoptee("Debian 13")
			c.breakTool(f)
			c.unchanged(func() {
				// A backend that needs no tool for it succeeds.
				if err := c.adopter().Adopted(c.context(), octet, vm); err == nil && c.h.Renames {
					c.against(adoptedRename, "%s: Adopted succeeded, and the VM is still %q", f, vm.Name)
				}
			})
			c.w.Break(None)
			c.adopts(vm)
		}})
	}
	return cases
}

func (c *check) adopter() hypervisor.Adopter { return c.w.Backend.(hypervisor.Adopter) }

// adoptee is a VM that runs and has the canonical address, as at the end of a
// setup.
func (c *check) adoptee(name string) hypervisor.Machine {
	c.Helper()
	vm := c.addAt(1, name, hypervisor.Running, c.addr(byte(octet)))
	if c.h.NoAddresses {
		vm.Addr = c.addr(byte(octet))
	}
	return vm
}

// adopts checks that Adopted succeeds and leaves the VM running.
func (c *check) adopts(vm hypervisor.Machine) {
	c.Helper()
	err := c.adopter().Adopted(c.context(), octet, vm)
	if now, _ := c.vm(vm.UUID); err != nil || now.State != hypervisor.Running {
		c.wrong("Adopted = %v, and the VM is %s", err, now.State)
	}
}
