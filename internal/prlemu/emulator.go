package prlemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/command"
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
	opts Options
	now  func() time.Time
	// stubborn ends a hang that ignores signals; nil inside a process.
	stubborn func()

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

// Runner answers prlctl and prlsrvctl, by the base name of Argv[0], inside this
// process. Other programs, and these if Settings.Absent, are ErrToolMissing.
func (e *Emulator) Runner() hypervisor.Runner { return e.run }

func (e *Emulator) run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	if len(c.Argv) == 0 {
		return hypervisor.Result{}, errors.New("run: no program given")
	}
	name := c.Argv[0]
	if err := ctx.Err(); err != nil {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", name, err)
	}
	s, err := e.settings()
	if err != nil {
		return hypervisor.Result{}, err
	}
	if tool := path.Base(name); s.Absent || tool != "prlctl" && tool != "prlsrvctl" {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", name, hypervisor.ErrToolMissing)
	}
	limit := c.Limit
	if limit <= 0 {
		limit = hypervisor.DefaultLimit
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, errs := &capture{}, &capture{}
	status, err := e.exec(bounded, c.Argv, out, errs)
	switch {
	case out.over || errs.over:
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", name, command.ErrTooMuchOutput)
	case err != nil && ctx.Err() != nil:
		return hypervisor.Result{}, fmt.Errorf("run %s: stopped: %w", name, ctx.Err())
	case err != nil && bounded.Err() != nil:
		return hypervisor.Result{}, fmt.Errorf("run %s: still running after %v: %w", name, limit, bounded.Err())
	case err != nil:
		return hypervisor.Result{}, err
	}
	return hypervisor.Result{Stdout: out.Bytes(), Stderr: errs.Bytes(), Status: status}, nil
}

// capture keeps what is printed, within the bound of the real runner.
type capture struct {
	bytes.Buffer
	over bool
}

func (c *capture) Write(b []byte) (int, error) {
	if c.Len()+len(b) > command.MaxOutput {
		c.over = true
		return 0, io.ErrShortWrite
	}
	return c.Buffer.Write(b)
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
	ctx := env.Context
	if ctx == nil {
		ctx = context.Background()
	}
	e, err := New(Options{State: env.State, Hooks: env.Hooks})
	if err == nil {
		e.stubborn = func() {
			if env.Hanging != nil {
				env.Hanging()
			}
		}
		var status int
		if status, err = e.exec(ctx, args, env.Stdout, env.Stderr); err == nil {
			return status
		}
	}
	if ctx.Err() != nil {
		return statusRefused
	}
	fmt.Fprintf(env.Stderr, "prlemu: %v\n", err)
	return 70
}
