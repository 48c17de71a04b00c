package mpdvirttest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

// UTMSettings are what a Mac with UTM is like. The zero value is an Apple
// Silicon Mac with UTM 4.7.5 on which nothing takes time. Bridge and Recorded
// change when VMs start and stop, see [UTMOptions].
type UTMSettings = utmemu.Settings

// UTMFault is something that goes wrong with a call of utmctl or osascript, like
// {Kind: "hang", Verb: "start"}: once, or Times, or always if that is negative.
// Verb is start, suspend, kill, request, delete, make, list, drives or detach,
// also for utmctl.
//
// Kinds in the place of the work are hang, garbage, empty, partial, event (with
// Number and Text), no effect, quit and crash. Kinds beside the work are event
// after, slow and long (by After).
type UTMFault = utmemu.Fault

// UTMMachine is a VM as UTM knows it, without a guest: for [UTM.Emulator].
type UTMMachine = utmemu.VM

// UTMOptions say what a world's UTM, and the guests that it makes, are like. The
// zero value is a good one.
type UTMOptions struct {
	// Settings are those at the start. With Bridge, bridge100 is there from the
	// start, as another program's, and stays.
	Settings UTMSettings
	// Network is what macOS gives to vmnet's shared mode when the first VM
	// starts, a /24: bridge100 then has its first address until the last VM
	// stopped, and vmnet records it. Zero is what Settings.Recorded says, else
	// 192.168.64.0/24.
	Network netip.Prefix
	// Boot is how long a guest takes from power-on until it answers; zero is no
	// time.
	Boot time.Duration
	// CloudInit is how cloud-init ends in a new guest.
	CloudInit CloudInit
	// CloudInitDelay is how long cloud-init goes on after SSH answers, at each
	// boot with a seed; zero is no time.
	CloudInitDelay time.Duration
	// RestartSSH makes sshd restart once, half-way through CloudInitDelay (which
	// then is 2 s if it is zero), at the boot at which the seed is read: its
	// connections end, and for 200 ms it refuses others.
	RestartSSH bool
}

// UTM is the UTM of a world: VMs that utmctl and osascript know, each with a VM
// of the world behind it, which lives and dies with it. Its methods may be
// called at the same time. The errors of those that only look, of Inject and of Change
// are nil.
//
// A VM that is made through it boots only if its first drive came from a raw
// disk with a boot sector. It is then a Debian for clouds, in which nobody has
// an account and sshd has no host key, and becomes what the seed on another
// drive says: user, key, host key, host name and address, if cloudinit.Read
// reads that, and the seed names the MAC address that the VM has. Only guests
// with an address in vmnet's network are reached.
//
// What a VM does to its own power, as [VM.PowerOff] and [VM.Reboot], UTM does
// not notice, and cloud-init does not see that boot.
type UTM struct {
	*rack
	emu *utmemu.Emulator

	// Guarded by the rack's mutex.
	cloud   cloudPlan
	network netip.Prefix
	ours    bool                  // the bridge is there for our VMs
	disks   map[string]*disks     // of VMs that were made, by UUID
	leases  map[string]netip.Addr // by UUID
}

// AddUTM installs UTM, without VMs: from now on World.Run answers utmctl at its
// place in the bundle, osascript and defaults, and bridge100 is vmnet's alone. A
// world has one UTM: a second is an error, and so is a Network that is no /24.
func (w *World) AddUTM(o UTMOptions) (*UTM, error) {
	plan := cloudPlan{o.CloudInit, o.CloudInitDelay, o.RestartSSH}
	u := &UTM{rack: newRack(w, o.Boot), cloud: plan, disks: map[string]*disks{}, leases: map[string]netip.Addr{}}
	err := u.SetNetwork(o.Network)
	if err == nil {
		u.emu, err = utmemu.New(utmemu.Options{Settings: o.Settings, Hooks: utmemu.Hooks{
			Made: u.made, Started: u.started, Stopped: u.stopped, Paused: u.suspend, Resumed: u.resumed,
			Detached: u.detached, Deleted: u.deleted,
		}})
	}
	if err == nil {
		err = w.setUTM(u)
	}
	if err == nil {
		err = u.Change(func(*UTMSettings) {}) // the Mac's address on a bridge that is there
	}
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add UTM: %w", err)
	}
	tools := []string{"utmctl", "osascript", "defaults"}
	if w.opts.NoMac {
		tools = append(tools, "ifconfig") // which the Mac has otherwise
	}
	for _, name := range tools {
		w.HandleCommand(name, u.emu.Runner())
	}
	return u, nil
}

func (w *World) setUTM(u *UTM) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.utm != nil {
		return errors.New("the world has one already")
	}
	w.utm = u
	return nil
}

// SetNetwork changes what macOS will choose when the next VM starts while none
// runs, as UTMOptions.Network says. It is an error if that is no IPv4 /24.
func (u *UTM) SetNetwork(p netip.Prefix) error {
	if p.IsValid() && (p.Bits() != 24 || !p.Addr().Is4()) {
		return fmt.Errorf("mpdvirttest: %v is no IPv4 /24", p)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.network = p.Masked()
	return nil
}

// SetCloudInit changes how cloud-init ends in guests that boot from now on.
func (u *UTM) SetCloudInit(c CloudInit) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cloud.outcome = c
}

// Emulator is what plays utmctl and osascript, for what has no method here. Its
// package is this module's own.
func (u *UTM) Emulator() *utmemu.Emulator { return u.emu }

// AddVM adds a VM that a person made, with a guest like that of World.AddVM,
// which runs unless o.Off is set. With o.Addr it has this address for good; else
// one of the DHCP server. It has no cloud-init.
func (u *UTM) AddVM(name string, o VMOptions) (*VM, error) {
	v, err := u.w.handmade(o)
	var m utmemu.VM
	if err == nil {
		m, err = u.emu.AddVM(utmemu.VM{Name: name, State: map[bool]string{true: "stopped", false: "started"}[o.Off], Arch: "aarch64", Mode: "shared"})
	}
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add VM %s: %w", name, err)
	}
	u.put(m.UUID, v)
	if !o.Off {
		u.plugIn()
		u.powerOn(m.UUID, v)
	}
	return v, nil
}

// VM is the guest of the VM with a name or UUID, of several with one name the oldest;
// nil if there is none.
func (u *UTM) VM(id string) *VM {
	m, ok := u.emu.VM(id)
	if !ok {
		return nil
	}
	return u.guest(m.UUID)
}

// UUID is that of the VM with a name, of several the oldest; "" if there is none.
func (u *UTM) UUID(name string) string {
	m, _ := u.emu.VM(name)
	return m.UUID
}

// Machines are all VMs, in the order of UTM's window. Their addresses are the
// guests'; UTM does not know them.
func (u *UTM) Machines() ([]hypervisor.Machine, error) {
	vms, err := u.emu.VMs()
	words := map[string]hypervisor.State{"started": hypervisor.Running, "pausing": hypervisor.Suspending}
	var out []hypervisor.Machine
	for _, m := range vms {
		machine := hypervisor.Machine{UUID: m.UUID, Name: m.Name, State: hypervisor.State(m.State)}
		if state, other := words[m.State]; other {
			machine.State = state
		}
		if v := u.guest(m.UUID); v != nil {
			machine.Addr, _ = v.addrNow()
		}
		out = append(out, machine)
	}
	return out, err
}

// Calls are the command lines of all calls of UTM's tools so far, in order, with
// blanks between the words. The words of each are in Emulator().Calls.
func (u *UTM) Calls() ([]string, error) {
	calls, err := u.emu.Calls()
	var out []string
	for _, argv := range calls {
		out = append(out, strings.Join(argv, " "))
	}
	return out, err
}

// Inject makes calls go wrong. The first that fits a call is taken.
// Emulator().ClearFaults forgets those that are left.
func (u *UTM) Inject(faults ...UTMFault) error { return u.emu.Inject(faults...) }

// Change changes the settings. f must not use the world.
func (u *UTM) Change(f func(s *UTMSettings)) error {
	var now UTMSettings
	err := u.emu.Change(func(s *UTMSettings) {
		f(s)
		now = *s
	})
	return errors.Join(err, u.w.setBridge(now.Bridge, now.Mask))
}

// SetState makes UTM tell a state of the VM with a name or UUID, in UTM's own words
// ("started", "stopped", "paused") or in one that nobody knows, whatever the guest
// does. It is an error if there is no such VM, as with SetDeaf, Rename and Remove.
func (u *UTM) SetState(id, word string) error {
	return u.emu.Edit(id, func(m *utmemu.VM) { m.State, m.Next, m.Until = word, "", time.Time{} })
}

// SetDeaf makes the guest of a VM ignore the power button, or hear it again.
func (u *UTM) SetDeaf(id string, deaf bool) error {
	return u.emu.Edit(id, func(m *utmemu.VM) { m.Deaf = deaf })
}

// Rename gives a VM another name, as a person does in the window.
func (u *UTM) Rename(id, name string) error {
	return u.emu.Edit(id, func(m *utmemu.VM) { m.Name = name })
}

// Remove deletes a VM with its guest, as a person does in the window.
func (u *UTM) Remove(id string) error {
	m, ok := u.emu.VM(id)
	if !ok {
		return fmt.Errorf("mpdvirttest: remove VM: no VM %s", id)
	}
	err := u.emu.Remove(m.UUID)
	u.deleted(m.UUID)
	return err
}
