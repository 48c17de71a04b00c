package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func TestExitCode(t *testing.T) {
	_, badOctet := mpdvirt.ParseOctet("x")
	inVerb := func(err error) error { return &mpdvirt.Error{Verb: "setup", VM: "mpd-150", Err: err} }
	refused := &mpdvirt.Report{Checks: []mpdvirt.Check{
		{ID: "ping", Phase: mpdvirt.Mandatory, Status: mpdvirt.Fail},
		{ID: "ssh-alias", Phase: mpdvirt.Mandatory, Status: mpdvirt.Fail, Refused: true},
	}}
	unhealthy := &mpdvirt.Report{Checks: []mpdvirt.Check{{ID: "ping", Phase: mpdvirt.Mandatory, Status: mpdvirt.Fail}}}
	optional := &mpdvirt.Report{Checks: []mpdvirt.Check{{ID: "route", Phase: mpdvirt.Optional, Status: mpdvirt.Fail}}}
	tests := []struct {
		name   string
		err    error
		signal syscall.Signal
		want   int
	}{
		{"done", nil, 0, 0},
		{"done although a signal came", nil, syscall.SIGINT, 0},
		{"anything", errors.New("x"), 0, 1},
		{"not registered", inVerb(mpdvirt.ErrNotRegistered), 0, 1},
		{"exists", inVerb(mpdvirt.ErrExists), 0, 1},
		{"declined", inVerb(mpdvirt.ErrDeclined), 0, 1},
		{"broken entry", inVerb(&mpdvirt.EntryError{File: "env"}), 0, 1},
		{"unsupported", inVerb(&mpdvirt.UnsupportedError{Backend: "general"}), 0, 1},
		{"a step failed", inVerb(&mpdvirt.StepError{Status: 100}), 0, 1},
		{"unreachable", inVerb(&mpdvirt.UnreachableError{Err: errors.New("x")}), 0, 1},
		{"write error", &outputError{err: syscall.EPIPE}, 0, 1},
		{"the command line", usage("help", "x"), 0, 2},
		{"a bad value", badOctet, 0, 2},
		{"the request", inVerb(fmt.Errorf("no user: %w", mpdvirt.ErrUsage)), 0, 2},
		{"unhealthy", unhealthy.Err(), 0, 3},
		{"unhealthy, told already", shown{unhealthy.Err()}, 0, 3},
		{"only optional checks failed", optional.Err(), 0, 0},
		{"host key changed", inVerb(&mpdvirt.HostKeyError{Err: errors.New("x")}), 0, 4},
		{"refused outweighs unhealthy", refused.Err(), 0, 4},
		{"refused and unhealthy joined", errors.Join(mpdvirt.ErrUnhealthy, mpdvirt.ErrRefused), 0, 4},
		{"drift", inVerb(hypervisor.ErrDrift), 0, 4},
		{"locked", inVerb(&mpdvirt.LockedError{PID: 7, Verb: "setup"}), 0, 5},
		{"SIGINT", inVerb(context.Canceled), syscall.SIGINT, 130},
		{"SIGTERM", inVerb(context.Canceled), syscall.SIGTERM, 143},
		{"SIGHUP", inVerb(context.Canceled), syscall.SIGHUP, 129},
		{"SIGINT shown as another failure", inVerb(errors.New("connection closed")), syscall.SIGINT, 130},
		{"refused although a signal came", inVerb(mpdvirt.ErrRefused), syscall.SIGINT, 4},
		{"cancelled by nobody", context.Canceled, 0, 130},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if tt.signal != 0 {
				cancel(signalError{tt.signal})
			}
			if got := exitCode(ctx, tt.err); got != tt.want {
				t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}
