package mpdvirttest

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// ParallelsSettings are what a Mac with Parallels Desktop is like: releases,
// licences and habits that differ. The zero value is release 26.4.1, edition
// Pro, which takes no time for anything.
type ParallelsSettings = prlemu.Settings

// ParallelsFault is something that goes wrong with a call of prlctl, like
// {Kind: "hang", Verb: "start"}: once, or Times, or always if that is negative.
//
// Kinds in the place of the work are hang, garbage, huge, partial, empty, busy,
// login failed, service, password, no space, refuse (with Text and Status),
// error with 0, and no effect. Kinds beside the work are hang after, 1 with
// good output, noise, slow (by After), stuck, wedged (a stop), and four that
// change the VM named VM after the call: rename behind, delete behind, replace
// behind, state behind.
type ParallelsFault = prlemu.Fault

// ParallelsOptions say what a world's Parallels Desktop is like. The zero value
// is a good one.
type ParallelsOptions struct {
	// Settings are those at the start. LeaseFile "" becomes the usual place,
	// below the world's Root; the folder of another one is made.
	Settings ParallelsSettings
	// Boot is how long a guest takes from power-on until it has an address and
	// answers; zero is no time.
	Boot time.Duration
}

// Parallels is the Parallels Desktop of a world: VMs and templates that prlctl
// knows, each with a VM of the world behind it, which lives and dies with it.
// Its methods may be called at the same time. The errors of those that only look, of
// Inject and of Change are of writing the file of leases.
//
// What a VM does to its own power, as [VM.PowerOff] and [VM.Reboot], prlctl does
// not notice.
type Parallels struct {
	*rack
	emu *prlemu.Emulator
}

// AddParallels installs Parallels Desktop, without VMs: from now on World.Run
// answers prlctl and prlsrvctl. A second one takes the place of the first. An error
// is one of the folder for the leases.
func (w *World) AddParallels(o ParallelsOptions) (*Parallels, error) {
	p := &Parallels{rack: newRack(w, o.Boot)}
	if o.Settings.LeaseFile == "" {
		o.Settings.LeaseFile = filepath.Join(w.root, parallels.DefaultLeaseFile)
	}
	err := os.MkdirAll(filepath.Dir(o.Settings.LeaseFile), 0o755)
	if err == nil {
		p.emu, err = prlemu.New(prlemu.Options{Settings: o.Settings, Hooks: prlemu.Hooks{
			Started: p.started, Stopped: p.stop, Suspended: p.suspend, Resumed: p.resumed,
			Cloned: p.cloned, Deleted: p.discard, Addr: p.addr, Hostname: p.hostname,
		}})
	}
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add Parallels: %w", err)
	}
	w.HandleCommand("prlctl", p.emu.Runner())
	w.HandleCommand("prlsrvctl", p.emu.Runner())
	return p, nil
}

// Emulator is what plays prlctl and prlsrvctl, for what has no method here. Its
// package is this module's own.
func (p *Parallels) Emulator() *prlemu.Emulator { return p.emu }

// AddTemplate adds a template, which is off. Its guest is like that of AddVM;
// with o.Addr, all its clones have this address, until they get another one. It is
// an error if the world is closed.
func (p *Parallels) AddTemplate(name string, o VMOptions) (*VM, error) {
	v, err := p.w.handmade(o)
	if err == nil {
		_, err = p.add(prlemu.VM{Name: name, Template: true, Hostname: v.opts.Hostname}, v)
	}
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add template %s: %w", name, err)
	}
	return v, nil
}

// AddVM adds a VM that runs, unless o.Off is set. With o.Addr it has this
// address, also after it was started anew; else one of the DHCP server. If another
// machine has the address, or none is left, it runs without one. The name may be
// that of another VM. It is an error if the world is closed.
func (p *Parallels) AddVM(name string, o VMOptions) (*VM, error) {
	v, err := p.w.handmade(o)
	uuid := ""
	if err == nil {
		state := map[bool]hypervisor.State{true: hypervisor.Stopped, false: hypervisor.Running}[o.Off]
		uuid, err = p.add(prlemu.VM{Name: name, State: string(state), Hostname: v.opts.Hostname}, v)
	}
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add VM %s: %w", name, err)
	}
	if !o.Off {
		p.powerOn(uuid, v)
	}
	return v, nil
}

func (p *Parallels) add(m prlemu.VM, v *VM) (uuid string, err error) {
	m, err = p.emu.AddVM(m)
	if err == nil {
		p.put(m.UUID, v)
	}
	return m.UUID, err
}

// VM is the guest of the VM or template with a name or UUID, of several with one
// name the oldest; nil if there is none.
func (p *Parallels) VM(id string) *VM {
	m, ok := p.emu.VM(id)
	if !ok {
		return nil
	}
	return p.guest(m.UUID)
}

// UUID is that of the VM or template with a name, of several the oldest; "" if there
// is none.
func (p *Parallels) UUID(name string) string {
	m, _ := p.emu.VM(name)
	return m.UUID
}

// Machines are all VMs and templates, by name, with the states that prlctl
// would tell, and the addresses at which they are reached.
func (p *Parallels) Machines() ([]hypervisor.Machine, error) {
	vms, err := p.emu.VMs()
	var out []hypervisor.Machine
	for _, m := range vms {
		addr, _ := p.addr(m.UUID)
		out = append(out, hypervisor.Machine{UUID: m.UUID, Name: m.Name, State: hypervisor.State(m.State), Addr: addr})
	}
	return out, err
}

// Calls are the command lines of all calls of prlctl and prlsrvctl so far, in order.
func (p *Parallels) Calls() ([]string, error) { return p.emu.Calls() }

// Inject makes calls go wrong; those that fit the same call come one after the
// other. Emulator().ClearFaults forgets those that are left.
func (p *Parallels) Inject(faults ...ParallelsFault) error { return p.emu.Inject(faults...) }

// Change changes the settings. f must not use the world.
func (p *Parallels) Change(f func(s *ParallelsSettings)) error { return p.emu.Change(f) }

// LeaseFile is the path of the DHCP server's leases, which each call of a tool writes
// anew.
func (p *Parallels) LeaseFile() (path string, err error) {
	err = p.emu.Change(func(s *ParallelsSettings) { path = s.LeaseFile })
	return path, err
}

// SetState makes prlctl tell a state of the VM with a name or UUID, which may be a
// word that nobody knows, whatever the guest does. It is an error if there is no
// such VM, as with Rename and Remove.
func (p *Parallels) SetState(id, word string) error { return p.emu.SetState(id, word) }

// Rename gives a VM another name, as a person does in the window.
func (p *Parallels) Rename(id, name string) error { return p.emu.Rename(id, name) }

// Remove deletes a VM with its guest, as a person does in the window.
func (p *Parallels) Remove(id string) error { return p.emu.Remove(id) }

func (p *Parallels) started(uuid string) { p.start(uuid, p.powerOn) }

func (p *Parallels) resumed(uuid string) { p.resume(uuid, p.powerOn) }

// powerOn lets the guest boot; none may be left of the DHCP server's addresses.
func (p *Parallels) powerOn(uuid string, v *VM) {
	addr, static := v.static()
	if !static {
		var err error
		if addr, err = p.emu.Lease(uuid); err != nil {
			addr = netip.Addr{}
		}
	}
	v.appear(addr)
}

// cloned copies the guest. A world that is closed has no room for it, which
// shows when it is started.
func (p *Parallels) cloned(src, dst prlemu.VM) {
	from := p.guest(src.UUID)
	if from == nil {
		return
	}
	v, err := p.w.plant(from.opts, func(v *VM) error { return v.copyDisk(from) })
	if err != nil {
		return
	}
	p.put(dst.UUID, v)
}

func (p *Parallels) addr(uuid string) (netip.Addr, bool) {
	v := p.guest(uuid)
	if v == nil {
		return netip.Addr{}, false
	}
	return v.addrNow()
}

func (p *Parallels) hostname(uuid string) string {
	v := p.guest(uuid)
	if v == nil {
		return ""
	}
	return v.Hostname()
}

// copyDisk makes v what from is on its disk: the same host keys, machine-id,
// host name, users, packages and static address.
func (v *VM) copyDisk(from *VM) error {
	fsys := from.sys.FS.Clone(v.now)
	v.root = fsys.As(memfs.Root)
	v.sys = from.sys.Clone(fsys, v.now)
	for name, program := range v.programs() {
		if v.sys.Defined(name) != nil {
			v.sys.Define(name, program)
		}
	}
	host := from.Hostname()
	from.mu.Lock()
	for name, there := range from.packages {
		v.packages[name] = there
	}
	for unit, active := range from.units {
		v.units[unit] = active
	}
	v.sudo, v.server, v.opts.Addr = from.sudo, from.server, netip.Addr{}
	from.mu.Unlock()
	v.addr = netip.Addr{}
	arch := from.kernel.arch.Load()
	if err := v.generate(fsys); err != nil {
		return err
	}
	v.kernel.hostname.Store(&host)
	v.kernel.arch.Store(arch)
	return nil
}
