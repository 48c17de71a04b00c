package hypervisortest

import (
	"fmt"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func rehearsedClones() []testCase {
	plain := hypervisor.CloneSpec{Octet: octet, Template: template}
	large := plain
	large.RAM, large.Disk = 6*hypervisor.GiB, 512*hypervisor.GiB
	linked := plain
	linked.Linked = true
	cases := refusedToo(cloneRefusals())
	for _, tc := range []struct {
		name string
		spec hypervisor.CloneSpec
	}{{"Clone", plain}, {"Clone linked", linked}, {"Clone with sizes", large}} {
		cases = append(cases, testCase{tc.name, rehearseMade, func(c *check) {
			c.templates()
			c.neighbours()
			r := c.rehearse()
			r.makes("Clone", func() (hypervisor.Made, error) { return r.clone(tc.spec) })
			plan := r.sees()
			made, err := c.clone(tc.spec)
			if err != nil {
				c.fatal("Clone after a rehearsal = %v", err)
			}
			c.asPlanned(tc.name, plan, made.UUID)
		}})
	}
	cases = capable[hypervisor.Cloner](append(cases,
		testCase{"Clone twice", rehearsePlan, func(c *check) {
			c.templates()
			r := c.rehearse()
			r.makes("Clone", func() (hypervisor.Made, error) { return r.clone(plain) })
			n := r.tells(func() {
				_, err := r.clone(plain)
				r.is("the second Clone", err, hypervisor.ErrTaken)
				r.is("CanClone after Clone", r.cloner().CanClone(r.context(), plain), hypervisor.ErrTaken)
			})
			if n > 0 {
				c.wrong("a second Clone is refused, and tells %q", r.told)
			}
		}},
		testCase{"Clone and Start", rehearsePlan, func(c *check) {
			c.templates()
			r := c.rehearse()
			r.makes("Clone", func() (hypervisor.Made, error) { return r.clone(plain) })
			r.unchanged(r.starts)
		}},
	))
	return append(cases, rehearsedResizes(plain)...)
}

func rehearsedResizes(spec hypervisor.CloneSpec) []testCase {
	resize := func(c *check, fault Fault) {
		made := c.makes(spec)
		r := c.rehearse()
		if fault != None {
			c.breakTool(fault)
		}
		c.need(c.w.Sizes != nil, "Sizes")
		ram, disk := c.w.Sizes(made.UUID)
		want := spec
		want.RAM, want.Disk = 2*ram, 2*disk
		again := func() error {
			warnings, err := r.resize(made.UUID, want)
			if len(warnings) > 0 {
				c.wrong("a rehearsed Resize warns %q", warnings)
			}
			return err
		}
		r.unchanged(func() {
			r.does("Resize", again)
			r.idles("Resize again", again)
		})
		if nowRAM, nowDisk := c.w.Sizes(made.UUID); nowRAM != ram || nowDisk != disk {
			c.against(rehearseSame, "after a rehearsed Resize the VM has %v and %v, and had %v and %v", nowRAM, nowDisk, ram, disk)
		}
	}
	return capable[hypervisor.Resizer]([]testCase{
		{"Resize", rehearseWarnings, func(c *check) { resize(c, None) }},
		{"Resize while sizes are refused", rehearseWarnings, func(c *check) { resize(c, SizesRefused) }},
		{"Resize to what it has", rehearsePlan, func(c *check) {
			made := c.makes(spec)
			r := c.rehearse()
			same := spec
			if c.w.Sizes != nil {
				same.RAM, same.Disk = c.w.Sizes(made.UUID)
			}
			for _, spec := range []hypervisor.CloneSpec{spec, same} {
				r.idles("Resize", func() error { _, err := r.resize(made.UUID, spec); return err })
			}
		}},
	})
}

// makes checks a Clone or Create that is rehearsed.
func (r *rehearsal) makes(what string, do func() (hypervisor.Made, error)) {
	r.Helper()
	var made hypervisor.Made
	before := r.sees()
	want := hypervisor.Machine{UUID: hypervisor.NilUUID, Name: vmName, State: hypervisor.Stopped}
	r.unchanged(func() {
		r.does(what, func() (err error) { made, err = do(); return err })
	})
	if made.Machine != want || len(made.Warnings) > 0 {
		r.against(rehearseMade, "a rehearsed %s = %+v, want %+v", what, made, want)
	}
	r.located(want)
	plan := slices.Sorted(slices.Values(append(before, lines([]hypervisor.Machine{want})...)))
	if now := slices.Sorted(slices.Values(r.sees())); !slices.Equal(now, plan) {
		r.against(rehearsePlan, "after a rehearsed %s it sees %q, want %q", what, now, plan)
	}
}

// located checks that a VM is found by its name and by its UUID, with no address.
func (r *rehearsal) located(want hypervisor.Machine) {
	r.Helper()
	for _, q := range []hypervisor.Query{{Octet: octet}, {Octet: octet, UUID: want.UUID}} {
		if vm, err := r.w.Backend.Locate(r.context(), q); err != nil || vm != want {
			r.against(rehearseMade, "Locate(%+v) in a rehearsal = %+v, %v; want %+v", q, vm, err, want)
		}
	}
}

// starts checks that a VM which is not made yet can be started in a rehearsal.
func (r *rehearsal) starts() {
	start := func() error { return r.lifecycle().Start(r.context(), hypervisor.NilUUID) }
	r.does("Start", start)
	r.idles("Start again", start)
	r.located(hypervisor.Machine{UUID: hypervisor.NilUUID, Name: vmName, State: hypervisor.Running})
}

func rehearsedCreates() []testCase {
	cases := refusedToo(createRefusals())
	for _, m := range makers() {
		for _, f := range unanswered() {
			cases = append(cases, refusedToo([]testCase{{m.name + " " + f.String(), m.rule, func(c *check) {
				c.breakTool(f)
				_, err := m.do(c)
				c.unanswered(m.name, f, err)
			}}})...)
		}
	}
	create := func(r *rehearsal) {
		r.Helper()
		r.makes("Create", func() (hypervisor.Made, error) { return r.create(r.spec()) })
	}
	return capable[hypervisor.Creator](append(cases,
		testCase{"Create", rehearseMade, func(c *check) {
			c.neighbours()
			r := c.rehearse()
			create(r)
			plan := r.sees()
			made, err := c.create(c.spec())
			if err != nil {
				c.fatal("Create after a rehearsal = %v", err)
			}
			c.asPlanned("Create", plan, made.UUID)
		}},
		testCase{"Create before its files are there", rehearseFiles, func(c *check) {
			r := c.rehearse()
			spec := r.spec()
			spec.Disk, spec.Seed = spec.Disk+".not-yet", spec.Seed+".not-yet"
			r.makes("Create", func() (hypervisor.Made, error) { return r.create(spec) })
		}},
		testCase{"Create twice", rehearsePlan, func(c *check) {
			r := c.rehearse()
			create(r)
			n := r.tells(func() {
				_, err := r.create(r.spec())
				r.is("the second Create", err, hypervisor.ErrTaken)
				r.is("CanCreate after Create", r.creator().CanCreate(r.context(), octet), hypervisor.ErrTaken)
			})
			if n > 0 {
				c.wrong("a second Create is refused, and tells %q", r.told)
			}
		}},
		testCase{"Create and the way to a VM without a seed", rehearsePlan, func(c *check) {
			c.neighbours()
			r := c.rehearse()
			create(r)
			r.unchanged(r.firstBoot)
		}},
		testCase{"Detach of a seed that is there", rehearsePlan, func(c *check) {
			made, drive, _ := c.seeded()
			r := c.rehearse()
			detach := func() error { return r.creator().Detach(r.context(), made.UUID, drive) }
			r.unchanged(func() {
				if got := r.seed(made.UUID); got != drive {
					c.wrong("Seed = %q, and in a rehearsal %q", drive, got)
				}
				r.does("Detach", detach)
				r.idles("Detach again", detach)
			})
			c.attached(made.UUID, drive)
		}},
	))
}

// firstBoot is what follows a Create, until the VM runs without its seed.
func (r *rehearsal) firstBoot() {
	const uuid = hypervisor.NilUUID
	drive := r.seed(uuid)
	detach := func() error { return r.creator().Detach(r.context(), uuid, drive) }
	shutdown := func() error { return r.creator().Shutdown(r.context(), uuid) }
	r.idles("Shutdown of a stopped VM", shutdown)
	r.starts()
	if n := r.tells(func() { r.is("Detach while the VM runs", detach(), hypervisor.ErrState) }); n > 0 {
		r.wrong("Detach is refused, and tells %q", r.told)
	}
	r.does("Shutdown", shutdown)
	r.does("Detach", detach)
	r.idles("Detach again", detach)
	r.starts()
}

func rehearsedAdoptions() []testCase {
	cases := []testCase{
		{"Adopted", rehearsePlan, func(c *check) {
			c.neighbours()
			vm := c.adoptee("Debian 13")
			r := c.rehearse()
			r.unchanged(func() { r.adopts(vm) })
			plan := r.sees()
			c.adopts(vm)
			c.asPlanned("Adopted", plan, "")
		}},
		{"Adopted of a VM that has the name", rehearsePlan, func(c *check) {
			vm := c.adoptee(vmName)
			r := c.rehearse()
			r.unchanged(func() { r.adopts(vm) })
			r.toldNothing("Adopted of a VM that has the name")
		}},
		{"Adopted while another VM has the name", rehearsePlan, func(c *check) {
			vm := c.adoptee("Debian 13")
			c.add(2, vmName, hypervisor.Stopped)
			r := c.rehearse()
			var plan error
			r.unchanged(func() { plan = r.adopter().Adopted(r.context(), octet, vm) })
			if plan != nil {
				r.toldNothing(fmt.Sprintf("Adopted = %v", plan))
			}
			if err := c.adopter().Adopted(c.context(), octet, vm); !alike(plan, err) {
				c.wrong("Adopted = %v, and in a rehearsal %v", err, plan)
			}
		}},
	}
	for _, f := range unanswered() {
		cases = append(cases, testCase{"Adopted " + f.String(), rehearsePlan, func(c *check) {
			vm := c.adoptee("Debian 13")
			r := c.rehearse()
			c.breakTool(f)
			// A backend that needs no tool for it succeeds.
			if err := r.adopter().Adopted(r.context(), octet, vm); err == nil && c.h.Renames {
				c.wrong("%s: a rehearsed Adopted succeeded", f)
			}
			r.toldNothing(f.String())
		}})
	}
	return capable[hypervisor.Adopter](cases)
}

// adopts checks a rehearsed Adopted, and again: the VM runs at the end.
func (r *rehearsal) adopts(vm hypervisor.Machine) {
	r.Helper()
	adopt := func() error { return r.adopter().Adopted(r.context(), octet, vm) }
	switch {
	case !r.h.Renames:
		if err := adopt(); err != nil {
			r.wrong("a rehearsed Adopted = %v", err)
		}
		return
	case vm.Name != vmName:
		r.does("Adopted", adopt)
	}
	r.idles("Adopted again", adopt)
	got, err := r.w.Backend.Locate(r.context(), hypervisor.Query{Octet: octet, UUID: vm.UUID})
	if err != nil || got.Name != vmName || got.State != hypervisor.Running {
		r.wrong("after a rehearsed Adopted the VM is %+v, %v; want one that is called %s and runs", got, err, vmName)
	}
}
