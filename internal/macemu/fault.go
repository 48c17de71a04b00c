package macemu

import (
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// FaultKind is what goes wrong with a command.
type FaultKind string

// What goes wrong.
const (
	// FaultHang never ends.
	FaultHang FaultKind = "hang"
	// FaultGarbage prints Text, or bytes that nobody can read, and ends well.
	FaultGarbage FaultKind = "garbage"
	// FaultEmpty does nothing, prints nothing and ends well.
	FaultEmpty FaultKind = "empty"
	// FaultRefuse does nothing, prints Text on standard error and ends with
	// Status.
	FaultRefuse FaultKind = "refuse"
	// FaultNoEffect prints and ends as if all were well, and changes nothing.
	FaultNoEffect FaultKind = "no effect"
	// FaultSlow does the work After later and ends then: what other emulators
	// name long.
	FaultSlow FaultKind = "slow"
	// FaultAfter does the work and then prints Text on standard error and ends
	// with Status.
	FaultAfter FaultKind = "after"
)

// Fault is something that goes wrong with a command. It is met by a tool that
// sudo or env runs, too.
type Fault struct {
	Kind FaultKind
	// Tool is a bare name; "" is every tool, and Verb is "" then.
	Tool string `json:",omitempty"`
	// Verb is the first word of security, the word behind --nc or --dns of
	// scutil, the command of route, the option -v, -k or -K of sudo, -q or
	// -flushcache of dscacheutil, -R or -a of open; "" is every use of the tool.
	Verb string `json:",omitempty"`
	// Has is an argument that the command must have, too; "" is none.
	Has string `json:",omitempty"`
	// Skip is how many such commands go well before.
	Skip int `json:",omitempty"`
	// Times is how often it happens; 0 is once, negative is always.
	Times int `json:",omitempty"`
	// Status is the exit status of FaultRefuse and FaultAfter; 0 is 1, and
	// negative is 0.
	Status int           `json:",omitempty"`
	Text   string        `json:",omitempty"`
	After  time.Duration `json:",omitempty"` // not scaled
}

// Inject makes commands go wrong. The first that fits a command is taken, one
// with a verb before one without. A fault with a verb and no tool is an error.
func (e *Emulator) Inject(faults ...Fault) error {
	return e.tx(func(st *state, _ time.Time) error {
		for _, f := range faults {
			if f.Tool == "" && f.Verb != "" {
				return fmt.Errorf("macemu: a fault for verb %q of no tool", f.Verb)
			}
			st.Arm(emu.Match{Verb: key(f.Tool, f.Verb), Has: f.Has, Skip: f.Skip, Times: f.Times}, f)
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

func key(tool, verb string) string {
	if verb == "" {
		return tool
	}
	return tool + " " + verb
}

// fault takes the fault that a command meets; the zero Fault is none.
func (st *state) fault(tool, verb string, args []string) Fault {
	if verb != "" {
		if f, ok := st.Take(key(tool, verb), args); ok {
			return f
		}
	}
	f, _ := st.Take(tool, args)
	return f
}

// spoiled does what a fault does in the place of the work, or lets time pass
// before it.
func (c *call) spoiled(f Fault) (status int, done bool, err error) {
	switch f.Kind {
	case FaultHang:
		return 0, true, c.from.Hang(c.ctx, false)
	case FaultGarbage:
		c.out.WriteString(or(f.Text, "\x1b[31mlicence?\x00 \xff<html>[{\n"))
		return 0, true, nil
	case FaultEmpty:
		return 0, true, nil
	case FaultRefuse:
		return c.refused(f), true, nil
	case FaultNoEffect:
		c.dry = true
	case FaultSlow:
		err = emu.Wait(c.ctx, f.After)
		return 0, err != nil, err
	}
	return 0, false, nil
}

// refused prints the words of a fault and returns its status.
func (c *call) refused(f Fault) int {
	c.errs.WriteString(f.Text)
	switch {
	case f.Status < 0:
		return 0
	case f.Status == 0:
		return 1
	}
	return f.Status
}
