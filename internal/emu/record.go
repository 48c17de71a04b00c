package emu

import "slices"

// Match says which calls a fault is for, and how many of them.
type Match struct {
	// Verb is the emulator's word for what the call does; "" is every call.
	Verb string `json:",omitempty"`
	// Has is an argument that the call must have, too; "" is none.
	Has string `json:",omitempty"`
	// Skip is how many such calls go well before.
	Skip int `json:",omitempty"`
	// Times is how often it happens; 0 is once, negative is always.
	Times int `json:",omitempty"`
}

// Armed is a fault that waits for its calls. Match counts down what is left.
type Armed[F any] struct {
	Match Match
	Fault F
}

// Record is what every emulator remembers beside what it plays: the calls so
// far, and the faults of its own type F that did not happen yet. It is embedded
// in the state of a [Store], which guards it; alone it is not safe for
// concurrent use. The zero value is empty, and emptying a field forgets what was
// in it.
type Record[F any] struct {
	Calls  [][]string `json:",omitempty"`
	Faults []Armed[F] `json:",omitempty"`
}

// Called writes a call down. The slice stays the caller's.
func (r *Record[F]) Called(argv []string) { r.Calls = append(r.Calls, slices.Clone(argv)) }

// Arm makes calls go wrong, behind the faults that already wait.
func (r *Record[F]) Arm(m Match, fault F) {
	if m.Times == 0 {
		m.Times = 1
	}
	r.Faults = append(r.Faults, Armed[F]{m, fault})
}

// Take returns the fault that a call meets, and counts that it did; ok is false
// if there is none. Of many that are for the call it is the one that was armed
// first. One that still has calls to skip is met by them, too: as nothing wrong.
func (r *Record[F]) Take(verb string, args []string) (fault F, ok bool) {
	i := slices.IndexFunc(r.Faults, func(a Armed[F]) bool {
		return (a.Match.Verb == "" || a.Match.Verb == verb) && (a.Match.Has == "" || slices.Contains(args, a.Match.Has))
	})
	if i < 0 {
		return fault, false
	}
	a := &r.Faults[i]
	if a.Match.Skip > 0 {
		a.Match.Skip--
		return fault, false
	}
	fault = a.Fault
	if a.Match.Times > 0 {
		a.Match.Times--
	}
	if a.Match.Times == 0 {
		r.Faults = slices.Delete(r.Faults, i, i+1)
	}
	return fault, true
}
