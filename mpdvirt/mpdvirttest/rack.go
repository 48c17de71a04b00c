package mpdvirttest

import (
	"net/netip"
	"sync"
	"time"
)

// rack ties the VMs of a hypervisor to the guests in the world: which is which,
// and when a guest that was started answers.
type rack struct {
	w    *World
	boot time.Duration // from power-on until the guest boots

	mu     sync.Mutex
	guests map[string]*VM // by UUID
	power  map[string]int // counts starts and stops, so that a late start is told from the one that counts
}

func newRack(w *World, boot time.Duration) *rack {
	return &rack{w: w, boot: boot, guests: map[string]*VM{}, power: map[string]int{}}
}

func (r *rack) guest(uuid string) *VM {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.guests[uuid]
}

func (r *rack) put(uuid string, v *VM) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.guests[uuid] = v
}

// turn counts a change of the power, and returns the guest and the number.
func (r *rack) turn(uuid string) (*VM, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.power[uuid]++
	return r.guests[uuid], r.power[uuid]
}

// start lets the guest boot when its time has come, unless its power was
// changed until then. A VM without guest was added to the emulator alone.
func (r *rack) start(uuid string, powerOn func(uuid string, v *VM)) {
	v, turn := r.turn(uuid)
	switch {
	case v == nil:
	case r.boot <= 0:
		powerOn(uuid, v)
	default:
		r.w.later(r.boot, func() {
			r.mu.Lock()
			still := r.power[uuid] == turn
			r.mu.Unlock()
			if still {
				powerOn(uuid, v)
			}
		})
	}
}

func (r *rack) stop(uuid string, killed bool) {
	if v, _ := r.turn(uuid); v != nil {
		v.halt(!killed)
	}
}

func (r *rack) suspend(uuid string) {
	if v, _ := r.turn(uuid); v != nil {
		v.Suspend()
	}
}

// resume wakes the guest; one that was suspended while it booted boots now.
func (r *rack) resume(uuid string, powerOn func(uuid string, v *VM)) {
	v, _ := r.turn(uuid)
	if v == nil {
		return
	}
	v.Resume()
	if !v.running() {
		powerOn(uuid, v)
	}
}

// discard takes the guest out of the world.
func (r *rack) discard(uuid string) {
	v, _ := r.turn(uuid)
	if v == nil {
		return
	}
	v.halt(false)
	_ = v.SetAddr(netip.Addr{}) // no address is always free
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.guests, uuid)
}

// appear boots the guest at an address. Without one, because it has none or
// another machine has it, it runs and nobody reaches it.
func (v *VM) appear(addr netip.Addr) {
	if v.SetAddr(addr) != nil || v.boot() != nil {
		_ = v.SetAddr(netip.Addr{})
		_ = v.boot() // fails only where the world is closed
	}
}

// handmade puts a guest in the world as a person installs one: with o.Addr it
// has that address for good.
func (w *World) handmade(o VMOptions) (*VM, error) {
	v, err := w.plant(o, (*VM).install)
	if err == nil && o.Addr.IsValid() {
		err = v.setStatic(o.Addr)
	}
	return v, err
}

// addrNow is the address at which the guest is reached; false if nowhere.
func (v *VM) addrNow() (netip.Addr, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.addr, v.on && !v.asleep && v.addr.IsValid()
}
