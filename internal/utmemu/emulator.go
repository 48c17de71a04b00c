package utmemu

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
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

// Hooks are told what happens to VMs, so that machines of another kind can live
// and die with them. Each may be nil. They are called with no lock held, before
// the command that causes them returns, and may use the Emulator.
type Hooks struct {
	// Made tells of a VM that was made; Drive.Source is where its disks came from.
	Made    func(v VM)
	Started func(uuid string)
	// Stopped tells that the guest is off, or is asked to be if killed is false.
	Stopped func(uuid string, killed bool)
	// Paused and Resumed freeze and thaw the guest.
	Paused, Resumed func(uuid string)
	// Detached tells of a drive that was taken away.
	Detached func(uuid string, d Drive)
	Deleted  func(uuid string)
}

// Emulator is a Mac's UTM. Its methods may be called at the same time.
type Emulator struct {
	opts  Options
	store emu.Store[state]
}

// New makes an emulator, which needs no closing. An error is one of reading the
// state's file.
func New(o Options) (*Emulator, error) {
	e := &Emulator{opts: o, store: emu.Store[state]{
		Name: "utmemu", File: o.State, First: state{Settings: o.Settings}, Clock: o.Now, Keep: isFailure,
	}}
	return e, e.tx(func(*state, time.Time) error { return nil })
}

// Change changes the settings.
func (e *Emulator) Change(f func(s *Settings)) error {
	return e.tx(func(st *state, _ time.Time) error {
		f(&st.Settings)
		return nil
	})
}

// Calls are all commands so far that were programs of this Mac.
func (e *Emulator) Calls() (out [][]string, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		out = slices.Clone(st.Calls)
		return nil
	})
	return out, err
}

// Runner answers utmctl at its place in the bundle, osascript, and what defaults
// and ifconfig are asked about UTM. Other programs are ErrToolMissing.
func (e *Emulator) Runner() hypervisor.Runner { return emu.Runner(e.play) }

// bundled is where utmctl lives. C
const bundled = "/Applications/UTM.app/Contents/MacOS/utmctl"

// call is one run of a program.
type call struct {
	e         *Emulator
	ctx       context.Context
	tool      string
	verb      string   // as osascript's word
	args      []string // behind the verb
	flags     []string // of utmctl
	script    string   // of osascript
	out, errs bytes.Buffer
	fault     Fault
	set       Settings
	after     emu.Later // hooks that the change of the state asks for
}

// play runs a program, and prints when it has ended.
func (e *Emulator) play(ctx context.Context, run *emu.Call) (int, error) {
	script, err := io.ReadAll(run.Stdin)
	if err != nil {
		return 0, err
	}
	c := &call{e: e, ctx: ctx, script: string(script)}
	err = e.tx(func(st *state, _ time.Time) error {
		c.set = st.Settings
		if !c.parse(run.Argv) {
			return emu.Missing(run.Argv[0])
		}
		st.Called(run.Argv)
		if c.tool == "utmctl" || c.tool == "osascript" {
			c.fault, _ = st.Take(c.verb, c.args)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	status, err := c.exec()
	if err != nil {
		return 0, err
	}
	_, err = c.out.WriteTo(run.Stdout)
	_, err2 := c.errs.WriteTo(run.Stderr)
	return status, errors.Join(err, err2)
}

// parse says which program this is; false if the Mac has none.
func (c *call) parse(argv []string) bool {
	switch name := argv[0]; {
	case name == "ifconfig", name == "defaults":
		c.tool, c.args = name, argv[1:]
	case name == "osascript":
		c.tool = name
		if len(argv) > 2 && argv[1] == "-" {
			c.verb, c.args = argv[2], argv[3:]
			c.stops()
		}
	case name == bundled && !c.set.Absent && !c.set.NoUtmctl, name == "utmctl" && c.set.OnPath:
		c.tool = "utmctl"
		c.parseUtmctl(argv[1:])
	default:
		return false
	}
	return true
}

// wait lets time pass.
func (c *call) wait(d time.Duration) error { return emu.Wait(c.ctx, d) }

// change runs one change of the state, and then the hooks that it asks for.
func (c *call) change(f func(st *state, now time.Time) error) error {
	err := c.e.tx(f)
	c.after.Run()
	return err
}

// tell notes a hook for after the change.
func (c *call) tell(hook func(uuid string), uuid string) {
	if hook != nil {
		c.after.Add(func() { hook(uuid) })
	}
}
