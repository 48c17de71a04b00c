package hypervisortest

import (
	"context"
	"fmt"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func creatorCases(Harness) []testCase {
	cases := []testCase{
		{"Create starts the VM", createStarts, func(c *check) {
			c.neighbours()
			before := c.snapshot()
			made, err := c.create(c.context())
			if err != nil {
				c.fatal("Create = %v", err)
			}
			vm, ok := c.vm(made.UUID)
			if _, old := before[made.UUID]; old || !ok || vm.Name != vmName || vm.State != hypervisor.Running || made.Name != vmName || made.State != hypervisor.Running {
				c.wrong("Create = %+v, and there is %+v; want it running", made, vm)
			}
			after := c.snapshot()
			delete(after, made.UUID)
			if text(after) != text(before) {
				c.wrong("Create changed other VMs:\n\tbefore %s\n\tafter  %s", text(before), text(after))
			}
		}},
		{"Create while a VM has the name", createTaken, func(c *check) { c.createTaken(vmName) }},
		{"Create while a VM has the name in other case", errTaken, func(c *check) { c.createTaken("Mpd-150") }},
		{"Create twice", createTaken, func(c *check) {
			if _, err := c.create(c.context()); err != nil {
				c.fatal("Create = %v", err)
			}
			c.unchanged(func() {
				_, err := c.create(c.context())
				c.is("the second Create", err, hypervisor.ErrTaken)
			})
		}},
		{"Create while the tool hangs", methodsHonest, func(c *check) {
			c.breakTool(Hang)
			c.unanswered("Create", Hang, c.ends("Create", func(ctx context.Context) error { _, err := c.create(ctx); return err }))
		}},
	}
	for _, f := range append(unanswered(), NoStart) {
		cases = append(cases, testCase{"Create " + f.String(), createNothing, func(c *check) {
			c.neighbours()
			c.breakTool(f)
			c.unchanged(func() {
				made, err := c.create(c.context())
				c.unanswered("Create", f, err)
				if err != nil && made != (hypervisor.Machine{}) {
					c.wrong("%s: Create = %+v beside %v", f, made, err)
				}
			})
			c.w.Break(None)
			if _, err := c.create(c.context()); err != nil {
				c.wrong("Create once the tool works again = %v", err)
			}
		}})
	}
	return cases
}

func (c *check) create(ctx context.Context) (hypervisor.Machine, error) {
	return c.w.Backend.(hypervisor.Creator).Create(ctx, hypervisor.CreateSpec{Octet: octet, User: "dev"})
}

func (c *check) createTaken(name string) {
	c.Helper()
	c.add(1, name, hypervisor.Stopped)
	c.unchanged(func() {
		_, err := c.create(c.context())
		c.is(fmt.Sprintf("Create beside a VM %s", name), err, hypervisor.ErrTaken)
	})
}
