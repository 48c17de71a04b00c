package hypervisor

import (
	"context"
	"strings"
	"time"
)

// Command is one start of an outside program.
type Command struct {
	// Argv is the program and its arguments, handed over as they are: no
	// shell reads them. Argv[0] is a bare name, looked for on PATH and then
	// in the places where macOS keeps its tools, or an absolute path.
	Argv []string
	// Stdin is what the program reads; nil is an empty input.
	Stdin []byte
	// Terminal gives the program the terminal of this process instead of
	// Stdin and captured output, for programs that ask a person (sudo, ssh).
	Terminal bool
	// Limit bounds the run; zero means DefaultLimit, and with Terminal no limit,
	// since a person is typing.
	Limit time.Duration
}

// DefaultLimit bounds a Command that sets neither Limit nor Terminal.
const DefaultLimit = 60 * time.Second

// String is the command as a person would type it, for logs. Arguments never
// hold secrets, by the rule of this program.
func (c Command) String() string { return strings.Join(c.Argv, " ") }

// Result is what a program that ran left behind.
type Result struct {
	Stdout, Stderr []byte // nil if the command had the terminal
	Status         int    // exit status; 128+N if signal N ended it
}

// Runner starts a program and waits for it. The error is nil if the program
// was started and ended by itself, with whatever status; it is ErrToolMissing
// if there is no such program, and the context's error if ctx or the limit
// ended it, wrapped with the program's name. Another error says that the program
// could not be run, or printed more than the Runner keeps. Beside an error the
// Result is zero. A Runner may be called at the same time from many goroutines, and
// leaves no program running that it had to end. That of the real machine is made by
// mpdvirt.NewRunner; a backend is given one by whoever makes it.
type Runner func(ctx context.Context, c Command) (Result, error)
