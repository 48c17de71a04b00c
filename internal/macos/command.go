package macos

import (
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/shell"
)

// A Command changes something on the Mac. It is data, to be shown whole before
// it is run, and holds no secret.
type Command struct {
	Argv   []string // the tool by its absolute path, and its arguments
	Stdin  []byte   // what it reads; nil for nothing
	Root   bool     // it must run as root: sudo before it
	Dialog bool     // macOS asks a person on the screen, which may take minutes
	After  bool     // it makes sense only if the command before it has worked
	Note   string   // for people: what it does and what they will see
}

// String is the command as a line for a shell, sudo and input included.
func (c Command) String() string {
	words := slices.Clone(c.Argv)
	if c.Root {
		words = append([]string{"sudo"}, words...)
	}
	line := shell.Join(words...)
	if c.Stdin == nil {
		return line
	}
	return "printf %s " + shell.Quote(string(c.Stdin)) + " | " + line
}

// Time limits of commands. DialogLimit is long enough for a person who looks
// for the password. A program that sudo started cannot be signalled by us, so
// there the limit ends the wait only where the terminal's Ctrl-C does.
const (
	changeLimit = 30 * time.Second
	// DialogLimit bounds what waits for a person.
	DialogLimit = 5 * time.Minute
)

// command is what the Runner gets: with the terminal where a person may have
// to press Ctrl-C, since a program of root's in a group of its own would hear
// of neither that key nor our signal.
func (c Command) command() hypervisor.Command {
	out := hypervisor.Command{Argv: slices.Clone(c.Argv), Stdin: c.Stdin, Limit: changeLimit}
	if c.Root {
		// -n: the password was asked for before; here it would be asked for
		// with nobody listening.
		out.Argv = append([]string{sudoTool, "-n"}, c.Argv...)
	}
	if c.Dialog {
		out.Terminal, out.Limit, out.Stdin = true, DialogLimit, nil
	}
	return out
}

// CommandError says that a command ran and failed.
type CommandError struct {
	Command Command
	Status  int    // exit status; 0 for a tool that complains and exits with 0
	Text    string // what it said first, cleaned; "" if it had the terminal
}

func (e *CommandError) Error() string {
	text := strings.Join(e.Command.Argv, " ") + ": failed"
	if e.Status != 0 {
		text = strings.Join(e.Command.Argv, " ") + ": " + exitStatus(e.Status)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// judge is nil if the command has worked as far as its tool tells.
func (c Command) judge(res hypervisor.Result) error {
	// route exits with 0 also when it has failed, and then says so on stderr.
	if res.Status == 0 && (c.Argv[0] != routeTool || len(res.Stderr) == 0) {
		return nil
	}
	return &CommandError{Command: c, Status: res.Status, Text: said(res)}
}
