package hypervisortest

import (
	"context"
	"os"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func creatorCases(h Harness) []testCase {
	return slices.Concat(createRefusals(), createUnanswered(), createCases(), seedCases(), detachCases(h), shutdownCases(h))
}

// maker is one of the two methods that check whether a VM can be created.
type maker struct {
	name, rule string
	do         func(c *check) (hypervisor.Made, error)
}

func makers() []maker {
	return []maker{
		{"CanCreate", canCreateSays, func(c *check) (hypervisor.Made, error) {
			return hypervisor.Made{}, c.creator().CanCreate(c.context(), octet)
		}},
		{"Create", createChecks, func(c *check) (hypervisor.Made, error) { return c.create(c.spec()) }},
	}
}

// createRefusals: what CanCreate refuses, Create refuses, too, and neither makes
// anything.
func createRefusals() (cases []testCase) {
	for _, m := range makers() {
		refuses := func(name, rule string, want error, prepare func(c *check)) {
			cases = append(cases, testCase{m.name + " " + name, rule, func(c *check) {
				c.neighbours()
				prepare(c)
				c.unchanged(func() {
					made, err := m.do(c)
					c.is(m.name, err, want)
					c.madeNothing(made, err)
				})
			}})
		}
		refuses("while a VM has the name", m.rule, hypervisor.ErrTaken, func(c *check) { c.add(2, vmName, hypervisor.Stopped) })
		refuses("while a VM has the name in other case", errTaken, hypervisor.ErrTaken, func(c *check) { c.add(2, "Mpd-150", hypervisor.Stopped) })
		refuses("while a VM has the address", errTaken, hypervisor.ErrTaken, func(c *check) {
			c.need(!c.h.NoAddresses, "addresses")
			if p, _ := c.w.Backend.Network(c.context()); !p.IsValid() {
				c.Skip("the backend has no network of its own")
			}
			c.addAt(2, "other", hypervisor.Running, c.addr(byte(octet)))
		})
	}
	return cases
}

func createUnanswered() (cases []testCase) {
	for _, m := range makers() {
		for _, f := range unanswered() {
			cases = append(cases, testCase{m.name + " " + f.String(), m.rule, func(c *check) {
				c.neighbours()
				c.breakTool(f)
				c.unchanged(func() {
					made, err := m.do(c)
					c.unanswered(m.name, f, err)
					c.madeNothing(made, err)
				})
				c.w.Break(None)
				if _, err := m.do(c); err != nil {
					c.wrong("%s once the tool works again = %v", m.name, err)
				}
			}})
		}
	}
	return cases
}

func createCases() []testCase {
	cases := []testCase{
		{"CanCreate makes nothing", canCreateSays, func(c *check) {
			c.neighbours()
			c.unchanged(func() {
				if err := c.creator().CanCreate(c.context(), octet); err != nil {
					c.wrong("CanCreate = %v, with nothing in the way", err)
				}
			})
		}},
		{"Create leaves it stopped", createStopped, func(c *check) { c.creates(c.spec()) }},
		{"Create twice", createChecks, func(c *check) {
			c.creates(c.spec())
			c.unchanged(func() {
				_, err := c.create(c.spec())
				c.is("the second Create", err, hypervisor.ErrTaken)
			})
		}},
		{"Create and Start", creatorStarts, func(c *check) { c.starts(c.creates(c.spec()).UUID) }},
		{"Create and the files are deleted", createCopies, func(c *check) {
			spec := c.spec()
			made := c.creates(spec)
			for _, file := range []string{spec.Disk, spec.Seed} {
				if err := os.Remove(file); err != nil {
					c.wrong("after Create: %v", err)
				}
			}
			c.starts(made.UUID)
		}},
		{"Create with sizes", createDisk, func(c *check) {
			c.need(c.w.Sizes != nil, "Sizes")
			spec := c.spec()
			ram, disk := c.w.Sizes(c.creates(spec).UUID)
			if ram != spec.RAM || disk != diskSize {
				c.wrong("the VM has %v of memory and a disk of %v, want %v and %v", ram, disk, spec.RAM, diskSize)
			}
		}},
		{"Create with a MAC", createMAC, func(c *check) {
			c.need(c.w.MAC != nil, "MAC")
			spec := c.spec()
			if mac := c.w.MAC(c.creates(spec).UUID); mac.String() != spec.MAC.String() {
				c.wrong("the VM's card is %v, want %v", mac, spec.MAC)
			}
		}},
		{"Create with drives", createStopped, func(c *check) {
			c.need(c.w.Drives != nil, "Drives")
			if drives := c.w.Drives(c.creates(c.spec()).UUID); len(drives) != 2 {
				c.wrong("the VM has the drives %q, want a disk and a seed", drives)
			}
		}},
		{"Create at the same time", methodsAtOnce, checkCreateAtOnce},
		{"Create that fails after the VM was made", cloneMade, func(c *check) {
			c.breakTool(SilentAfterMaking)
			made, err := c.create(c.spec())
			if there := c.named(vmName); err == nil || len(there) != 1 || !holds(made, there[0]) {
				c.wrong("Create = %+v, %v, and there is %+v", made, err, there)
			}
		}},
		{"Create ends with its context", cloneEnds, func(c *check) {
			spec := c.spec()
			c.breakTool(Hang)
			c.unanswered("Create", Hang, c.ends("Create", func(ctx context.Context) error {
				_, err := c.creator().Create(ctx, spec, nil)
				return err
			}))
			c.leftToLocate("Create")
		}},
		{"Create tells its progress", createProgress, func(c *check) {
			spec := c.spec()
			c.progress("Create", func(progress func(string)) error {
				_, err := c.creator().Create(c.context(), spec, progress)
				return err
			})
		}},
	}
	for _, f := range []Fault{Ignored, Slow, BusyOnce} {
		cases = append(cases, testCase{"Create " + f.String(), createStopped, func(c *check) { c.createsHonestly(f) }})
	}
	return cases
}
