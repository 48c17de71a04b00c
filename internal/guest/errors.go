package guest

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// HostKeyError says that a host was refused because its key is not the VM's,
// or because the VM's pinned key cannot be known.
type HostKeyError struct {
	Addr   netip.AddrPort // invalid if the pins could not be read
	File   string         // the known_hosts file
	Want   []string       // fingerprints that would do, "SHA256:…"; nil if not known
	Got    string         // fingerprint that came; "" if none was asked for
	Reason string         // for people
}

func (e *HostKeyError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s: %s: it has %s, expected %s (%s)",
		e.Addr, e.Reason, e.Got, strings.Join(e.Want, " or "), e.File)
}

// Kind says why a host could not be reached. Other values than the constants
// do not occur.
type Kind string

// The kinds of failure to reach a host.
const (
	Refused  Kind = "connection refused"       // the host is there, the port is closed
	NoRoute  Kind = "no route to host"         // nobody has the address, or the system forbids it
	TimedOut Kind = "no answer"                // filtered, or nobody there
	Closed   Kind = "closed before the banner" // sshd is starting, overloaded, or penalises us
	NotSSH   Kind = "not an SSH server"        // something else answers
	Stalled  Kind = "SSH handshake stalled"    // it accepts and then falls silent
	Broken   Kind = "SSH handshake failed"     // dropped or damaged underway, or nothing in common
	NoLogin  Kind = "login refused"            // Err is an *AuthError
	WrongKey Kind = "refused for its host key" // Err is a *HostKeyError
	Failed   Kind = "connection failed"        // anything else that the system says
)

// UnreachableError says that no login was possible at an address, or, after
// [Await], at several.
type UnreachableError struct {
	Addr   netip.AddrPort      // the first address that was asked for
	Kind   Kind                // why, as of the last attempt there
	Err    error               // the cause; nil if Kind says it all
	Others []*UnreachableError // the same for the further addresses of Await
	Waited time.Duration       // how long Await tried; 0 from Dial
}

func (e *UnreachableError) Error() string {
	var b strings.Builder
	if e.Waited > 0 {
		fmt.Fprintf(&b, "no SSH login within %v: ", e.Waited)
	}
	b.WriteString(e.one())
	for _, o := range e.Others {
		b.WriteString("; " + o.one())
	}
	return b.String()
}

func (e *UnreachableError) one() string {
	switch {
	case e.Err == nil || e.Kind == Refused || e.Kind == NoRoute: // Err says it again
		return fmt.Sprintf("%s: %s", e.Addr, e.Kind)
	case e.Kind == NoLogin || e.Kind == WrongKey: // Err names the address itself
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %s: %v", e.Addr, e.Kind, e.Err)
}

// Unwrap is the causes at all addresses.
func (e *UnreachableError) Unwrap() []error {
	var causes []error
	for _, u := range append([]*UnreachableError{e}, e.Others...) {
		if u.Err != nil {
			causes = append(causes, u.Err)
		}
	}
	return causes
}

// AuthError says that the host is the right one but did not let us in, or that
// we have no key to try.
type AuthError struct {
	User   hypervisor.User
	Addr   netip.AddrPort
	Tried  []string // keys that were offered, for people
	Reason string   // for people
}

func (e *AuthError) Error() string {
	s := fmt.Sprintf("log in as %s at %s: %s", e.User, e.Addr, e.Reason)
	if len(e.Tried) > 0 {
		s += " (offered: " + strings.Join(e.Tried, ", ") + ")"
	}
	return s
}

// ExitError says that a script ran and failed.
type ExitError struct {
	Name   string // of the script
	Status int    // never 0; 128+N if signal N ended it
	Signal string // "KILL", "TERM", …; "" if it ended by itself
	Last   string // its last line that is not empty, of stderr if it wrote there
}

func (e *ExitError) Error() string {
	s := fmt.Sprintf("%s: exit status %d", e.Name, e.Status)
	if e.Signal != "" {
		s = fmt.Sprintf("%s: ended by signal %s", e.Name, e.Signal)
	}
	return withLast(s, e.Last)
}

// StartError says that the VM ended a command before our script in it began:
// the account's shell refuses logins or its start-up files leave, or there is
// no bash. The script did nothing.
type StartError struct {
	Name   string // of the script
	Status int    // as delivered, may be 0
	Last   string // as in ExitError
}

func (e *StartError) Error() string {
	return withLast(fmt.Sprintf("%s: the VM's login shell left before the script began, exit status %d", e.Name, e.Status), e.Last)
}

func withLast(s, last string) string {
	if last != "" {
		s += ": " + last
	}
	return s
}

// LostError says that the connection, or the script's part of it, ended
// without an exit status: the script may have done all, some or nothing.
type LostError struct {
	Name string // of the script
	Err  error
}

func (e *LostError) Error() string { return fmt.Sprintf("%s: connection lost: %v", e.Name, e.Err) }

// Unwrap is the cause.
func (e *LostError) Unwrap() error { return e.Err }

// TimeoutError says that a script was ended because it took too long.
type TimeoutError struct {
	Name  string        // of the script
	Limit time.Duration // the bound that was passed
	Idle  bool          // the bound was on time without output, not on the whole
}

func (e *TimeoutError) Error() string {
	if e.Idle {
		return fmt.Sprintf("%s: no output for %v", e.Name, e.Limit)
	}
	return fmt.Sprintf("%s: not done after %v", e.Name, e.Limit)
}

// Timeout is true, as in net.Error.
func (e *TimeoutError) Timeout() bool { return true }
