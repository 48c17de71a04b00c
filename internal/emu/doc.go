// Package emu is what the packages have in common that play outside programs
// for tests and the demo: a state that goroutines and processes share, faults
// that wait for their calls, and the two forms in which a played program runs.
//
// An emulator keeps a [Store] of its own state, into which it embeds a [Record]
// of its calls and faults, and writes one function, a [Play], that is the body
// of its programs:
//
//	type state struct {
//		emu.Record[Fault]
//		Settings Settings
//	}
//
//	type Emulator struct{ store emu.Store[state] }
//
//	func New(o Options) *Emulator {
//		return &Emulator{store: emu.Store[state]{Name: "toolemu", File: o.State, First: state{Settings: o.Settings}}}
//	}
//
//	func (e *Emulator) Runner() hypervisor.Runner { return emu.Runner(e.play) }
//
// [Runner] makes the Play a [hypervisor.Runner] inside this process, with the
// bounds and the errors of the real one. [Process.Main] makes it the body of a
// real program, for tests that want processes to hang and to be killed.
//
// # Time
//
// Nothing here runs in the background, and all waits are timers and contexts, so
// that a testing/synctest bubble makes them free. A state that passes by itself
// is settled by the emulator at the start of each change, with the time that
// [Store.Do] hands over.
//
// # Out of scope
//
// What the programs print and do, what kinds of faults there are, and which
// calls they are for: that differs from program to program. Nothing here reads
// a program's arguments.
package emu
