package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

const (
	// grace is what a program gets between SIGTERM and SIGKILL, short enough
	// that Ctrl-C ends everything within a second.
	grace = 500 * time.Millisecond
	// pipeDelay bounds the wait for output after the program has ended or was
	// told to: what it left in the background may keep the pipes open for
	// ever (ssh with ControlPersist does so with standard error).
	pipeDelay = 900 * time.Millisecond
)

// Run starts c and waits for it, as hypervisor.Runner promises. On an error
// the Result is zero.
//
// A program with captured output runs in a process group of its own. When ctx
// or the limit ends, or when the program prints more than MaxOutput, the whole
// group gets SIGTERM and half a second later SIGKILL. What a program that
// ended by itself left in the background stays: a tool may have started its
// service on purpose, and killing that could cost VMs.
//
// A program with the terminal stays in this process's group, which the
// terminal's signals reach; without a limit of its own it may run as long as
// ctx lasts, since a person is typing. The terminal's settings are put back
// afterwards, so a killed password prompt does not leave the echo off.
func (r Runner) Run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	if len(c.Argv) == 0 {
		return hypervisor.Result{}, errors.New("run: no program given")
	}
	name := c.Argv[0]
	if err := ctx.Err(); err != nil {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", name, err)
	}
	file, err := r.find(name)
	if err != nil {
		return hypervisor.Result{}, err
	}
	if r.Debug != nil {
		r.Debug(show(c.Argv))
	}
	if c.Terminal {
		defer keepTerminal()()
	}
	return r.start(ctx, file, c)
}

func (r Runner) start(ctx context.Context, file string, c hypervisor.Command) (hypervisor.Result, error) {
	runCtx, abort := context.WithCancel(ctx)
	defer abort()
	limit := limitOf(c)
	if limit > 0 {
		var stop context.CancelFunc
		runCtx, stop = context.WithTimeout(runCtx, limit)
		defer stop()
	}
	p := &process{cmd: exec.CommandContext(runCtx, file), group: !c.Terminal}
	p.stdout.full, p.stderr.full = abort, abort
	p.prepare(c, r.Env)

	if err := p.cmd.Start(); err != nil {
		return hypervisor.Result{}, startError(c.Argv[0], file, err)
	}
	err := p.cmd.Wait()
	if p.killed.Load() {
		p.sweep()
	}
	switch {
	case p.stdout.over || p.stderr.over:
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], ErrTooMuchOutput)
	case p.killed.Load() && ctx.Err() != nil:
		return hypervisor.Result{}, fmt.Errorf("run %s: stopped: %w", c.Argv[0], ctx.Err())
	case p.killed.Load():
		return hypervisor.Result{}, fmt.Errorf("run %s: still running after %v: %w", c.Argv[0], limit, runCtx.Err())
	}
	return p.result(c, err)
}

func limitOf(c hypervisor.Command) time.Duration {
	switch {
	case c.Limit > 0:
		return c.Limit
	case c.Terminal:
		return 0
	}
	return hypervisor.DefaultLimit
}

// process is one started program.
type process struct {
	cmd            *exec.Cmd
	group          bool // it leads a process group of its own
	stdout, stderr capture
	killed         atomic.Bool // we, not it, made the end
	timer          *time.Timer // SIGKILL to the group; set before killed
}

func (p *process) prepare(c hypervisor.Command, env []string) {
	p.cmd.Args = c.Argv
	p.cmd.Env = append([]string{}, env...) // never nil: that would be our own
	p.cmd.Cancel = p.cancel
	p.cmd.WaitDelay = pipeDelay
	if c.Terminal {
		p.cmd.WaitDelay = grace
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return
	}
	p.cmd.Env = append(p.cmd.Env, "LC_ALL=C")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if c.Stdin != nil {
		p.cmd.Stdin = bytes.NewReader(c.Stdin)
	}
}

// cancel is called by package exec when the context ends before the program.
func (p *process) cancel() error {
	if p.group && syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) == nil {
		p.timer = time.AfterFunc(grace, p.killGroup)
		p.killed.Store(true)
		return nil
	}
	// No group, or none that can be signalled: macOS answers EPERM for a
	// group whose only member waits to be reaped.
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	p.killed.Store(err == nil)
	return err
}

func (p *process) killGroup() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// sweep kills what is left of the group after its leader has gone: members
// that ignore SIGTERM keep the group's number from being used again.
func (p *process) sweep() {
	if p.timer != nil {
		p.timer.Stop()
		p.killGroup()
	}
}

// result turns the end of a program that ended by itself into a Result.
func (p *process) result(c hypervisor.Command, err error) (hypervisor.Result, error) {
	var exit *exec.ExitError
	// ErrWaitDelay: the program has ended well, but something of it in the
	// background still held the pipes.
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], err)
	}
	res := hypervisor.Result{Status: p.cmd.ProcessState.ExitCode()}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		res.Status = 128 + int(ws.Signal())
	}
	if !c.Terminal {
		res.Stdout, res.Stderr = p.stdout.bytes(), p.stderr.bytes()
	}
	return res, nil
}

// startError explains why a file that looked runnable did not start. None of
// these is ErrToolMissing: the tool is there.
func startError(name, file string, err error) error {
	var cause *os.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	var reason string
	switch {
	case wrongMachine(err):
		reason = "no program for this machine"
	case errors.Is(err, syscall.ENOENT):
		reason = "its interpreter or loader is missing"
	default:
		return fmt.Errorf("run %s: %s: %w", name, file, err)
	}
	return hint.Wrap(fmt.Errorf("run %s: %s: %s: %w", name, file, reason, err),
		"install "+name+" anew, in the version for this machine's processor")
}

// keepTerminal returns a function that puts the terminal's settings back; it
// does nothing where standard input is no terminal.
func keepTerminal() func() {
	fd := int(os.Stdin.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(fd, state) }
}
