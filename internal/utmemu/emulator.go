package utmemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
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
	opts Options
	now  func() time.Time

	mu  sync.Mutex
	mem state // if there is no file
}

// New makes an emulator, which needs no closing. An error is one of reading the
// state's file.
func New(o Options) (*Emulator, error) {
	e := &Emulator{opts: o, now: o.Now, mem: state{Settings: o.Settings}}
	if e.now == nil {
		e.now = time.Now
	}
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
func (e *Emulator) Runner() hypervisor.Runner { return e.run }

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
	after     []func() // hooks that the change of the state asks for
}

func (e *Emulator) run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	if len(c.Argv) == 0 {
		return hypervisor.Result{}, errors.New("run: no program given")
	}
	name := c.Argv[0]
	if err := ctx.Err(); err != nil {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", name, err)
	}
	limit := c.Limit
	if limit <= 0 {
		limit = hypervisor.DefaultLimit
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	k := &call{e: e, ctx: bounded, script: string(c.Stdin)}
	err := e.tx(func(st *state, _ time.Time) error {
		k.set = st.Settings
		if !k.parse(c.Argv) {
			return fmt.Errorf("run %s: %w", name, hypervisor.ErrToolMissing)
		}
		st.Calls = append(st.Calls, slices.Clone(c.Argv))
		if k.tool == "utmctl" || k.tool == "osascript" {
			k.fault = st.fault(k.verb)
		}
		return nil
	})
	if err != nil {
		return hypervisor.Result{}, err
	}
	status, err := k.exec()
	switch {
	case err != nil && ctx.Err() != nil:
		return hypervisor.Result{}, fmt.Errorf("run %s: stopped: %w", name, ctx.Err())
	case err != nil && bounded.Err() != nil:
		return hypervisor.Result{}, fmt.Errorf("run %s: still running after %v: %w", name, limit, bounded.Err())
	case err != nil:
		return hypervisor.Result{}, err
	}
	return hypervisor.Result{Stdout: k.out.Bytes(), Stderr: k.errs.Bytes(), Status: status}, nil
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
func (c *call) wait(d time.Duration) error {
	if d <= 0 {
		return c.ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// change runs one change of the state, and then the hooks that it asks for.
func (c *call) change(f func(st *state, now time.Time) error) error {
	err := c.e.tx(f)
	after := c.after
	c.after = nil
	for _, hook := range after {
		hook()
	}
	return err
}

// tell notes a hook for after the change.
func (c *call) tell(hook func(uuid string), uuid string) {
	if hook != nil {
		c.after = append(c.after, func() { hook(uuid) })
	}
}
