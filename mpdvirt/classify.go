package mpdvirt

import (
	"errors"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// classified is err, which keeps its text, together with the public error that
// callers decide by.
type classified struct {
	err   error
	class error
}

func (c *classified) Error() string   { return c.err.Error() }
func (c *classified) Unwrap() []error { return []error{c.class, c.err} }

// classify gives an error of the internal packages its public class. It is the
// one place that knows both.
func classify(err error, step string) error {
	if class := classOf(err, step); class != nil {
		return &classified{err, class}
	}
	return err
}

func classOf(err error, step string) error {
	var (
		key     *guest.HostKeyError
		lost    *guest.UnreachableError
		exit    *guest.ExitError
		locked  *statefile.LockedError
		entry   *registry.EntryError
		syntax  *statefile.SyntaxError
		value   *hypervisor.ValueError
		journal *bootstrap.JournalError
	)
	switch {
	case errors.As(err, &key):
		return &HostKeyError{Addr: key.Addr, Want: key.Want, Got: key.Got, File: key.File, Err: key}
	case errors.As(err, new(*guest.AuthError)): // also where nobody answers at a second address
		return ErrLogin
	case errors.As(err, &lost):
		return unreachable(lost)
	case errors.As(err, &exit):
		return &StepError{Step: step, Status: exit.Status, Last: exit.Last}
	case errors.As(err, &locked):
		return &LockedError{PID: locked.PID, Verb: locked.Verb}
	case errors.As(err, &entry):
		return &EntryError{File: entry.File, Line: entry.Line, Key: entry.Key, Msg: entry.Msg}
	case errors.As(err, &syntax):
		return &EntryError{File: syntax.File, Line: syntax.Line, Key: syntax.Key, Msg: syntax.Msg}
	case errors.As(err, &journal):
		return &EntryError{File: journal.File, Msg: journal.Msg()}
	case errors.As(err, &value):
		return ErrUsage
	case errors.Is(err, registry.ErrNotRegistered):
		return ErrNotRegistered
	case errors.Is(err, bootstrap.ErrRefused), errors.Is(err, hypervisor.ErrDrift),
		errors.Is(err, hypervisor.ErrTaken), errors.Is(err, hypervisor.ErrAmbiguous):
		return ErrRefused
	}
	return nil
}

func unreachable(lost *guest.UnreachableError) *UnreachableError {
	e := &UnreachableError{Err: lost}
	for _, u := range append([]*guest.UnreachableError{lost}, lost.Others...) {
		e.Addrs = append(e.Addrs, u.Addr)
	}
	return e
}
