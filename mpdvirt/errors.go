package mpdvirt

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Errors to decide by, with errors.Is. What failed, on what, and the next step
// are in the *Error that wraps them.
var (
	// ErrNotRegistered: no VM is registered under this octet.
	ErrNotRegistered = errors.New("not registered")
	// ErrExists: what should be made is already there.
	ErrExists = errors.New("already exists")
	// ErrUsage: the request itself is wrong: a field is missing, or two
	// fields contradict each other or the registry.
	ErrUsage = errors.New("wrong usage")
	// ErrRefused: what answers is not what was pinned, recorded or asked for.
	ErrRefused = errors.New("refused")
	// ErrUnhealthy: a mandatory check failed.
	ErrUnhealthy = errors.New("not healthy")
	// ErrDeclined: the person said no, or nobody could be asked.
	ErrDeclined = errors.New("not confirmed")
	// ErrLogin: the VM answers but accepts none of the user's keys.
	ErrLogin = errors.New("login refused")
	// ErrToolMissing: an outside program is not installed.
	ErrToolMissing = hypervisor.ErrToolMissing
)

// Error is what every method of Manager returns when it fails.
type Error struct {
	Verb string // "setup"
	VM   string // "mpd-150"; "" if the verb is about no VM
	Step string // the step that failed; "" if none had begun
	Log  string // path of the log of the run; "" if there is none
	Hint string // the next step: a command or a sentence; may have several lines
	Err  error  // why
}

func (e *Error) Error() string {
	parts := []string{e.Verb}
	if e.VM != "" {
		parts[0] += " " + e.VM
	}
	if e.Step != "" {
		parts = append(parts, e.Step)
	}
	return strings.Join(append(parts, unnamed(e.Err, parts[0])), ": ")
}

// unnamed is the text of err without the name of the verb and the VM in front,
// which a backend says, too.
func unnamed(err error, what string) string {
	return strings.TrimPrefix(err.Error(), what+": ")
}

func (e *Error) Unwrap() error { return e.Err }

// StepError: a remote script of a step ended with a status other than 0.
type StepError struct {
	Step   string
	Status int    // exit status; 128+N if signal N ended it
	Last   string // the last line that it printed, cleaned; may be ""
}

func (e *StepError) Error() string {
	if e.Last == "" {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return fmt.Sprintf("exit status %d: %s", e.Status, e.Last)
}

// HostKeyError: what answers at Addr has another host key than the one pinned
// for the VM. It is ErrRefused.
type HostKeyError struct {
	Addr netip.AddrPort // not valid if nobody was asked
	Want []string       // pinned fingerprints, SHA256:…; empty if the pins are lost
	Got  string         // the fingerprint that was offered; "" if none was asked for
	File string         // the pin file
	Err  error          // the sentence for people
}

func (e *HostKeyError) Error() string { return e.Err.Error() }

// Is says that e is ErrRefused.
func (e *HostKeyError) Is(target error) bool { return target == ErrRefused }

// UnreachableError: nobody could be logged in to at the addresses.
type UnreachableError struct {
	Addrs []netip.AddrPort
	Err   error // the sentence for people
}

func (e *UnreachableError) Error() string { return e.Err.Error() }
func (e *UnreachableError) Unwrap() error { return e.Err }

// LockedError: another run works on the same VM or on the same shared files.
type LockedError struct {
	PID  int    // 0 if not known
	Verb string // what it does; "" if not known
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return "locked by another run"
	}
	if e.Verb == "" {
		return fmt.Sprintf("locked by another run, pid %d", e.PID)
	}
	return fmt.Sprintf("locked by another run: %s, pid %d", e.Verb, e.PID)
}

// EntryError: a file of the state folder cannot be used as it is.
type EntryError struct {
	File string
	Line int    // from 1; 0 if the file as a whole is meant
	Key  string // "" if no key is meant
	Msg  string
}

func (e *EntryError) Error() string {
	s := e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d", e.Line)
	}
	if e.Key != "" {
		s += ": " + e.Key
	}
	return s + ": " + e.Msg
}

// UnsupportedError: the VM's backend cannot do what the verb needs. It is
// errors.ErrUnsupported.
type UnsupportedError struct {
	Backend string // its name
	Verb    string // what it cannot do, like "clone VMs"
	Why     string // for people: what it does instead
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("the %s backend cannot %s: %s", e.Backend, e.Verb, e.Why)
}

// Is says that e is errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }
