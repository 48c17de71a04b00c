package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

var (
	oldPlace = netip.MustParseAddrPort("10.211.55.37:22")
	newPlace = netip.MustParseAddrPort("10.211.55.150:22")
)

// badValue is the error of a value that a person typed.
func badValue() error {
	_, err := hypervisor.ParseOctet("99")
	return err
}

func TestClassify(t *testing.T) {
	auth := &guest.AuthError{User: "dev", Addr: oldPlace, Reason: "no key fits"}
	key := &guest.HostKeyError{Addr: oldPlace, File: "/k", Want: []string{"SHA256:a"}, Got: "SHA256:b", Reason: "changed"}
	gone := &guest.UnreachableError{Addr: newPlace, Kind: guest.TimedOut}
	both := &guest.UnreachableError{Addr: newPlace, Kind: guest.TimedOut, Others: []*guest.UnreachableError{{Addr: oldPlace, Kind: guest.Refused}}}
	tests := []struct {
		name string
		err  error
		is   error              // nil: no sentinel
		as   func(error) string // "" if it is what it should be
	}{
		{"host key", key, ErrRefused, as(func(e *HostKeyError) bool {
			return e.Addr == oldPlace && slices.Equal(e.Want, key.Want) && e.Got == key.Got && e.File == "/k"
		})},
		{"host key at one of two addresses", &guest.UnreachableError{Addr: newPlace, Kind: guest.TimedOut,
			Others: []*guest.UnreachableError{{Addr: oldPlace, Kind: guest.WrongKey, Err: key}}}, ErrRefused, as(func(*HostKeyError) bool { return true })},
		{"nobody there", gone, nil, as(func(e *UnreachableError) bool { return slices.Equal(e.Addrs, []netip.AddrPort{newPlace}) })},
		{"nobody at both", both, nil, as(func(e *UnreachableError) bool { return slices.Equal(e.Addrs, []netip.AddrPort{newPlace, oldPlace}) })},
		{"login refused", auth, ErrLogin, nil},
		{"login refused at one of two addresses", &guest.UnreachableError{Addr: newPlace, Kind: guest.TimedOut,
			Others: []*guest.UnreachableError{{Addr: oldPlace, Kind: guest.NoLogin, Err: auth}}}, ErrLogin, nil},
		{"script failed", &guest.ExitError{Name: "x", Status: 100, Last: "E: no space"}, nil, as(func(e *StepError) bool {
			return *e == StepError{"50-build", 100, "E: no space"}
		})},
		{"locked", &statefile.LockedError{Path: "/l", PID: 7, Verb: "update"}, nil, as(func(e *LockedError) bool { return *e == LockedError{7, "update"} })},
		{"broken entry", &registry.EntryError{Octet: 150, File: "/e", Line: 3, Key: "K", Msg: "bad"}, nil, as(func(e *EntryError) bool {
			return *e == EntryError{"/e", 3, "K", "bad"}
		})},
		{"broken line", &statefile.SyntaxError{File: "/e", Line: 3, Key: "K", Msg: "bad"}, nil, as(func(e *EntryError) bool {
			return *e == EntryError{"/e", 3, "K", "bad"}
		})},
		{"broken journal", &bootstrap.JournalError{File: "/j", Err: badValue()}, nil, as(func(e *EntryError) bool {
			return e.File == "/j" && e.Msg == "damaged: "+badValue().Error()
		})},
		{"bad value", badValue(), ErrUsage, as(func(e *hypervisor.ValueError) bool { return e.Text == "99" })},
		{"not registered", registry.ErrNotRegistered, ErrNotRegistered, nil},
		{"gate", bootstrap.ErrRefused, ErrRefused, nil},
		{"drift", hypervisor.ErrDrift, ErrRefused, nil},
		{"tool", hypervisor.ErrToolMissing, ErrToolMissing, nil},
		{"canceled", context.Canceled, context.Canceled, nil},
		{"lost", &guest.LostError{Name: "x", Err: errors.New("reset")}, nil, as(func(*guest.LostError) bool { return true })},
		{"something else", fs.ErrPermission, fs.ErrPermission, nil},
	}
	sentinels := []error{ErrNotRegistered, ErrExists, ErrUsage, ErrRefused, ErrUnhealthy, ErrDeclined, ErrLogin}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := fmt.Errorf("do x: %w", hint.Wrap(tt.err, "next"))
			got := classify(err, "50-build")
			if got.Error() != err.Error() {
				t.Errorf("the text became %q, was %q", got, err)
			}
			if hint.Of(got) != "next" {
				t.Errorf("the hint became %q", hint.Of(got))
			}
			if !errors.Is(got, err) {
				t.Error("the error itself is lost")
			}
			if tt.is != nil && !errors.Is(got, tt.is) {
				t.Errorf("%v is not %v", got, tt.is)
			}
			for _, s := range sentinels {
				if s != tt.is && errors.Is(got, s) {
					t.Errorf("%v is %v too", got, s)
				}
			}
			if tt.as != nil {
				if wrong := tt.as(got); wrong != "" {
					t.Error(wrong)
				}
			}
		})
	}
}

// as wants an error of type E for which good is true.
func as[E error](good func(E) bool) func(error) string {
	return func(err error) string {
		var e E
		switch {
		case !errors.As(err, &e):
			return fmt.Sprintf("%v holds no %T", err, e)
		case !good(e):
			return fmt.Sprintf("%#v has other fields", e)
		}
		return ""
	}
}

func TestFail(t *testing.T) {
	m := &Manager{cfg: Config{Now: time.Now}}
	step := func(err error) error { return &bootstrap.StepError{Step: "50-build", Err: err} }
	exit := &guest.ExitError{Name: "make", Status: 2}
	tests := []struct {
		name  string
		octet Octet
		err   error
		want  Error // without Err
		text  string
	}{
		{"plain", 150, fs.ErrExist, Error{Verb: "setup", VM: "mpd-150"}, "setup mpd-150: file already exists"},
		{"no VM", 0, fs.ErrExist, Error{Verb: "setup"}, "setup: file already exists"},
		{"hint", 150, hint.Wrap(fs.ErrExist, "remove it"), Error{Verb: "setup", VM: "mpd-150", Hint: "remove it"}, "setup mpd-150: file already exists"},
		{"step", 150, step(exit), Error{Verb: "setup", VM: "mpd-150", Step: "50-build",
			Hint: "mpd-virt setup 150     (goes on at 50-build)"}, "setup mpd-150: 50-build: make: exit status 2"},
		{"step with a hint", 150, step(hint.Wrap(exit, "look")), Error{Verb: "setup", VM: "mpd-150", Step: "50-build", Hint: "look"},
			"setup mpd-150: 50-build: make: exit status 2"},
		{"step interrupted", 150, step(context.Canceled), Error{Verb: "setup", VM: "mpd-150", Step: "50-build"}, "setup mpd-150: 50-build: context canceled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e *Error
			err := m.begin("setup", tt.octet).fail(tt.err)
			if !errors.As(err, &e) || err.Error() != tt.text {
				t.Fatalf("%v, want %q", err, tt.text)
			}
			if got := (Error{e.Verb, e.VM, e.Step, e.Log, e.Hint, nil}); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
	if err := m.begin("setup", 150).fail(nil); err != nil {
		t.Errorf("fail(nil) = %v", err)
	}
	var s *StepError
	if err := m.begin("setup", 150).fail(step(exit)); !errors.As(err, &s) || s.Step != "50-build" || s.Status != 2 {
		t.Errorf("%v holds no *StepError of its step", err)
	}
}

func TestBrokenJournalIsNoUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "journal.json")
	if err := statefile.Write(file, []byte(`{"schema":"mpd-virt/journal/1","octet":150,"user":"root"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bootstrap.LoadJournal(nil, file, 150)
	err = classify(err, "")
	var e *EntryError
	if errors.Is(err, ErrUsage) || !errors.As(err, &e) || e.File != file {
		t.Errorf("%v: want an *EntryError", err)
	}
}

// What the Mac's own disk refuses comes with what to do about that, not with
// the command that would fail again.
func TestFileHint(t *testing.T) {
	m, err := New(Config{Home: "/home/dev"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		err  error
		want string // a part of the hint; "" for no hint
	}{
		{"full", fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), "make room"},
		{"read-only", &os.LinkError{Op: "rename", Err: syscall.EROFS}, "ls -ld /home/dev/.mpd-virt /home/dev/.ssh"},
		{"not ours", &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "ls -ld /home/dev/.mpd-virt /home/dev/.ssh"},
		{"missing", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, ""},
		{"not of a file", syscall.EACCES, ""},
	} {
		var e *Error
		if errors.As(m.begin("setup", 150).fail(tt.err), &e); !strings.Contains(e.Hint, tt.want) || (e.Hint == "") != (tt.want == "") {
			t.Errorf("%s: hint %q, want %q", tt.name, e.Hint, tt.want)
		}
	}
}
