package mpdvirttest

import (
	"context"
	"net/netip"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

// FaultKind is what goes wrong in a step.
type FaultKind string

// Faults of any step.
const (
	Exit      FaultKind = "exit"       // does nothing and ends with Status, saying Text
	NoEffect  FaultKind = "no effect"  // says that all is well and does nothing
	Drop      FaultKind = "drop"       // the connection is reset before the work
	DropAfter FaultKind = "drop after" // the connection is reset after the work, before the exit status
	NoStatus  FaultKind = "no status"  // works, but the client learns no exit status
	Killed    FaultKind = "killed"     // ends by signal KILL before the work
	Hang      FaultKind = "hang"       // never ends
	Slow      FaultKind = "slow"       // says nothing for After, then works
	Noise     FaultKind = "noise"      // prints Text first, then works
	Restarts  FaultKind = "restarts"   // the VM reboots before the work and is away for After
	Dies      FaultKind = "dies"       // the VM loses its power before the work
)

// Faults of the change of address in step 30. In another step nothing comes of
// them.
const (
	CutForeground FaultKind = "cut foreground" // changes the address while it runs: no exit status
	NeverBack     FaultKind = "never back"     // gives the address up and takes no other
	Late          FaultKind = "late"           // answers at the new address only After
	Lingers       FaultKind = "lingers"        // answers at the old address for After
	Stays         FaultKind = "stays"          // ends well and keeps the old address
	WrongAddr     FaultKind = "wrong address"  // takes Addr in the place of the right address
	LocksDpkg     FaultKind = "locks dpkg"     // dpkg is locked for After afterwards, as VM.LockDpkg does
)

// Fault is something that goes wrong when a step runs; see [VM.Inject].
type Fault struct {
	Step   string        // as in VM.Steps; "" is the next one, whichever it is
	Kind   FaultKind     // "": nothing, so that a later fault comes at a later run
	Status int           // of Exit; 0: 1
	After  time.Duration // of Slow, Restarts, Late, Lingers and LocksDpkg
	Addr   netip.Addr    // of WrongAddr
	Text   string        // of Exit and Noise
	Times  int           // how often; 0: once, negative: always
}

// Inject makes a step go wrong. Faults for the same step come one after the
// other. Package mpdvirt itself runs step 40 again after the status 100 of apt-get,
// while dpkg is locked or right after the change of address.
func (v *VM) Inject(f Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	v.faults = append(v.faults, &f)
}

// ClearFaults forgets all faults that did not happen yet.
func (v *VM) ClearFaults() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = nil
}

// fault is the fault for a step that begins, or the zero Fault.
func (v *VM) fault(step string) Fault {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.faults {
		if f.Times != 0 && (f.Step == "" || f.Step == step) {
			if f.Times > 0 {
				f.Times--
			}
			return *f
		}
	}
	return Fault{}
}

// OnStep sets a function that is called, on the step's goroutine, when a
// bootstrap step begins and ends; phase is "begin" or "end". The step waits
// for it, and a fault of the step comes behind its begin. nil ends that. It may use
// the world, but must not call Close.
func (v *VM) OnStep(f func(step, phase string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hook = f
}

// step runs one step with the fault that is due. The result is its exit status.
func (v *VM) step(ctx context.Context, p *debian.Process, name string, work func(f Fault) int) int {
	v.mu.Lock()
	v.log.steps = append(v.log.steps, name)
	hook := v.hook
	v.mu.Unlock()
	if hook != nil {
		hook(name, "begin")
		defer hook(name, "end")
	}
	f := v.fault(name)
	if !pause(ctx, v.w.opts.Delay) {
		return 143
	}
	s := sessionOf(ctx)
	switch f.Kind {
	case Exit:
		return fail(p, f)
	case NoEffect:
		p.Printf("\n==> %s\n    ok: done\n", name)
		return 0
	case Drop:
		return v.reset(s)
	case Killed:
		s.do(func() { s.signal = "KILL" })
		return 137
	case Hang:
		<-ctx.Done()
		return 143
	case Slow:
		if !pause(ctx, f.After) {
			return 143
		}
	case Noise:
		p.Printf("%s\n", f.Text)
	case Restarts:
		v.Reboot(f.After)
		return 143
	case Dies:
		v.PowerOff()
		return 143
	}
	status := work(f)
	switch f.Kind {
	case DropAfter:
		return v.reset(s)
	case NoStatus:
		s.do(func() { s.mute = true })
	}
	return status
}

func fail(p *debian.Process, f Fault) int {
	if f.Text == "" {
		f.Text = "Error: something went wrong"
	}
	p.Errorf("%s", f.Text)
	return max(f.Status, 1)
}

// reset breaks the connection that a step runs in, and all others of the VM.
func (v *VM) reset(s *session) int {
	s.do(func() { s.mute = true })
	v.ResetConnections()
	return 143
}

// ResetConnections breaks all connections to the VM, as a router does that
// forgets them.
func (v *VM) ResetConnections() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.on { // else its address may be another machine's by now
		v.net.Reset(v.at())
	}
}

// CutConnections makes all connections to the VM fall silent for ever, while
// new ones work. Of a VM that is off it does nothing, as ResetConnections.
func (v *VM) CutConnections() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.on { // as in ResetConnections
		v.net.Cut(v.at())
	}
}

// pause waits, and says false if ctx ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
