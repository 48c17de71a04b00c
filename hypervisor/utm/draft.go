package utm

import (
	"slices"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/rehearsal"
)

// Names for the drives of a VM that is not made yet.
const (
	nilDisk = "DISK-OF-THE-NEW-VM"
	nilSeed = "SEED-OF-THE-NEW-VM"
)

// draft is a rehearsal: what was told, and what it would have made of the VMs. A
// nil one is none.
type draft struct {
	vms *rehearsal.VMs

	mu     sync.Mutex
	tool   string             // that answered the latest question for which utmctl is the first
	drives map[string][]drive // by UUID, of those VMs whose drives are other ones
}

// Rehearse tells the commands of utmctl, or of osascript where there is no
// utmctl: what answers a question then does what is told after it. Scripts are
// whole on the commands' standard input.
func (b *Backend) Rehearse(tell func(hypervisor.Command)) hypervisor.Hypervisor {
	return &Backend{run: b.run, app: b.app, draft: &draft{vms: rehearsal.New(tell), drives: map[string][]drive{}}}
}

func (d *draft) on() bool { return d != nil }

// uses takes in which tool answered.
func (d *draft) uses(tool string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tool = tool
}

// over is the list as it would be if all that was told had been done.
func (d *draft) over(list []hypervisor.Machine) []hypervisor.Machine {
	if d == nil {
		return list
	}
	return d.vms.Over(list)
}

func (d *draft) verb(b *Backend, m hypervisor.Machine, v verb) {
	d.mu.Lock()
	tool := d.tool
	d.mu.Unlock()
	c := hypervisor.Command{Argv: argvScript(v.name, m.UUID), Stdin: []byte(v.script), Limit: v.bound}
	for _, argv := range b.ctls(v.argv(m.UUID)) {
		if argv[0] == tool {
			c.Argv, c.Stdin = argv, nil
		}
	}
	m.State = v.leads()
	d.vms.Tell(c, m)
}

func (d *draft) make(s hypervisor.CreateSpec) hypervisor.Machine {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := hypervisor.Machine{UUID: hypervisor.NilUUID, Name: s.Octet.VMName(), State: hypervisor.Stopped}
	d.vms.Tell(hypervisor.Command{Argv: argvMake(s), Stdin: []byte(scriptMake), Limit: makeLimit}, m)
	d.drives[m.UUID] = []drive{{ID: nilDisk}, {ID: nilSeed}}
	return m
}

// drivesOf are the drives of a VM that was made, or whose drives were changed.
func (d *draft) drivesOf(uuid string) ([]drive, bool) {
	if d == nil {
		return nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	drives, ok := d.drives[uuid]
	return slices.Clone(drives), ok
}

func (d *draft) detach(m hypervisor.Machine, id string, keep []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.vms.Tell(hypervisor.Command{Argv: argvDetach(m.UUID, id, keep), Stdin: []byte(scriptDetach), Limit: askLimit}, m)
	d.drives[m.UUID] = nil
	for _, k := range keep {
		d.drives[m.UUID] = append(d.drives[m.UUID], drive{ID: k})
	}
}
