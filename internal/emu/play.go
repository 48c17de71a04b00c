package emu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/command"
)

// Call is one run of a played program. No field but Terminal is empty. A program
// that runs another, as sudo does, plays it with a copy that has another Argv.
type Call struct {
	// Argv is the program, as it was asked for, and its arguments.
	Argv           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal: the program has a person's terminal. What it prints goes
	// nowhere then, as there is none.
	Terminal bool

	hanging func() // nil if the program is no process of its own
}

// Play is the body of the programs that an emulator plays, which one Argv[0]
// says. It may be called at the same time. status is the exit status; an error
// is none of the program's, which are texts and a status, but ctx's or the
// emulator's own, or [hypervisor.ErrToolMissing] for a program that the emulated
// Mac does not have, best as [Missing].
type Play func(ctx context.Context, c *Call) (status int, err error)

// Missing is the error for a program that is not there, in the real runner's
// words.
func Missing(program string) error {
	return fmt.Errorf("run %s: %w", program, hypervisor.ErrToolMissing)
}

// Runner answers commands by a Play inside this process, in the way of
// internal/command: with its limits of time and output, its errors and an empty
// Result beside them. What the limit ends is Play's to notice, by its ctx.
func Runner(play Play) hypervisor.Runner {
	return func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		if len(c.Argv) == 0 {
			return hypervisor.Result{}, errors.New("run: no program given")
		}
		if err := ctx.Err(); err != nil {
			return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], err)
		}
		bounded, cancel := within(ctx, limit(c))
		defer cancel()
		out, errs := &capture{}, &capture{}
		k := &Call{Argv: c.Argv, Stdin: bytes.NewReader(c.Stdin), Stdout: out, Stderr: errs, Terminal: c.Terminal}
		if c.Terminal {
			k.Stdout, k.Stderr = io.Discard, io.Discard
		}
		status, err := play(bounded, k)
		switch {
		case out.over || errs.over:
			err = fmt.Errorf("run %s: %w", c.Argv[0], command.ErrTooMuchOutput)
		case err != nil && ctx.Err() != nil:
			err = fmt.Errorf("run %s: stopped: %w", c.Argv[0], ctx.Err())
		case err != nil && bounded.Err() != nil:
			err = fmt.Errorf("run %s: still running after %v: %w", c.Argv[0], limit(c), bounded.Err())
		}
		switch {
		case err != nil:
			return hypervisor.Result{}, err
		case c.Terminal:
			return hypervisor.Result{Status: status}, nil
		}
		return hypervisor.Result{Stdout: out.bytes(), Stderr: errs.bytes(), Status: status}, nil
	}
}

// limit is the bound of a command; 0 is none.
func limit(c hypervisor.Command) time.Duration {
	switch {
	case c.Limit > 0:
		return c.Limit
	case c.Terminal: // a person is typing
		return 0
	}
	return hypervisor.DefaultLimit
}

func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}

// capture keeps what is printed, within the bound of the real runner. It fails
// beyond that, which ends a Play that prints without end.
type capture struct {
	buf  bytes.Buffer
	over bool
}

// Write implements io.Writer.
func (c *capture) Write(b []byte) (int, error) {
	if c.over || c.buf.Len()+len(b) > command.MaxOutput {
		c.over = true
		return 0, io.ErrShortWrite
	}
	return c.buf.Write(b)
}

// bytes is what was printed, never nil: nil means that there was a terminal.
func (c *capture) bytes() []byte {
	if c.buf.Len() == 0 {
		return []byte{}
	}
	return c.buf.Bytes()
}

// Wait lets time pass; its error is ctx's. No time, or less, is over at once.
func Wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hang never ends, but with ctx, whose error it returns. In a process of its
// own a stubborn hang does not even end with ctx: only SIGKILL ends it.
func (c *Call) Hang(ctx context.Context, stubborn bool) error {
	if c.hanging != nil {
		c.hanging()
		// A tick now and then, as a process in which nothing can happen any
		// more is a crash in Go.
		for stubborn {
			<-time.After(time.Hour)
		}
	}
	<-ctx.Done()
	return ctx.Err()
}
