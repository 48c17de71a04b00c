package hypervisortest

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func clonerCases(Harness) []testCase { return append(cloneRefusals(), cloneCases()...) }

// cloneRefusals: what CanClone refuses, Clone refuses, too, and neither makes
// anything.
func cloneRefusals() (cases []testCase) {
	for _, m := range []struct {
		name, rule string
		do         func(c *check, spec hypervisor.CloneSpec) error
	}{
		{"CanClone", canCloneSays, func(c *check, spec hypervisor.CloneSpec) error { return c.cloner().CanClone(c.context(), spec) }},
		{"Clone", cloneChecks, func(c *check, spec hypervisor.CloneSpec) error { _, err := c.clone(spec); return err }},
	} {
		refuses := func(name, rule string, spec hypervisor.CloneSpec, want error, prepare func(c *check)) {
			cases = append(cases, testCase{m.name + " " + name, rule, func(c *check) {
				c.templates()
				c.add(8, "mpd-151", hypervisor.Running)
				prepare(c)
				c.unchanged(func() { c.is(m.name, m.do(c, spec), want) })
			}})
		}
		spec := hypervisor.CloneSpec{Octet: octet, Template: template}
		refuses("while a VM has the name", m.rule, spec, hypervisor.ErrTaken, func(c *check) { c.add(2, vmName, hypervisor.Stopped) })
		refuses("while a VM has the name in other case", errTaken, spec, hypervisor.ErrTaken, func(c *check) { c.add(2, "Mpd-150", hypervisor.Stopped) })
		refuses("while a VM has the address", errTaken, spec, hypervisor.ErrTaken, func(c *check) {
			c.need(!c.h.NoAddresses, "addresses")
			if p, _ := c.w.Backend.Network(c.context()); !p.IsValid() {
				c.Skip("the backend has no network of its own")
			}
			c.addAt(2, "other", hypervisor.Running, c.addr(byte(octet)))
		})
		refuses("without a template of that name", m.rule, hypervisor.CloneSpec{Octet: octet, Template: "no-such"}, hypervisor.ErrNoTemplate, func(*check) {})
		refuses("from a VM that is no template", errNoTemplate, hypervisor.CloneSpec{Octet: octet, Template: "mpd-151"}, hypervisor.ErrNoTemplate, func(*check) {})
		cases = append(cases, testCase{m.name + " lists the templates", errNoTemplate, func(c *check) {
			c.templates()
			err := m.do(c, hypervisor.CloneSpec{Octet: octet, Template: "no-such"})
			for _, name := range []string{template, "mpd-sandbox-trixie"} {
				if err == nil || !strings.Contains(err.Error(), name) {
					c.wrong("%s = %v, without the template %s", m.name, err, name)
				}
			}
		}})
		for _, f := range unanswered() {
			cases = append(cases, testCase{m.name + " " + f.String(), m.rule, func(c *check) {
				c.templates()
				c.breakTool(f)
				c.unchanged(func() {
					err := m.do(c, spec)
					c.unanswered(m.name, f, err)
					if errors.Is(err, hypervisor.ErrNoTemplate) {
						c.wrong("%s: %s = %v", f, m.name, err)
					}
				})
			}})
		}
	}
	return cases
}

func cloneCases() []testCase {
	return []testCase{
		{"CanClone makes nothing", canCloneSays, func(c *check) {
			c.templates()
			c.add(8, "mpd-151", hypervisor.Running)
			c.unchanged(func() {
				if err := c.cloner().CanClone(c.context(), hypervisor.CloneSpec{Octet: octet, Template: template}); err != nil {
					c.wrong("CanClone = %v, with nothing in the way", err)
				}
			})
		}},
		{"Clone leaves it stopped", cloneStopped, func(c *check) { c.makes(hypervisor.CloneSpec{Octet: octet, Template: template}) }},
		{"Clone linked", specLinked, func(c *check) { c.makes(hypervisor.CloneSpec{Octet: octet, Template: template, Linked: true}) }},
		{"Clone twice", cloneChecks, func(c *check) {
			c.makes(hypervisor.CloneSpec{Octet: octet, Template: template})
			c.unchanged(func() {
				_, err := c.clone(hypervisor.CloneSpec{Octet: octet, Template: template})
				c.is("the second Clone", err, hypervisor.ErrTaken)
			})
		}},
		{"Clone and Start", clonerStarts, func(c *check) {
			made := c.makes(hypervisor.CloneSpec{Octet: octet, Template: template})
			err := c.cloner().Start(c.context(), made.UUID)
			if vm, _ := c.vm(made.UUID); err != nil || vm.State != hypervisor.Running {
				c.wrong("Start of the clone = %v, and it is %s", err, vm.State)
			}
		}},
		{"Clone with sizes", specAsTemplate, checkSizes},
		{"Clone while sizes are refused", cloneSize, func(c *check) {
			c.templates()
			c.breakTool(SizesRefused)
			made, err := c.clone(hypervisor.CloneSpec{Octet: octet, Template: template, RAM: 6 * hypervisor.GiB, Disk: 512 * hypervisor.GiB})
			if vm, ok := c.vm(made.UUID); err != nil || len(made.Warnings) == 0 || !ok || vm.Name != vmName {
				c.wrong("Clone = %+v, %v; want a VM and warnings", made, err)
			}
		}},
		{"Clone that fails after the VM was made", cloneMade, func(c *check) {
			c.templates()
			c.breakTool(SilentAfterMaking)
			made, err := c.clone(hypervisor.CloneSpec{Octet: octet, Template: template, RAM: 6 * hypervisor.GiB})
			if there := c.named(vmName); err == nil || len(there) != 1 || made.Name != vmName {
				c.wrong("Clone = %+v, %v, and there is %+v", made, err, there)
			}
		}},
		{"Clone ends with its context", cloneEnds, func(c *check) {
			c.templates()
			c.breakTool(Hang)
			c.unanswered("Clone", Hang, c.ends("Clone", func(ctx context.Context) error {
				_, err := c.cloner().Clone(ctx, hypervisor.CloneSpec{Octet: octet, Template: template}, nil)
				return err
			}))
			c.leftToLocate("Clone")
		}},
		{"progress", cloneProgress, func(c *check) {
			c.templates()
			c.progress("Clone", func(progress func(string)) error {
				_, err := c.cloner().Clone(c.context(), hypervisor.CloneSpec{Octet: octet, Template: template}, progress)
				return err
			})
		}},
	}
}

func (c *check) cloner() hypervisor.Cloner { return c.w.Backend.(hypervisor.Cloner) }

// templates makes two templates.
func (c *check) templates() {
	c.Helper()
	c.need(c.w.AddTemplate != nil, "AddTemplate")
	c.w.AddTemplate(template)
	c.w.AddTemplate("mpd-sandbox-trixie")
}

func (c *check) clone(spec hypervisor.CloneSpec) (hypervisor.Made, error) {
	return c.cloner().Clone(c.context(), spec, nil)
}

// makes clones a VM and checks what came of it.
func (c *check) makes(spec hypervisor.CloneSpec) hypervisor.Made {
	c.Helper()
	c.templates()
	c.add(8, "mpd-151", hypervisor.Running)
	before := c.snapshot()
	made, err := c.clone(spec)
	if err != nil {
		c.fatal("Clone(%+v) = %v", spec, err)
	}
	if _, old := before[made.UUID]; old || made.UUID == "" {
		c.wrong("Clone = %+v, want a VM with a UUID of its own", made)
	}
	vm, ok := c.vm(made.UUID)
	if !ok || vm.Name != vmName || vm.State != hypervisor.Stopped || made.Name != vmName || made.State != hypervisor.Stopped {
		c.fatal("Clone = %+v, and there is %+v; want it stopped", made, vm)
	}
	if made.Addr != (netip.Addr{}) {
		c.against(locateAddr, "Clone = %+v, but a stopped VM has no address", made)
	}
	after := c.snapshot()
	delete(after, made.UUID)
	if text(after) != text(before) {
		c.wrong("Clone changed other VMs:\n\tbefore %s\n\tafter  %s", text(before), text(after))
	}
	return made
}

func checkSizes(c *check) {
	c.need(c.w.Sizes != nil, "Sizes")
	made := c.makes(hypervisor.CloneSpec{Octet: octet, Template: template})
	ram, disk := c.w.Sizes(made.UUID)
	big, err := c.clone(hypervisor.CloneSpec{Octet: octet + 2, Template: template, RAM: 2 * ram, Disk: 2 * disk})
	if err != nil || len(big.Warnings)+len(made.Warnings) > 0 {
		c.fatal("Clone with sizes = %+v, %v", big, err)
	}
	if r, d := c.w.Sizes(big.UUID); r != 2*ram || d != 2*disk {
		c.wrong("a clone has %v and %v, want %v and %v", r, d, 2*ram, 2*disk)
	}
	same, err := c.clone(hypervisor.CloneSpec{Octet: octet + 3, Template: template})
	if err != nil {
		c.fatal("Clone without sizes = %v", err)
	}
	if r, d := c.w.Sizes(same.UUID); r != ram || d != disk {
		c.wrong("a clone without sizes has %v and %v; want the template's %v and %v", r, d, ram, disk)
	}
}

// later lets pass what a slow tool still does.
func (c *check) later() {
	if !c.h.RealTime {
		<-time.After(time.Minute)
	}
}

// settle lets goroutines end that outlive their call.
func (c *check) settle() {
	if !c.h.RealTime {
		synctest.Wait()
	}
}

// leftToLocate checks that Locate finds what a call left that was ended.
func (c *check) leftToLocate(what string) {
	c.Helper()
	c.w.Break(None)
	c.settle()
	vm, err := c.w.Backend.Locate(c.context(), hypervisor.Query{Octet: octet})
	if left := c.named(vmName); len(left) == 0 {
		c.is("Locate after a "+what+" that left nothing", err, hypervisor.ErrNoMachine)
	} else if err != nil || vm.UUID != left[0].UUID {
		c.wrong("Locate = %+v, %v after a %s that left %+v", vm, err, what, left[0])
	}
}

// progress checks what a call tells while it runs.
func (c *check) progress(what string, call func(progress func(string)) error) {
	c.Helper()
	var inside, after atomic.Bool
	err := call(func(line string) {
		if inside.Swap(true) {
			c.wrong("progress is called from two goroutines at a time")
		}
		if after.Load() {
			c.wrong("progress gets %q after the return", line)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
			c.wrong("progress gets %q, which is not a line", line)
		}
		if !c.h.RealTime { // others would come in now
			<-time.After(time.Millisecond)
		}
		inside.Store(false)
	})
	after.Store(true)
	if err != nil {
		c.fatal("%s = %v", what, err)
	}
	c.later() // late calls would come now
}
