package cli

import (
	"context"
	"errors"
	"syscall"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// The exit codes; this is the only place that says which error has which.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitUnhealthy = 3
	exitRefused   = 4
	exitBusy      = 5
	exitSignal    = 128 // plus the signal's number
)

// exitMeaning is what help says of the codes that a verb can have besides 0,
// 1 and 2.
func exitMeaning(code int) string {
	switch code {
	case exitDone:
		return "done"
	case exitFailed:
		return "failed; the same command is safe to run again"
	case exitUsage:
		return "wrong usage"
	case exitUnhealthy:
		return "a check that must hold failed"
	case exitRefused:
		return "refused: what answers is not what was pinned, recorded or asked for"
	case exitBusy:
		return "busy: another mpd-virt works on the same VM"
	}
	return "interrupted (128 plus the number of the signal)"
}

// exitCode is the exit code of a verb that returned err. Refused is looked for
// first: it outweighs what else may have failed.
func exitCode(ctx context.Context, err error) int {
	var locked *mpdvirt.LockedError
	var value *hypervisor.ValueError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, mpdvirt.ErrRefused), errors.Is(err, hypervisor.ErrDrift):
		return exitRefused
	case interrupted(ctx) != 0:
		return exitSignal + int(interrupted(ctx))
	case errors.Is(err, mpdvirt.ErrUsage), errors.As(err, &value), isUsage(err):
		return exitUsage
	case errors.As(err, &locked):
		return exitBusy
	case errors.Is(err, mpdvirt.ErrUnhealthy):
		return exitUnhealthy
	case errors.Is(err, context.Canceled):
		return exitSignal + int(syscall.SIGINT)
	}
	return exitFailed
}

// signalError is the cause of a context that a signal ended.
type signalError struct{ signal syscall.Signal }

func (e signalError) Error() string { return "interrupted by signal: " + e.signal.String() }

// interrupted is the signal that ended ctx, 0 if none did.
func interrupted(ctx context.Context) syscall.Signal {
	var s signalError
	if errors.As(context.Cause(ctx), &s) {
		return s.signal
	}
	return 0
}

// shown is an error that the result on stdout already tells; only its exit
// code counts.
type shown struct{ error }

func (s shown) Unwrap() error { return s.error }
