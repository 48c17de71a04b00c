package emu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// statusBroken ends a program whose emulator failed, so that nobody takes it for
// an answer: EX_SOFTWARE of sysexits.h.
const statusBroken = 70

// Process is what a real program has when it plays another one: a test binary
// that was started under that name, most times.
type Process struct {
	// Name begins the line about an error of the emulator itself: its package.
	Name string
	// Context ends when the process is told to end; a stubborn hang ignores it.
	// nil never ends.
	Context context.Context
	// Stdin nil is empty, Stdout and Stderr nil are nowhere.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminated is the exit status if Context ended the program.
	Terminated int
	// Hanging, if not nil, is called when a hang begins.
	Hanging func()
}

// Main runs a Play as a program and returns its exit status. argv[0] is the
// program. An error that is none of Context's is written to Stderr, and the
// status is 70.
func (p Process) Main(argv []string, play Play) int {
	ctx := p.Context
	if ctx == nil {
		ctx = context.Background()
	}
	c := p.call(argv)
	status, err := 0, errors.New("no program given")
	if len(argv) > 0 {
		status, err = play(ctx, c)
	}
	switch {
	case err == nil:
		return status
	case ctx.Err() != nil:
		return p.Terminated
	}
	fmt.Fprintf(c.Stderr, "%s: %v\n", p.Name, err)
	return statusBroken
}

func (p Process) call(argv []string) *Call {
	c := &Call{Argv: argv, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, hanging: p.Hanging}
	if c.Stdin == nil {
		c.Stdin = strings.NewReader("")
	}
	if c.Stdout == nil {
		c.Stdout = io.Discard
	}
	if c.Stderr == nil {
		c.Stderr = io.Discard
	}
	if c.hanging == nil {
		c.hanging = func() {}
	}
	return c
}
