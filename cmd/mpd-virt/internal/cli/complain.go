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
	for i, line := range a.look.lines(inWords(err).Error()) {
		if i == 0 {
			line = "mpd-virt: " + line
		} else {
			line = "  " + line
		}
		fmt.Fprintln(a.stderr, line)
	}
	if log := logOf(err); log != "" {
		fmt.Fprintf(a.stderr, "  log:  %s\n", a.look.text(log))
	}
	next := nextOf(err)
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

// inWords is err; if a person ended the verb, it says so in a person's words.
func inWords(err error) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	if e := (*mpdvirt.Error)(nil); errors.As(err, &e) {
		return &mpdvirt.Error{Verb: e.Verb, VM: e.VM, Step: e.Step, Err: errInterrupted}
	}
	return errInterrupted
}

// logOf is the log of the run that failed with err, "" if it has none.
func logOf(err error) string {
	if e := (*mpdvirt.Error)(nil); errors.As(err, &e) {
		return e.Log
	}
	return ""
}

// outcome is what complain says, for programs.
func outcome(code int, err error) mpdvirt.Outcome {
	o := mpdvirt.Outcome{Exit: code}
	if err != nil {
		o.Error, o.Log, o.Hint = inWords(err).Error(), logOf(err), nextOf(err)
	}
	return o
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
