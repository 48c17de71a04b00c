package hypervisortest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func seedCases() []testCase {
	cases := []testCase{
		{"Seed", seedNames, func(c *check) {
			made := c.creates(c.spec())
			c.unchanged(func() {
				drive := c.seed(made.UUID)
				if again := c.seed(made.UUID); again != drive {
					c.wrong("Seed = %q, and then %q", drive, again)
				}
				c.need(c.w.Drives != nil, "Drives")
				if drives := c.w.Drives(made.UUID); !slices.Contains(drives[min(1, len(drives)):], drive) {
					c.wrong("Seed = %q of the drives %q, the first of which is the disk", drive, drives)
				}
			})
		}},
		{"Seed of a VM that is gone", seedGone, func(c *check) {
			c.creates(c.spec())
			drive, err := c.creator().Seed(c.context(), uuid(7))
			c.is(fmt.Sprintf("Seed = %q", drive), err, hypervisor.ErrNoMachine)
		}},
		{"Seed by a name", lifecycleUUID, func(c *check) {
			c.creates(c.spec())
			if drive, err := c.creator().Seed(c.context(), vmName); err == nil {
				c.wrong("Seed(%q) = %q, which is the UUID of no VM", vmName, drive)
			}
		}},
		{"Seed while the tool hangs", methodsHonest, func(c *check) {
			made := c.creates(c.spec())
			c.breakTool(Hang)
			c.unanswered("Seed", Hang, c.ends("Seed", func(ctx context.Context) error { _, err := c.creator().Seed(ctx, made.UUID); return err }))
		}},
	}
	for _, f := range unanswered() {
		cases = append(cases, testCase{"Seed " + f.String(), errNoAnswer, func(c *check) {
			made := c.creates(c.spec())
			c.breakTool(f)
			drive, err := c.creator().Seed(c.context(), made.UUID)
			c.unanswered("Seed", f, err)
			if err != nil && drive != "" {
				c.wrong("%s: Seed = %q beside %v", f, drive, err)
			}
		}})
	}
	return cases
}

// seed is the drive with the seed.
func (c *check) seed(uuid string) string {
	c.Helper()
	drive, err := c.creator().Seed(c.context(), uuid)
	if err != nil || drive == "" {
		c.against(seedNames, "Seed = %q, %v", drive, err)
		c.FailNow()
	}
	return drive
}

func detachCases(h Harness) []testCase {
	cases := []testCase{
		{"Detach", detachTakes, func(c *check) {
			c.need(c.w.Drives != nil, "Drives")
			made, drive, stay := c.seeded()
			other := c.beside()
			c.unchanged(func() { c.detaches(made.UUID, drive, stay) })
			if drives := c.w.Drives(other); len(drives) != 2 {
				c.wrong("Detach of a drive of %s left another VM the drives %q", vmName, drives)
			}
		}},
		{"Detach and Start", detachTakes, func(c *check) {
			made, drive, stay := c.seeded()
			c.detaches(made.UUID, drive, stay)
			c.starts(made.UUID)
		}},
		{"Detach again", detachAgain, func(c *check) {
			made, drive, stay := c.seeded()
			c.detaches(made.UUID, drive, stay)
			c.unchanged(func() { c.detaches(made.UUID, drive, stay) })
		}},
		{"Detach of a VM that is gone", errNoMachine, func(c *check) {
			_, drive, _ := c.seeded()
			c.is("Detach", c.creator().Detach(c.context(), uuid(7), drive), hypervisor.ErrNoMachine)
		}},
		{"Detach by a name", lifecycleUUID, func(c *check) {
			made, drive, _ := c.seeded()
			if err := c.creator().Detach(c.context(), vmName, drive); err == nil {
				c.wrong("Detach(%q) succeeded, which is the UUID of no VM", vmName)
			}
			c.attached(made.UUID, drive)
		}},
		{"Detach while the tool hangs", methodsHonest, func(c *check) {
			made, drive, _ := c.seeded()
			c.breakTool(Hang)
			c.unanswered("Detach", Hang, c.ends("Detach", func(ctx context.Context) error { return c.creator().Detach(ctx, made.UUID, drive) }))
		}},
	}
	for _, s := range []hypervisor.State{hypervisor.Running, hypervisor.Paused, hypervisor.Suspended, unknown} {
		if s != unknown && !h.has(s) {
			continue
		}
		cases = append(cases, testCase{fmt.Sprintf("Detach while %s", s), detachStopped, func(c *check) {
			made, drive, _ := c.seeded()
			c.state(made.UUID, s)
			c.unchanged(func() { c.is("Detach", c.creator().Detach(c.context(), made.UUID, drive), hypervisor.ErrState) })
			c.attached(made.UUID, drive)
		}})
	}
	for _, f := range append(unanswered(), Ignored, Slow, BusyOnce) {
		cases = append(cases, testCase{"Detach " + f.String(), detachFails, func(c *check) { c.detachesHonestly(f) }})
	}
	return cases
}

// seeded is a VM that was made, its drive with the seed, and all others.
func (c *check) seeded() (made hypervisor.Made, drive string, stay []string) {
	c.Helper()
	made = c.creates(c.spec())
	drive = c.seed(made.UUID)
	if c.w.Drives != nil {
		stay = slices.DeleteFunc(slices.Clone(c.w.Drives(made.UUID)), func(d string) bool { return d == drive })
	}
	return made, drive, stay
}

// beside makes another VM.
func (c *check) beside() string {
	c.Helper()
	other, err := c.create(c.specOf(octet + 2))
	if err != nil {
		c.against(createStopped, "Create of another VM = %v", err)
		c.FailNow()
	}
	return other.UUID
}

// detaches takes a drive away and checks what stays.
func (c *check) detaches(uuid, drive string, stay []string) {
	c.Helper()
	if err := c.creator().Detach(c.context(), uuid, drive); err != nil {
		c.fatal("Detach(%q) = %v", drive, err)
	}
	if c.w.Drives == nil {
		return
	}
	if now := c.w.Drives(uuid); !slices.Equal(now, stay) {
		c.wrong("after Detach(%q) the VM has the drives %q, want %q", drive, now, stay)
	}
}

// attached checks that a VM still has a drive.
func (c *check) attached(uuid, drive string) {
	c.Helper()
	if c.w.Drives != nil && !slices.Contains(c.w.Drives(uuid), drive) {
		c.wrong("the drive %q is gone", drive)
	}
}

// detachesHonestly checks that Detach over a fault says success only if the
// drive is gone, and that it can be repeated once the tool works.
func (c *check) detachesHonestly(f Fault) {
	c.need(c.w.Drives != nil, "Drives")
	if f == Ignored && c.h.RealTime {
		c.Skip("the backend's own time limit is too long on a real clock")
	}
	made, drive, stay := c.seeded()
	c.breakTool(f)
	defer c.later()
	err := c.creator().Detach(c.context(), made.UUID, drive)
	if there := slices.Contains(c.w.Drives(made.UUID), drive); err == nil && there {
		c.wrong("%s: Detach succeeded, and the drive is still there", f)
	}
	if slices.Contains(unanswered(), f) {
		c.unanswered("Detach", f, err)
		c.attached(made.UUID, drive)
	}
	c.w.Break(None)
	c.detaches(made.UUID, drive, stay)
}

// shutdownAction: Shutdown is an action like those of Lifecycle, but one that the
// guest may refuse.
func shutdownAction(h Harness) action {
	a := action{"Shutdown", shutdownAsks, shutdownState, shutdown, shutdownEnds, []hypervisor.State{hypervisor.Stopped}, hypervisor.Running}
	if h.DeafGuests {
		a.from = hypervisor.Stopped
		a.ends = func(from hypervisor.State) []hypervisor.State {
			if from == hypervisor.Running {
				return nil
			}
			return shutdownEnds(from)
		}
	}
	return a
}

func shutdownCases(h Harness) []testCase {
	return append(actionCases(shutdownAction(h), h), testCase{"Shutdown of a guest that does not listen", shutdownDeaf, func(c *check) {
		if c.h.RealTime {
			c.Skip("the backend's own time limit is too long on a real clock")
		}
		c.neighbours()
		vm := c.deaf()
		c.unchanged(func() {
			err := c.creator().Shutdown(c.context(), vm.UUID)
			switch {
			case err == nil:
				c.wrong("Shutdown of a guest that does not listen succeeded")
			case errors.Is(err, hypervisor.ErrNoMachine):
				c.against(errNoMachine, "Shutdown of a guest that does not listen = %v", err)
			}
		})
	}})
}

// deaf is a VM that runs and whose guest does not shut down when it is asked to.
func (c *check) deaf() hypervisor.Machine {
	c.Helper()
	vm := c.in(hypervisor.Running)
	if !c.h.DeafGuests {
		c.need(c.w.Deafen != nil, "Deafen")
		c.w.Deafen(vm.UUID)
	}
	return vm
}

func shutdown(l hypervisor.Lifecycle, ctx context.Context, uuid string) error {
	return l.(hypervisor.Creator).Shutdown(ctx, uuid)
}

// shutdownEnds: of a VM that is paused or suspended the contract says nothing.
func shutdownEnds(from hypervisor.State) []hypervisor.State {
	switch from {
	case hypervisor.Running, hypervisor.Stopped:
		return []hypervisor.State{hypervisor.Stopped}
	}
	return nil
}
