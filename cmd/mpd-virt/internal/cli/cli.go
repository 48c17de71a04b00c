package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/command"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// Env is the world of one command line. The zero value has no arguments, an
// empty input, no output, an empty environment and the real Mac's VMs.
type Env struct {
	Args           []string // without the name of the program
	Stdin          io.Reader
	Stdout, Stderr io.Writer // where each is a terminal is found out from the file itself
	// Environ is the environment as NAME=value; it is also what ssh gets.
	Environ []string
	// Config is the world of the VMs. Observer, Prompter, LockWait, Repo and
	// Branch are overwritten.
	Config mpdvirt.Config
	// Exec becomes another program; nil is the real thing.
	Exec func(argv, env []string) error
	// Login is the name of the account that runs the command; nil asks the
	// system.
	Login func() (string, error)
	// Build is what version says; the zero value reads it from the binary.
	Build Build
	// live keeps what must be undone before a sudden end; nil is a fresh one.
	live *liveTerminal
}

// Main runs the command line of this process and returns its exit code. The
// first SIGINT, SIGTERM or SIGHUP cancels the verb, which then ends in order;
// the second ends the process at once.
func Main(cfg mpdvirt.Config) int {
	live := &liveTerminal{}
	ctx, stop := handleSignals(context.Background(), live)
	defer stop()
	return Run(ctx, Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Environ: os.Environ(), Config: cfg, live: live,
	})
}

// Run runs one command line and returns its exit code. It touches nothing of
// the process besides what env names, so it may be called many times.
func Run(ctx context.Context, env Env) int {
	a := newApp(env)
	err := a.dispatch(ctx, env.Args)
	a.progress.close()
	code := exitCode(ctx, err)
	if lost := a.events.failed(); lost != nil && code != exitRefused && interrupted(ctx) == 0 &&
		(err == nil || errors.Is(err, context.Canceled)) {
		code, err = exitFailed, lost // which is what ended the verb
	}
	if out := a.out.flush(); out != nil {
		// The verb's own failure says more than that nobody could read it.
		a.complain(out)
		if err == nil {
			code = exitFailed
		}
	}
	a.complain(err)
	if lost := a.events.close(outcome(code, err)); lost != nil && !errors.As(err, new(*eventsError)) {
		a.complain(lost)
		code = max(code, exitFailed)
	}
	return code
}

// app is what a verb works with.
type app struct {
	env      Env
	stderr   io.Writer
	out      *output   // results
	look     look      // of stderr
	progress *progress // events, to stderr
	debug    bool
	verbose  bool
	json     bool
	dryRun   bool
	wait     time.Duration
	events   eventStream // events, for programs
}

func newApp(env Env) *app {
	if env.Stdin == nil {
		env.Stdin = emptyInput{}
	}
	if env.Stdout == nil {
		env.Stdout = io.Discard
	}
	if env.Stderr == nil {
		env.Stderr = io.Discard
	}
	if env.Login == nil {
		env.Login = loginName
	}
	if env.Exec == nil {
		env.Exec = command.Exec
	}
	if env.live == nil {
		env.live = &liveTerminal{}
	}
	a := &app{env: env, stderr: env.Stderr}
	a.look = lookOf(env, env.Stderr)
	a.out = &output{w: env.Stdout, name: "standard output", look: lookOf(env, env.Stdout)}
	a.progress = newProgress(env.Stderr, a.look, env.live)
	return a
}

// manager is the Manager that a verb calls. One that may ask gets a prompter,
// if there is somebody to be asked.
func (a *app) manager(may asking) (*mpdvirt.Manager, error) {
	cfg := a.env.Config
	cfg.Repo, cfg.Branch = a.env.get("MPD_REPO"), a.env.get("MPD_BRANCH")
	cfg.Observer = func(e mpdvirt.Event) {
		a.events.observe(e)
		a.progress.observe(e)
	}
	cfg.LockWait = a.wait
	cfg.Prompter = nil
	if p := a.prompter(); may == mayAsk && p != nil {
		cfg.Prompter = p
	}
	return mpdvirt.New(cfg)
}

type asking bool

const (
	mayAsk asking = true
	noAsk  asking = false
)

// emptyInput is an input that ended.
type emptyInput struct{}

func (emptyInput) Read([]byte) (int, error) { return 0, io.EOF }

// output collects a verb's result and writes it in one piece, when the verb
// ends or before a hint that belongs below it, so that every write error is
// seen and no result is cut by a question.
type output struct {
	w    io.Writer
	name string // of w, for people
	look look
	buf  []byte
	err  error // of the first write that failed
}

// to sends the result elsewhere: to standard error.
func (o *output) to(env Env, w io.Writer) { o.w, o.name, o.look = w, "standard error", lookOf(env, w) }

func (o *output) Write(p []byte) (int, error) {
	o.buf = append(o.buf, p...)
	return len(p), nil
}

// flush writes what was collected and returns the first error of all writes.
func (o *output) flush() error {
	if len(o.buf) == 0 || o.err != nil {
		return o.err
	}
	_, err := o.w.Write(o.buf)
	o.buf = nil
	if err != nil {
		// "broken pipe" rather than "write /dev/stdout: broken pipe"
		o.err = &outputError{o.name, bare(err)}
	}
	return o.err
}

// outputError: the result could not be written.
type outputError struct {
	name string
	err  error
}

func (e *outputError) Error() string { return "write error: " + e.name + ": " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

// tick is how often a terminal's live line is drawn again, and patience how
// often the same is said where lines cannot be drawn again.
const (
	tick     = 200 * time.Millisecond
	patience = 30 * time.Second
)
