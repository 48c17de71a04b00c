package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func TestComplain(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"none", nil, ""},
		{"told already", shown{errors.New("x")}, ""},
		{"plain", errors.New("find the home folder: no HOME"), "mpd-virt: find the home folder: no HOME\n"},
		{"with a hint", hint.Wrap(errors.New("x"), "mpd-virt list"), "mpd-virt: x\n  next: mpd-virt list\n"},
		{"whole", &mpdvirt.Error{
			Verb: "setup", VM: "mpd-150", Step: "40-install-software",
			Log:  "/Users/dev/.mpd-virt/150/logs/a.log",
			Hint: "mpd-virt setup 150     (goes on at 40-install-software)",
			Err:  &mpdvirt.StepError{Status: 100, Last: "could not get lock"},
		}, "mpd-virt: setup mpd-150: 40-install-software: exit status 100: could not get lock\n" +
			"  log:  ~/.mpd-virt/150/logs/a.log\n" +
			"  next: mpd-virt setup 150     (goes on at 40-install-software)\n"},
		{"hint of several lines", &mpdvirt.Error{Verb: "start", VM: "mpd-150", Hint: "turn it on, then:\nmpd-virt diag 150", Err: errors.New("x")},
			"mpd-virt: start mpd-150: x\n  next: turn it on, then:\n        mpd-virt diag 150\n"},
		{"interrupted", &mpdvirt.Error{Verb: "setup", VM: "mpd-150", Step: "push", Log: "/l", Err: fmt.Errorf("dial: %w", context.Canceled)},
			"mpd-virt: setup mpd-150: push: interrupted\n  log:  /l\n"},
		{"interrupted outside of a verb", context.Canceled, "mpd-virt: interrupted\n"},
		{"controls from a VM", errors.New("bad\x1b]0;owned\x07 thing\u202e\r\nsecond"), "mpd-virt: bad thing\n  second\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			newTestApp(&stdout, &stderr).complain(tt.err)
			if stderr.String() != tt.want || stdout.Len() != 0 {
				t.Errorf("got\n%s(stdout %q)\nwant\n%s", stderr.String(), stdout.String(), tt.want)
			}
		})
	}
}
