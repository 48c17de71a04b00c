package mpdvirttest

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
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
	// below the world's home folder in the place of the root.
	Settings ParallelsSettings
	// Boot is how long a guest takes from power-on until it has an address and
	// answers; zero is no time.
	Boot time.Duration
}

// Parallels is the Parallels Desktop of a world: VMs and templates that prlctl
// knows, each with a VM of the world behind it, which lives and dies with it.
// Its methods may be called at the same time.
//
// What a VM does to its own power, as [VM.PowerOff] and [VM.Reboot], prlctl does
// not notice.
type Parallels struct {
	w    *World
	emu  *prlemu.Emulator
	boot time.Duration

	mu     sync.Mutex
	guests map[string]*VM // by UUID
	power  map[string]int // counts starts and stops, so that a late start is told from the one that counts
}

// AddParallels installs Parallels Desktop, without VMs: from now on World.Run
// answers prlctl and prlsrvctl.
func (w *World) AddParallels(o ParallelsOptions) (*Parallels, error) {
	p := &Parallels{w: w, boot: o.Boot, guests: map[string]*VM{}, power: map[string]int{}}
	if o.Settings.LeaseFile == "" {
		o.Settings.LeaseFile = filepath.Join(w.home, "Library", "Preferences", "Parallels", "parallels_dhcp_leases")
	}
	err := os.MkdirAll(filepath.Dir(o.Settings.LeaseFile), 0o755)
	if err == nil {
		p.emu, err = prlemu.New(prlemu.Options{Settings: o.Settings, Hooks: prlemu.Hooks{
			Started: p.started, Stopped: p.stopped, Suspended: p.suspended, Resumed: p.resumed,
			Cloned: p.cloned, Deleted: p.deleted, Addr: p.addr, Hostname: p.hostname,
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
// with o.Addr, all its clones have this address, until they get another one.
func (p *Parallels) AddTemplate(name string, o VMOptions) (*VM, error) {
	v, err := p.w.plant(o, (*VM).install)
	if err == nil && o.Addr.IsValid() {
		err = v.setStatic(o.Addr)
	}
	if err == nil {
		err = p.add(prlemu.VM{Name: name, Template: true, Hostname: v.opts.Hostname}, v)
	}
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add template %s: %w", name, err)
	}
	return v, nil
}

// AddVM adds a VM that runs. With o.Addr it has this address, also after it was
// started anew; else one of the DHCP server.
func (p *Parallels) AddVM(name string, o VMOptions) (*VM, error) {
	v, err := p.w.plant(o, (*VM).install)
	if err == nil && o.Addr.IsValid() {
		err = v.setStatic(o.Addr)
	}
	if err == nil {
		err = p.add(prlemu.VM{Name: name, State: string(hypervisor.Running), Hostname: v.opts.Hostname}, v)
	}
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add VM %s: %w", name, err)
	}
	p.powerOn(p.UUID(name), v)
	return v, nil
}

func (p *Parallels) add(m prlemu.VM, v *VM) error {
	m, err := p.emu.AddVM(m)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests[m.UUID] = v
	return nil
}

// VM is the guest of the VM or template with a name or UUID; nil if there is
// none.
func (p *Parallels) VM(id string) *VM {
	m, ok := p.emu.VM(id)
	if !ok {
		return nil
	}
	return p.guest(m.UUID)
}

// UUID is that of the VM or template with a name; "" if there is none.
func (p *Parallels) UUID(name string) string {
	m, _ := p.emu.VM(name)
	return m.UUID
}

// Machines are all VMs and templates, by name, with the states that prlctl
// would tell.
func (p *Parallels) Machines() ([]hypervisor.Machine, error) {
	vms, err := p.emu.VMs()
	var out []hypervisor.Machine
	for _, m := range vms {
		addr, _ := p.addr(m.UUID)
		out = append(out, hypervisor.Machine{UUID: m.UUID, Name: m.Name, State: hypervisor.State(m.State), Addr: addr})
	}
	return out, err
}

// Calls are the command lines of all calls of prlctl and prlsrvctl so far.
func (p *Parallels) Calls() ([]string, error) { return p.emu.Calls() }

// Inject makes calls go wrong; those that fit the same call come one after the
// other.
func (p *Parallels) Inject(faults ...ParallelsFault) error { return p.emu.Inject(faults...) }

// Change changes the settings.
func (p *Parallels) Change(f func(s *ParallelsSettings)) error { return p.emu.Change(f) }

// LeaseFile is the path of the DHCP server's leases.
func (p *Parallels) LeaseFile() (path string, err error) {
	err = p.emu.Change(func(s *ParallelsSettings) { path = s.LeaseFile })
	return path, err
}

// SetState makes prlctl tell a state, which may be a word that nobody knows,
// whatever the guest does.
func (p *Parallels) SetState(id, word string) error { return p.emu.SetState(id, word) }

// Rename gives a VM another name, as a person does in the window.
func (p *Parallels) Rename(id, name string) error { return p.emu.Rename(id, name) }

// Remove deletes a VM with its guest, as a person does in the window.
func (p *Parallels) Remove(id string) error { return p.emu.Remove(id) }

func (p *Parallels) guest(uuid string) *VM {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.guests[uuid]
}

// turn counts a change of the power, and returns the guest and the number.
func (p *Parallels) turn(uuid string) (*VM, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.power[uuid]++
	return p.guests[uuid], p.power[uuid]
}

func (p *Parallels) started(uuid string) {
	v, turn := p.turn(uuid)
	switch {
	case v == nil: // added to the emulator alone
	case p.boot <= 0:
		p.powerOn(uuid, v)
	default:
		p.w.later(p.boot, func() {
			p.mu.Lock()
			still := p.power[uuid] == turn
			p.mu.Unlock()
			if still {
				p.powerOn(uuid, v)
			}
		})
	}
}

// powerOn lets the guest boot. Without an address, because none is left or
// another machine has it, it runs and nobody reaches it.
func (p *Parallels) powerOn(uuid string, v *VM) {
	addr, static := v.static()
	if !static {
		var err error
		if addr, err = p.emu.Lease(uuid); err != nil {
			addr = netip.Addr{}
		}
	}
	if v.SetAddr(addr) != nil || v.boot() != nil {
		_ = v.SetAddr(netip.Addr{})
		_ = v.boot() // fails only where the world is closed
	}
}

func (p *Parallels) stopped(uuid string, killed bool) {
	if v, _ := p.turn(uuid); v != nil {
		v.halt(!killed)
	}
}

func (p *Parallels) suspended(uuid string) {
	if v, _ := p.turn(uuid); v != nil {
		v.Suspend()
	}
}

// resumed wakes the guest; one that was suspended while it booted boots now.
func (p *Parallels) resumed(uuid string) {
	v, _ := p.turn(uuid)
	if v == nil {
		return
	}
	v.Resume()
	if !v.running() {
		p.powerOn(uuid, v)
	}
}

func (p *Parallels) deleted(uuid string) {
	v, _ := p.turn(uuid)
	if v == nil {
		return
	}
	v.halt(false)
	_ = v.SetAddr(netip.Addr{}) // no address is always free
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.guests, uuid)
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests[dst.UUID] = v
}

func (p *Parallels) addr(uuid string) (netip.Addr, bool) {
	v := p.guest(uuid)
	if v == nil {
		return netip.Addr{}, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.addr, v.on && !v.asleep && v.addr.IsValid()
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
		if v.sys.Programs[name] != nil {
			v.sys.Programs[name] = program
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

// Files in which a guest has its static address: that of step 30, and one of
// the person who made the template.
const (
	step30Network = "/etc/systemd/network/05-mpd.network"
	ownNetwork    = "/etc/systemd/network/10-static.network"
)

func (v *VM) setStatic(addr netip.Addr) error {
	text := fmt.Sprintf("[Match]\nName=enp0s5\n\n[Network]\nAddress=%v/24\n", addr)
	return v.root.WriteFile(ownNetwork, []byte(text), 0o644)
}

var addressLine = regexp.MustCompile(`(?m)^Address=([0-9.]+)/`)

// static is the address that the guest takes when it boots, if it is not from
// DHCP.
func (v *VM) static() (netip.Addr, bool) {
	for _, name := range []string{step30Network, ownNetwork} {
		text, err := v.root.ReadFile(name)
		if m := addressLine.FindSubmatch(text); err == nil && m != nil {
			addr, err := netip.ParseAddr(string(m[1]))
			return addr, err == nil
		}
	}
	return netip.Addr{}, false
}
