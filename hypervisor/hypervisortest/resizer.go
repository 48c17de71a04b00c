package hypervisortest

import "github.com/mutms/mpd-virt-macos/hypervisor"

func resizerCases(Harness) []testCase {
	spec := hypervisor.CloneSpec{Octet: octet, Template: template}
	return []testCase{
		{"Resize of a clone", resizeSizes, func(c *check) {
			c.need(c.w.Sizes != nil, "Sizes")
			made := c.makes(spec)
			ram, disk := c.w.Sizes(made.UUID)
			want := spec
			want.RAM, want.Disk = 2*ram, 2*disk
			for _, again := range []bool{false, true} {
				warnings, err := c.resize(made.UUID, want)
				if r, d := c.w.Sizes(made.UUID); err != nil || len(warnings) > 0 || r != 2*ram || d != 2*disk {
					c.wrong("Resize = %q, %v (again: %t), and the VM has %v and %v; want %v and %v", warnings, err, again, r, d, 2*ram, 2*disk)
				}
			}
		}},
		{"Resize without sizes", resizeSizes, func(c *check) {
			made := c.makes(spec)
			c.unchanged(func() {
				if warnings, err := c.resize(made.UUID, spec); err != nil || len(warnings) > 0 {
					c.wrong("Resize = %q, %v", warnings, err)
				}
			})
		}},
		{"Resize while sizes are refused", cloneSize, func(c *check) {
			made := c.makes(spec)
			c.breakTool(SizesRefused)
			want := spec
			want.RAM, want.Disk = 6*hypervisor.GiB, 512*hypervisor.GiB
			if warnings, err := c.resize(made.UUID, want); err != nil || len(warnings) == 0 {
				c.wrong("Resize = %q, %v; want warnings", warnings, err)
			}
		}},
	}
}

func (c *check) resize(uuid string, spec hypervisor.CloneSpec) ([]string, error) {
	return c.w.Backend.(hypervisor.Resizer).Resize(c.context(), uuid, spec, nil)
}
