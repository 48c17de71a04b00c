package prlemu

import (
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// FaultKind is what goes wrong with a call.
type FaultKind string

// What happens in the place of the work.
const (
	// FaultHang: never ends. With Stubborn, also not by SIGTERM.
	FaultHang FaultKind = "hang"
	// FaultGarbage: bytes that are no JSON, or Text, and status 0, or Status.
	FaultGarbage FaultKind = "garbage"
	// FaultHuge: output without an end to speak of.
	FaultHuge FaultKind = "huge"
	// FaultPartial: half of the output, and 255.
	FaultPartial FaultKind = "partial"
	// FaultEmpty: no output, and status 0.
	FaultEmpty FaultKind = "empty"
	// FaultBusy: the refusal of a busy VM. C
	FaultBusy FaultKind = "busy"
	// FaultLogin: the "Login failed:" that goes away by itself. C, status A
	FaultLogin FaultKind = "login failed"
	// FaultService: the service does not answer, 253. C
	FaultService FaultKind = "service"
	// FaultPassword: the administrator's password is wanted. C
	FaultPassword FaultKind = "password"
	// FaultNoSpace: the disk is full; a clone breaks off half-way. A
	FaultNoSpace FaultKind = "no space"
	// FaultRefuse: Text on standard error, and 255, or Status.
	FaultRefuse FaultKind = "refuse"
	// FaultErrorWithZero: a failure's text, or Text, with status 0.
	FaultErrorWithZero FaultKind = "error with 0"
	// FaultNoEffect: says that it worked, and does nothing.
	FaultNoEffect FaultKind = "no effect"
)

// What happens beside the work.
const (
	// FaultHangAfter: does its work and never ends.
	FaultHangAfter FaultKind = "hang after"
	// FaultOneWithGood: works and prints well, and status 1.
	FaultOneWithGood FaultKind = "1 with good output"
	// FaultNoise: control characters around the output.
	FaultNoise FaultKind = "noise"
	// FaultSlow: works, After later.
	FaultSlow FaultKind = "slow"
	// FaultStuck: the state that should pass stays for ever.
	FaultStuck FaultKind = "stuck"
	// FaultWedged: a stop waits for After (0: 120 s, scaled) and fails, the
	// guest running on. C
	FaultWedged FaultKind = "wedged"
	// FaultRenameBehind, FaultDeleteBehind and FaultReplaceBehind: after the
	// call, the VM with the name or UUID VM is called Name, is gone, or its
	// name belongs to a new VM with another UUID.
	FaultRenameBehind  FaultKind = "rename behind"
	FaultDeleteBehind  FaultKind = "delete behind"
	FaultReplaceBehind FaultKind = "replace behind"
	// FaultStateBehind: after the call, VM is in the state Name.
	FaultStateBehind FaultKind = "state behind"
)

// Fault is something that goes wrong with a call of prlctl or prlsrvctl.
type Fault struct {
	Kind FaultKind
	// Verb is the first word behind prlctl, or the words "prlsrvctl info" or
	// "prlsrvctl net"; "" is every call.
	Verb string `json:",omitempty"`
	// Has is an argument that the call must have, too; "" is none.
	Has string `json:",omitempty"`
	// Skip is how many such calls go well before.
	Skip int `json:",omitempty"`
	// Times is how often it happens; 0 is once, negative is always.
	Times int `json:",omitempty"`

	Status   int           `json:",omitempty"`
	Text     string        `json:",omitempty"`
	After    time.Duration `json:",omitempty"` // not scaled
	Stubborn bool          `json:",omitempty"`
	VM, Name string        `json:",omitempty"`
}

// Hang makes all calls of a verb hang.
func Hang(verb string) Fault { return Fault{Kind: FaultHang, Verb: verb, Times: -1} }

// Garbage makes all calls of a verb print no JSON.
func Garbage(verb string) Fault { return Fault{Kind: FaultGarbage, Verb: verb, Times: -1} }

// Huge makes all calls of a verb print without end.
func Huge(verb string) Fault { return Fault{Kind: FaultHuge, Verb: verb, Times: -1} }

// Partial makes all calls of a verb break off with 255.
func Partial(verb string) Fault { return Fault{Kind: FaultPartial, Verb: verb, Times: -1} }

// Empty makes all calls of a verb print nothing and end well.
func Empty(verb string) Fault { return Fault{Kind: FaultEmpty, Verb: verb, Times: -1} }

// Busy makes some calls of a verb find the VM busy.
func Busy(verb string, times int) Fault { return Fault{Kind: FaultBusy, Verb: verb, Times: times} }

// LoginFailed makes some calls of anything fail to log in to the service.
func LoginFailed(times int) Fault { return Fault{Kind: FaultLogin, Times: times} }

// NoEffect makes all calls of a verb claim a success that is none.
func NoEffect(verb string) Fault { return Fault{Kind: FaultNoEffect, Verb: verb, Times: -1} }

// ErrorWithZero makes all calls of a verb fail with status 0.
func ErrorWithZero(verb string) Fault {
	return Fault{Kind: FaultErrorWithZero, Verb: verb, Times: -1}
}

// OneWithGood makes all calls of a verb work and end with status 1.
func OneWithGood(verb string) Fault { return Fault{Kind: FaultOneWithGood, Verb: verb, Times: -1} }

// Inject makes calls go wrong. Faults that fit the same call come one after
// the other, in the order in which they were injected.
func (e *Emulator) Inject(faults ...Fault) error {
	return e.tx(func(st *state, _ time.Time) error {
		for _, f := range faults {
			st.Arm(emu.Match{Verb: f.Verb, Has: f.Has, Skip: f.Skip, Times: f.Times}, f)
		}
		return nil
	})
}

// ClearFaults forgets all faults that did not happen yet.
func (e *Emulator) ClearFaults() error {
	return e.tx(func(st *state, _ time.Time) error {
		st.Faults = nil
		return nil
	})
}
