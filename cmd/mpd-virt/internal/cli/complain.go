package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// complain says on stderr what failed, on what and why, then where the log is
// and what to do next, each on a line of its own.
func (a *app) complain(err error) {
	var already shown
	if err == nil || errors.As(err, &already) {
		return
	}
	log, next := "", nextOf(err)
	var e *mpdvirt.Error
	if errors.As(err, &e) {
		log = e.Log
		if errors.Is(err, context.Canceled) {
			// What a person did is told in a person's words.
			err = &mpdvirt.Error{Verb: e.Verb, VM: e.VM, Step: e.Step, Err: errInterrupted}
		}
	} else if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	for i, line := range a.look.lines(err.Error()) {
		if i == 0 {
			line = "mpd-virt: " + line
		} else {
			line = "  " + line
		}
		fmt.Fprintln(a.stderr, line)
	}
	if log != "" {
		fmt.Fprintf(a.stderr, "  log:  %s\n", a.look.text(log))
	}
	if next == "" {
		return
	}
	for i, line := range a.look.lines(next) {
		label := "  next: "
		if i > 0 {
			label = "        "
		}
		fmt.Fprintln(a.stderr, label+line)
	}
}

// nextOf is the next step that err carries, "" if none.
func nextOf(err error) string {
	var e *mpdvirt.Error
	if errors.As(err, &e) && e.Hint != "" {
		return e.Hint
	}
	return hint.Of(err)
}

var errInterrupted = errors.New("interrupted")

// usageError: the command line itself is wrong.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// usage makes a usageError with the command that says how it is done right.
func usage(next, format string, args ...any) error {
	return hint.Wrap(&usageError{fmt.Sprintf(format, args...)}, next)
}

func isUsage(err error) bool {
	var e *usageError
	return errors.As(err, &e)
}
