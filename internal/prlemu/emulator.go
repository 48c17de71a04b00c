package prlemu

import (
	"context"
	"io"
	"net/netip"
	"path"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// Options say how an Emulator works. The zero value keeps its state in memory.
type Options struct {
	// State is the file that keeps the state, in a folder that exists; many
	// processes may use it at once. "" keeps it in memory.
	State string
	// Settings are those of a new state; a file that exists has its own.
	Settings Settings
	// Hooks tie the VMs to something that really runs.
	Hooks Hooks
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Hooks are told what happens to VMs, and asked about guests, so that machines
// of another kind can live and die with them. Each may be nil. They are called
// with no lock held, before the command that causes them returns, and may use
// the Emulator.
type Hooks struct {
	Started func(uuid string)
	// Stopped tells that the guest is off: shut down, or killed at once.
	Stopped func(uuid string, killed bool)
	// Suspended and Resumed also stand for paused and unpaused.
	Suspended, Resumed func(uuid string)
	Cloned             func(src, dst VM)
	Deleted            func(uuid string)
	Renamed            func(uuid, name string)
	// Addr is the guest's address; VM.IP and DHCP then mean nothing.
	Addr func(uuid string) (netip.Addr, bool)
	// Hostname is the guest's name; VM.Hostname then means nothing.
	Hostname func(uuid string) string
}

// Emulator is a Mac's Parallels Desktop. Its methods may be called at the same
// time.
type Emulator struct {
	opts  Options
	store emu.Store[state]
}

// New makes an emulator, which needs no closing. An error is one of reading the
// state's file.
func New(o Options) (*Emulator, error) {
	e := &Emulator{opts: o, store: emu.Store[state]{
		Name: "prlemu", File: o.State, First: state{Settings: o.Settings}, Clock: o.Now, Keep: isFailure,
	}}
	return e, e.tx(func(*state, time.Time) error { return nil })
}

// Runner answers prlctl and prlsrvctl, by the base name of Argv[0], inside this
// process. Other programs, and these if Settings.Absent, are ErrToolMissing.
func (e *Emulator) Runner() hypervisor.Runner { return emu.Runner(e.installed) }

// installed plays a tool, if the Mac has it.
func (e *Emulator) installed(ctx context.Context, c *emu.Call) (int, error) {
	s, err := e.settings()
	if err != nil {
		return 0, err
	}
	if tool := path.Base(c.Argv[0]); s.Absent || tool != "prlctl" && tool != "prlsrvctl" {
		return 0, emu.Missing(c.Argv[0])
	}
	return e.exec(ctx, c)
}

// Env is what a process gives to Main.
type Env struct {
	// Context ends when the process is told to end; a stubborn hang ignores
	// it. nil never ends.
	Context context.Context
	// State is the state's file, as in Options.
	State          string
	Stdout, Stderr io.Writer
	// Hooks are as in Options, for this process alone.
	Hooks Hooks
	// Hanging, if not nil, is called when a hang begins.
	Hanging func()
}

// Main is prlctl or prlsrvctl, which args[0] says, as a program. The result is
// the exit status: 255 if the context ended it (A), and 70 if the emulator itself
// failed.
func Main(args []string, env Env) int {
	p := emu.Process{
		Name: "prlemu", Context: env.Context, Stdout: env.Stdout, Stderr: env.Stderr, Terminated: statusRefused, Hanging: env.Hanging,
	}
	return p.Main(args, func(ctx context.Context, c *emu.Call) (int, error) {
		e, err := New(Options{State: env.State, Hooks: env.Hooks})
		if err != nil {
			return 0, err
		}
		return e.exec(ctx, c)
	})
}
