package macos

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Why sudo did not do what it was asked for; a SudoError wraps one of these, a
// CommandError, or the context's error.
var (
	// ErrSudoCancelled: the person broke off at the password prompt.
	ErrSudoCancelled = errors.New("cancelled")
	// ErrSudoPassword: the password was wrong, three times as a rule, or the person
	// broke off where sudo does not tell that apart.
	ErrSudoPassword = errors.New("no right password was given")
	// ErrNotAdmin: the account is no administrator of this Mac, and so not
	// among those that may use sudo.
	ErrNotAdmin = errors.New("this account may not use sudo: it is no administrator of this Mac")
	// ErrSudoRefused: sudo refused, and its reason is not known, since its exit
	// status is the same for all; the person has seen it on the terminal.
	ErrSudoRefused = errors.New("refused: cancelled, a wrong password, or an account that may not use it")
	// ErrNoTerminal: a password or a dialog is needed, and nobody is there.
	ErrNoTerminal = errors.New("a password is needed, and there is no terminal to ask for it")
	// ErrNoTicket: sudo asks for the password at every command, so it cannot
	// be entered once for all.
	ErrNoTicket = errors.New("sudo did not remember the password")
)

// SudoError says that not all commands were run, or not all worked. What did
// work is not undone, and all commands are safe to run again.
type SudoError struct {
	// Err is why: one of the errors above for sudo itself, else the first
	// failure of a command.
	Err error
	// Failed are the commands that ran and failed, in order.
	Failed []Command
	// Left are the commands that did not run, in order.
	Left []Command
}

func (e *SudoError) Error() string {
	text := fmt.Sprintf("sudo: %v", e.Err)
	if n := len(e.Failed) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more failed)", n)
	}
	if len(e.Left) == 0 {
		return text
	}
	var lines []string
	for _, c := range e.Left {
		lines = append(lines, strings.Join(c.Argv, " "))
	}
	return text + "; not done: " + strings.Join(lines, "; ")
}

func (e *SudoError) Unwrap() error { return e.Err }

// hinted adds what the person can do: run the rest elsewhere.
func (e *SudoError) hinted() error {
	todo := append(append([]Command{}, e.Failed...), e.Left...)
	if len(todo) == 0 {
		return e
	}
	lines := []string{"run this in a terminal yourself, then check again:"}
	if errors.Is(e.Err, ErrNotAdmin) {
		lines[0] = "let an administrator of this Mac run this, then check again:"
	}
	for _, c := range todo {
		lines = append(lines, c.String())
	}
	return hint.Wrap(e, strings.Join(lines, "\n"))
}

func exitStatus(n int) string { return fmt.Sprintf("exit status %d", n) }
