package hypervisortest

import (
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func addresserCases(Harness) []testCase {
	return []testCase{{"At", atTells, func(c *check) {
		c.need(!c.h.NoAddresses, "addresses")
		addr := c.addr(37)
		c.addAt(1, vmName, hypervisor.Running, addr)
		c.addAt(2, "copy", hypervisor.Running, addr)
		c.addAt(8, "mpd-151", hypervisor.Running, c.addr(38))
		c.addAt(9, "off", hypervisor.Stopped, addr)
		c.unchanged(func() {
			found, err := c.w.Backend.(hypervisor.Addresser).At(c.context(), addr)
			var names []string
			for _, m := range found {
				names = append(names, m.Name)
			}
			if got := strings.Join(names, " "); err != nil || got != vmName+" copy" && got != "copy "+vmName {
				c.wrong("At(%v) = %q, %v", addr, names, err)
			}
		})
	}}}
}
