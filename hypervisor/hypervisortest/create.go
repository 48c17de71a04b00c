package hypervisortest

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

func (c *check) creator() hypervisor.Creator { return c.w.Backend.(hypervisor.Creator) }

// The sizes of the files that VMs are made from. Nothing boots from them.
const (
	diskSize = 1 * hypervisor.MiB
	seedSize = hypervisor.MiB / 16
)

// spec is a VM that can be made, and its files.
func (c *check) spec() hypervisor.CreateSpec { return c.specOf(octet) }

func (c *check) specOf(o hypervisor.Octet) hypervisor.CreateSpec {
	c.Helper()
	arch := "amd64"
	if runtime.GOARCH == "arm64" {
		arch = "arm64"
	}
	s := hypervisor.CreateSpec{Octet: o, Arch: arch, RAM: 512 * hypervisor.MiB, Cores: 1, MAC: net.HardwareAddr{0x52, 0x54, 0x00, 0x00, 0x00, byte(o)}}
	s.Disk, s.Seed = c.file("disk.raw", diskSize), c.file("seed.iso", seedSize)
	return s
}

// file is a file of that size. It is written only if it is not there: backends
// read it, and the cases are many.
func (c *check) file(name string, size hypervisor.Size) string {
	c.Helper()
	path := filepath.Join(c.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := statefile.Write(path, make([]byte, size), 0o600); err != nil {
		c.Fatal(err)
	}
	return path
}

func (c *check) create(spec hypervisor.CreateSpec) (hypervisor.Made, error) {
	return c.creator().Create(c.context(), spec, nil)
}

// creates makes a VM beside others and checks what came of it.
func (c *check) creates(spec hypervisor.CreateSpec) hypervisor.Made {
	c.Helper()
	c.neighbours()
	before := c.snapshot()
	made, err := c.create(spec)
	if err != nil {
		c.against(createStopped, "Create(%+v) = %v", spec, err)
		c.FailNow()
	}
	vm, ok := c.vm(made.UUID)
	if _, old := before[made.UUID]; old || !ok || vm.Name != vmName || vm.State != hypervisor.Stopped || made.Name != vmName || made.State != hypervisor.Stopped {
		c.against(createStopped, "Create = %+v, and there is %+v; want a new VM that is stopped", made, vm)
		c.FailNow()
	}
	if made.Addr != (netip.Addr{}) {
		c.against(locateAddr, "Create = %+v, but a stopped VM has no address", made)
	}
	after := c.snapshot()
	delete(after, made.UUID)
	if text(after) != text(before) {
		c.against(createStopped, "Create changed other VMs:\n\tbefore %s\n\tafter  %s", text(before), text(after))
	}
	return made
}

// starts checks that a VM that was made can be started.
func (c *check) starts(uuid string) {
	c.Helper()
	err := c.creator().Start(c.context(), uuid)
	if vm, _ := c.vm(uuid); err != nil || vm.State != hypervisor.Running {
		c.wrong("Start of the VM that was made = %v, and it is %s", err, vm.State)
	}
}

// madeNothing checks that beside an error no VM is told that is not there.
func (c *check) madeNothing(made hypervisor.Made, err error) {
	c.Helper()
	if err != nil && made.UUID != "" {
		c.against(cloneMade, "Create = %+v beside %v, and there is no such VM", made, err)
	}
}

// createsHonestly checks that Create over a fault says what there is.
func (c *check) createsHonestly(f Fault) {
	if f == Ignored && c.h.RealTime {
		c.Skip("the backend's own time limit is too long on a real clock")
	}
	spec := c.spec()
	c.breakTool(f)
	defer c.later()
	made, err := c.create(spec)
	vm := cmp.Or(slices.Concat(c.named(vmName), []hypervisor.Machine{{}})...)
	switch {
	case err == nil && (vm.UUID != made.UUID || vm.UUID == "" || vm.State != hypervisor.Stopped):
		c.wrong("%s: Create = %+v, and there is %+v", f, made, vm)
	case err != nil && !holds(made, vm):
		c.against(cloneMade, "%s: Create = %+v beside %v, and there is %+v", f, made, err, vm)
	}
}

// holds says whether what Create told beside an error is the VM that is there,
// by its name alone if the tool did not tell the UUID; the zero Machine is none.
func holds(made hypervisor.Made, vm hypervisor.Machine) bool {
	if vm.UUID == "" {
		return made.UUID == ""
	}
	return made.Name == vm.Name && (made.UUID == "" || made.UUID == vm.UUID)
}

func checkCreateAtOnce(c *check) {
	var specs []hypervisor.CreateSpec
	for i := range hypervisor.Octet(4) {
		specs = append(specs, c.specOf(octet+i))
	}
	var wg sync.WaitGroup
	for _, spec := range specs {
		wg.Go(func() {
			if made, err := c.create(spec); err != nil || made.Name != spec.Octet.VMName() {
				c.wrong("Create of %s beside others = %+v, %v", spec.Octet.VMName(), made, err)
			}
		})
	}
	wg.Wait()
	for _, spec := range specs {
		if there := c.named(spec.Octet.VMName()); len(there) != 1 {
			c.wrong("after Create of %s beside others there is %+v", spec.Octet.VMName(), there)
		}
	}
}
