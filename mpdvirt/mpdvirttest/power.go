package mpdvirttest

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

const sshPort = 22

// at is the address under which the network knows the VM. v.mu is held.
func (v *VM) at() netip.Addr {
	if v.addr.IsValid() {
		return v.addr
	}
	return v.limbo
}

// boot turns the VM on; one that is on is fine.
func (v *VM) boot() error {
	v.mu.Lock()
	on := v.on
	v.mu.Unlock()
	if on {
		return nil
	}
	v.loadKeys()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.on {
		return nil
	}
	select {
	case <-v.w.done:
		return errors.New("mpdvirttest: the world is closed")
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	v.on, v.off = true, cancel
	v.listenAgain = func() error { return v.listen(ctx) }
	v.net.SetUp(v.at(), true)
	if err := v.listen(ctx); err != nil {
		v.on = false
		cancel()
		return err
	}
	return nil
}

// listen starts sshd, unless the VM has none, or it has no host key. v.mu is
// held.
func (v *VM) listen(ctx context.Context) error {
	v.listener = nil
	if v.server == ServerClosed || len(v.keys) == 0 {
		return nil
	}
	l, err := v.net.Listen(netip.AddrPortFrom(v.at(), sshPort))
	if err != nil {
		return err
	}
	v.listener = l
	v.w.wg.Go(func() { v.accept(ctx, l) })
	return nil
}

// halt turns the VM off: at once, so that its connections fall silent, or in
// order, so that they end.
func (v *VM) halt(orderly bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.on {
		return
	}
	v.on, v.asleep = false, false
	if !orderly {
		v.net.Cut(v.at())
	}
	v.off()
	if v.listener != nil {
		v.listener.Close() // an error says that it was closed before
	}
	for c := range v.conns {
		c.Close() // likewise
	}
	clear(v.conns)
}

// PowerOff cuts the VM's power: its connections fall silent, its programs end, and
// its address is nobody's. One that is off is fine.
func (v *VM) PowerOff() { v.halt(false) }

// PowerOn turns the VM on again, at the address that it had; one that is on stays as
// it is, suspended or not. It is an error if the sshd of another VM listens there by
// now, or if the world is closed.
func (v *VM) PowerOn() error { return v.boot() }

// Reboot shuts the VM down in order, so that its connections end, and turns it
// on again after some time, in which nobody has its address. It does not wait for
// that. The VM stays off if it cannot be turned on, as PowerOn says.
func (v *VM) Reboot(after time.Duration) {
	v.halt(true)
	v.w.later(after, func() {
		_ = v.boot() // it stays away if its address was taken meanwhile
	})
}

// Suspend freezes the VM: its connections stand still, and nobody has its
// address until Resume. A VM that is off stays as it is.
func (v *VM) Suspend() { v.freeze(true) }

// Resume lets a suspended VM go on; one that is not is fine.
func (v *VM) Resume() { v.freeze(false) }

func (v *VM) freeze(asleep bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.on { // its address may be another machine's by now
		return
	}
	v.asleep = asleep
	v.net.SetUp(v.at(), !asleep)
}

// later calls f after some time, unless the world is closed before.
func (w *World) later(after time.Duration, f func()) {
	w.ending.Lock()
	defer w.ending.Unlock()
	select {
	case <-w.done:
		return
	default:
	}
	w.wg.Go(func() {
		if w.wait(after) {
			f()
		}
	})
}

// wait waits, and says false if the world was closed meanwhile.
func (w *World) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.done:
		return false
	}
}

// SetAddr gives the VM another address, or with an invalid one none. Open
// connections fall silent, as when a guest changes its address. It is an error
// if another machine has the address: that one goes on to answer there, and this VM
// has it, too, and is not reached.
func (v *VM) SetAddr(addr netip.Addr) error {
	taken := addr.IsValid() && addr != v.Addr() && v.w.exists(addr)
	v.mu.Lock()
	defer v.mu.Unlock()
	from := v.at()
	v.addr = addr
	if v.on && from != v.at() {
		v.net.Move(from, v.at())
	}
	if taken {
		return errors.New("mpdvirttest: the address belongs to another machine, which keeps it")
	}
	return nil
}
