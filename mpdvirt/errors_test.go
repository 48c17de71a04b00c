package mpdvirt

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func TestErrorTexts(t *testing.T) {
	cause := errors.New("no answer")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"verb only", &Error{Verb: "list", Err: cause}, "list: no answer"},
		{"verb and VM", &Error{Verb: "setup", VM: "mpd-150", Err: cause}, "setup mpd-150: no answer"},
		{"step", &Error{Verb: "setup", VM: "mpd-150", Step: "50-build", Err: cause}, "setup mpd-150: 50-build: no answer"},
		{"hint and log are no part of the text", &Error{Verb: "setup", Log: "/l", Hint: "do it", Err: cause}, "setup: no answer"},
		{"step's status", &StepError{Step: "50-build", Status: 2}, "exit status 2"},
		{"step's last line", &StepError{Step: "50-build", Status: 137, Last: "Killed"}, "exit status 137: Killed"},
		{"host key", &HostKeyError{Got: "SHA256:x", Err: cause}, "no answer"},
		{"unreachable", &UnreachableError{Err: cause}, "no answer"},
		{"locked, unknown", &LockedError{}, "locked by another run"},
		{"locked, unknown but a verb", &LockedError{Verb: "setup"}, "locked by another run"},
		{"locked, pid", &LockedError{PID: 7}, "locked by another run, pid 7"},
		{"locked, verb", &LockedError{PID: 7, Verb: "setup"}, "locked by another run: setup, pid 7"},
		{"entry", &EntryError{File: "/e", Msg: "too large"}, "/e: too large"},
		{"entry line", &EntryError{File: "/e", Line: 3, Msg: "no ="}, "/e:3: no ="},
		{"entry key", &EntryError{File: "/e", Key: "MPD_VM_IP", Msg: "missing"}, "/e: MPD_VM_IP: missing"},
		{"entry line and key", &EntryError{File: "/e", Line: 3, Key: "K", Msg: "twice"}, "/e:3: K: twice"},
		{"unsupported", &UnsupportedError{Backend: "general", Verb: "start", Why: "it manages no VMs"}, "the general backend cannot start: it manages no VMs"},
		{"usage", usage("octet %d", 7), "octet 7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestErrorKinds is what callers decide by.
func TestErrorKinds(t *testing.T) {
	outer := func(err error) error { return fmt.Errorf("x: %w", &Error{Verb: "setup", Err: err}) }
	tests := []struct {
		name string
		err  error
		is   error
	}{
		{"host key", &HostKeyError{Err: errors.New("x")}, ErrRefused},
		{"unsupported", &UnsupportedError{}, errors.ErrUnsupported},
		{"cause of unreachable", &UnreachableError{Err: fs.ErrPermission}, fs.ErrPermission},
		{"usage", usage("x"), ErrUsage},
		{"cause of usage", usage("x: %w", fs.ErrNotExist), fs.ErrNotExist},
		{"tool", hypervisor.ErrToolMissing, ErrToolMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !errors.Is(outer(tt.err), tt.is) {
				t.Errorf("%v is not %v", outer(tt.err), tt.is)
			}
			if errors.Is(outer(tt.err), ErrNotRegistered) {
				t.Errorf("%v is %v", outer(tt.err), ErrNotRegistered)
			}
		})
	}
	var e *Error
	if err := outer(&HostKeyError{Addr: netip.MustParseAddrPort("10.0.0.1:22"), Err: errors.New("x")}); !errors.As(err, &e) || e.Verb != "setup" {
		t.Errorf("%v holds no *Error", err)
	}
}
