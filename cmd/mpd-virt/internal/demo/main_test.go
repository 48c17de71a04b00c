package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// "make golden" gives this flag to all packages of the command.
var _ = flag.Bool("update", false, "nothing to update here")

func TestStory(t *testing.T) {
	var out bytes.Buffer
	if err := show(t.Context(), &out, []string{"LANG=C.UTF-8"}, mpdvirttest.Options{}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"% mpd-virt setup 150 ", "mpd-150 is set up", "mpd-151 answers", "mpd-160 is made and set up", "mpd-170 is made and set up", "# as expected"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out.String())
		}
	}
}

// A story that does not come out as told is an error.
func TestStoryFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := show(ctx, &out, nil, mpdvirttest.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestLookOnly(t *testing.T) {
	got := lookOnly([]string{"HOME=/x", "TERM=xterm", "MPD_REPO=y", "LANG=C", "NO_COLOR="})
	if strings.Join(got, " ") != "TERM=xterm LANG=C NO_COLOR=" {
		t.Errorf("got %q", got)
	}
}
