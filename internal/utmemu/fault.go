package utmemu

import (
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// FaultKind is what goes wrong with a call.
type FaultKind string

// What happens in the place of the work.
const (
	// FaultHang never ends, like the dialog that asks for consent. R
	FaultHang FaultKind = "hang"
	// FaultGarbage prints Text, or bytes that nobody can read, and ends well.
	FaultGarbage FaultKind = "garbage"
	// FaultEmpty prints nothing and ends well.
	FaultEmpty FaultKind = "empty"
	// FaultPartial prints half of an answer, or nothing, and fails. A
	FaultPartial FaultKind = "partial"
	// FaultEvent is a refusal with the Apple event error Number and Text: status
	// 0 and a text on standard error with utmctl. C, R
	FaultEvent FaultKind = "event"
	// FaultNoEffect ends well and does nothing. A
	FaultNoEffect FaultKind = "no effect"
	// FaultQuit: UTM quits in the middle of a make, whose bundle stays behind
	// without a VM; other verbs are not done. The error is -609. C
	FaultQuit FaultKind = "quit"
	// FaultCrash is the end of a tool that has no console session. R
	FaultCrash FaultKind = "crash"
)

// What happens beside the work.
const (
	// FaultEventAfter does the work and then says Number, as -1712. R
	FaultEventAfter FaultKind = "event after"
	// FaultSlow ends at once; the work is done After later.
	FaultSlow FaultKind = "slow"
	// FaultLong does the work After later and ends then.
	FaultLong FaultKind = "long"
)

// Fault is something that goes wrong with a call.
type Fault struct {
	Kind FaultKind
	// Verb is a word of osascript's arguments, which stands for the same verb of
	// utmctl, too; "" is every call but those of ifconfig and defaults.
	Verb string `json:",omitempty"`
	// Times is how often it happens; 0 is once, negative is always.
	Times int `json:",omitempty"`
	// Number is the Apple event error.
	Number int           `json:",omitempty"`
	Text   string        `json:",omitempty"`
	After  time.Duration `json:",omitempty"` // not scaled
}

// Inject makes calls go wrong. The first that fits a call is taken.
func (e *Emulator) Inject(faults ...Fault) error {
	return e.tx(func(st *state, _ time.Time) error {
		for _, f := range faults {
			st.Arm(emu.Match{Verb: f.Verb, Times: f.Times}, f)
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
