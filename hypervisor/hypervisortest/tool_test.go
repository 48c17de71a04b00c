package hypervisortest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// row is a VM or a template, as the played tool lists it.
type row struct {
	UUID     string           `json:"uuid"`
	Name     string           `json:"name"`
	State    hypervisor.State `json:"state"`
	Addr     netip.Addr       `json:"addr"` // the guest's, while it runs
	Template bool             `json:"template"`
	RAM      hypervisor.Size  `json:"ram"`
	Disk     hypervisor.Size  `json:"disk"`
	MAC      string           `json:"mac"`
	Drives   []drive          `json:"drives"`
	Deaf     bool             `json:"deaf"` // the guest does not listen
}

// drive is a drive of a VM that the tool made.
type drive struct {
	ID   string          `json:"id"`
	Size hypervisor.Size `json:"size"`
	File string          `json:"file"` // where it is if it was not copied
}

// memtool is a hypervisor in memory and its command-line tool.
type memtool struct {
	mu    sync.Mutex
	rows  []*row
	fault Fault
	made  int // VMs that the tool made
	calls int
	uuid  string // of VMs that the tool makes; "" is another one for each
	// played: nothing is copied, so that files need not be there.
	played bool
	draft  *draft // nil: it is for real
}

// draft makes the tool one that only plays what it would do to the VMs of
// another.
type draft struct {
	real *memtool
	tell func(hypervisor.Command)
	uuid string // of VMs that it makes
	told [][]string
}

const refused = 255 // status of what the tool does not do

// run is one start of the tool: what it prints, and its exit status.
func (t *memtool) run(ctx context.Context, args ...string) (string, int, error) {
	if ctx.Err() != nil {
		return "", 0, fmt.Errorf("memtool %s: %w", args[0], ctx.Err())
	}
	if t.draft != nil {
		return t.draft.run(ctx, args)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	asks := args[0] == "list"
	switch {
	case t.fault == ToolMissing:
		return "", 0, fmt.Errorf("memtool: %w", hypervisor.ErrToolMissing)
	case t.fault == ServiceDown:
		return "", 253, nil
	case t.fault == Garbage:
		return "\x1b[31mlicence?\x00 <html>[{", 0, nil
	case t.fault == Empty:
		return "", 0, nil
	case t.fault == Partial:
		return `[{"uuid":"5c0ffee0-00`, refused, nil
	case t.fault == Failing, t.fault == SilentAfterMaking && t.made > 0:
		return "Operation failed.\n", refused, nil
	case t.fault == Hang:
		return "", 0, t.hang(ctx)
	case t.fault == Ignored && !asks:
		return "Done.\n", 0, nil
	case t.fault == BusyOnce && !asks:
		t.fault = None
		return "The VM is busy.\n", refused, nil
	case t.fault == NoStart && (args[0] == "start"), t.fault == SizesRefused && args[0] == "set":
		return "", refused, nil
	case t.fault == Slow && !asks:
		time.AfterFunc(3*time.Second, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.do(args)
		})
		return "Done.\n", 0, nil
	}
	out, status := t.do(args)
	return out, status, nil
}

// run asks the other tool what there is, and does to a copy of that all that was
// told, and what the arguments say. Guests listen.
func (d *draft) run(ctx context.Context, args []string) (string, int, error) {
	out, status, err := d.real.run(ctx, "list")
	played := &memtool{uuid: d.uuid, played: true}
	if err != nil || status != 0 || json.Unmarshal([]byte(out), &played.rows) != nil {
		return out, status, err
	}
	for _, r := range played.rows {
		r.Deaf = false
	}
	for _, told := range d.told {
		played.do(told)
	}
	if args[0] != "list" {
		d.tell(hypervisor.Command{Argv: append([]string{"memtool"}, args...)})
		d.told = append(d.told, args)
	}
	out, status = played.do(args)
	return out, status, nil
}

// hang waits for the end of the run, which has the limit that a Command has.
func (t *memtool) hang(ctx context.Context) error {
	t.mu.Unlock()
	defer t.mu.Lock()
	ctx, cancel := context.WithTimeout(ctx, hypervisor.DefaultLimit)
	defer cancel()
	<-ctx.Done()
	return fmt.Errorf("memtool: %w", ctx.Err())
}

func (t *memtool) do(args []string) (string, int) {
	if args[0] == "list" {
		var rows []row
		for _, r := range t.rows {
			r := *r
			if r.State != hypervisor.Running {
				r.Addr = netip.Addr{}
			}
			rows = append(rows, r)
		}
		text, err := json.Marshal(rows)
		if err != nil {
			panic(err) // there is nothing in a row that has no JSON
		}
		return string(text), 0
	}
	if args[0] == "create" || args[0] == "link" {
		return t.create(args)
	}
	r := t.row(args[1])
	if r == nil {
		return "No such VM.\n", refused
	}
	switch args[0] {
	case "start":
		for _, d := range r.Drives {
			if _, err := os.Stat(d.File); d.File != "" && err != nil {
				return err.Error(), refused
			}
		}
		r.State = hypervisor.Running
	case "suspend":
		r.State = hypervisor.Suspended
	case "stop":
		r.State = hypervisor.Stopped
	case "delete":
		t.rows = slices.DeleteFunc(t.rows, func(x *row) bool { return x == r })
	case "shutdown":
		if !r.Deaf {
			r.State = hypervisor.Stopped
		}
	case "detach":
		r.Drives = slices.DeleteFunc(slices.Clone(r.Drives), func(d drive) bool { return d.ID == args[2] })
	case "rename":
		r.Name = args[2]
	case "set":
		fmt.Sscan(args[2], &r.RAM)
		fmt.Sscan(args[3], &r.Disk)
	case "clone":
		t.rows = append(t.rows, &row{UUID: t.fresh(), Name: args[2], State: hypervisor.Stopped, RAM: r.RAM, Disk: r.Disk})
	default:
		panic("memtool has no verb " + strings.Join(args, " "))
	}
	return "", 0
}

// create makes a VM from name, memory, MAC and files; link leaves the files where
// they are.
func (t *memtool) create(args []string) (string, int) {
	r := &row{UUID: t.fresh(), Name: args[1], State: hypervisor.Stopped, MAC: args[3]}
	fmt.Sscan(args[2], &r.RAM)
	for i, file := range args[4:] {
		d := drive{ID: fmt.Sprintf("%s-%d", r.UUID, i)}
		info, err := os.Stat(file)
		switch {
		case err == nil:
			d.Size = hypervisor.Size(info.Size())
		case !t.played: // else it would be there
			return err.Error(), refused
		}
		if args[0] == "link" {
			d.File = file
		}
		r.Drives = append(r.Drives, d)
	}
	r.Disk = r.Drives[0].Size
	t.rows = append(t.rows, r)
	return r.UUID, 0
}

// fresh is the UUID of a VM that is being made.
func (t *memtool) fresh() string {
	t.made++
	return cmp.Or(t.uuid, fmt.Sprintf("made-%d", t.made))
}

// row is found by UUID or else, as with real tools, by name.
func (t *memtool) row(id string) *row {
	for _, by := range []func(*row) string{func(r *row) string { return r.UUID }, func(r *row) string { return r.Name }} {
		if i := slices.IndexFunc(t.rows, func(r *row) bool { return by(r) == id }); i >= 0 {
			return t.rows[i]
		}
	}
	return nil
}

// at changes a row behind the backend's back.
func (t *memtool) at(id string, f func(r *row)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t.row(id))
}

func (t *memtool) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, &r)
}

func (t *memtool) look() (out []hypervisor.Machine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rows {
		if !r.Template {
			out = append(out, hypervisor.Machine{UUID: r.UUID, Name: r.Name, State: r.State})
		}
	}
	return out
}

// world is all that the suite can want.
func (t *memtool) world(b hypervisor.Hypervisor) World {
	return World{
		Backend: b,
		Add: func(vm hypervisor.Machine) string {
			t.add(row{UUID: vm.UUID, Name: vm.Name, State: vm.State, Addr: vm.Addr})
			return vm.UUID
		},
		Look:     t.look,
		SetState: func(uuid string, s hypervisor.State) { t.at(uuid, func(r *row) { r.State = s }) },
		Rename:   func(uuid, name string) { t.at(uuid, func(r *row) { r.Name = name }) },
		Remove:   func(uuid string) { t.do([]string{"delete", uuid}) },
		AddTemplate: func(name string) {
			t.add(row{UUID: "template " + name, Name: name, State: hypervisor.Stopped, Template: true, RAM: 4 * hypervisor.GiB, Disk: 64 * hypervisor.GiB})
		},
		Sizes: func(uuid string) (ram, disk hypervisor.Size) {
			t.at(uuid, func(r *row) { ram, disk = r.RAM, r.Disk })
			return ram, disk
		},
		Drives: func(uuid string) (ids []string) {
			t.at(uuid, func(r *row) {
				for _, d := range r.Drives {
					ids = append(ids, d.ID)
				}
			})
			return ids
		},
		MAC: func(uuid string) (mac net.HardwareAddr) {
			t.at(uuid, func(r *row) { mac, _ = net.ParseMAC(r.MAC) })
			return mac
		},
		Deafen: func(uuid string) { t.at(uuid, func(r *row) { r.Deaf = true }) },
		Calls: func() int {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.calls
		},
		ServiceRuns: func() bool {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.fault != ServiceDown
		},
		Break: func(f Fault) bool {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.fault = f
			return true
		},
	}
}
