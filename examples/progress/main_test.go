package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// Every step of a VM's creation is there and done, in its order.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, false); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, step := range []string{mpdvirt.StepImage, mpdvirt.StepDisk, mpdvirt.StepCreate, mpdvirt.StepFirstBoot, "register", "mpd-setup", "diag"} {
		_, after, ok := strings.Cut(rest, "\n+ "+step+" ")
		if !ok && !strings.Contains(rest, "\n+ "+step+"\n") {
			t.Fatalf("no step %s that is done, in its place, in\n%s", step, out.String())
		}
		if ok {
			rest = after
		}
	}
	if strings.Contains(out.String(), "> ") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("something runs still, or there are controls: %q", out.String())
	}
}

func TestLive(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"> image", "+ image", "MiB", "\x1b[K\n", "A"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}

func TestTransfer(t *testing.T) {
	const mib = 1 << 20
	start := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	at := func(after time.Duration, done, total int64) mpdvirt.Event {
		return mpdvirt.Event{Kind: mpdvirt.StepProgress, Step: "image", Time: start.Add(after), Done: done, Total: total}
	}
	tests := []struct {
		name   string
		events []mpdvirt.Event
		want   string
	}{
		{"just begun", []mpdvirt.Event{at(0, mib, 48*mib)}, "1.0 of 48.0 MiB"},
		{"half", []mpdvirt.Event{at(0, 0, 48*mib), at(6*time.Second, 24*mib, 48*mib)}, "24.0 of 48.0 MiB, 4.0 MiB/s, 6s left"},
		{"goes on", []mpdvirt.Event{at(0, 40*mib, 48*mib), at(2*time.Second, 44*mib, 48*mib)}, "44.0 of 48.0 MiB, 2.0 MiB/s, 2s left"},
		{"whole", []mpdvirt.Event{at(0, 0, 8*mib), at(time.Second, 8*mib, 8*mib)}, "8.0 of 8.0 MiB, 8.0 MiB/s"},
		{"no total", []mpdvirt.Event{at(0, 0, 0), at(time.Second, 3*mib, 0)}, "3.0 MiB, 3.0 MiB/s"},
		{"a clock that stands", []mpdvirt.Event{at(0, 0, 8*mib), at(0, 4*mib, 8*mib)}, "4.0 of 8.0 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &view{}
			v.observe(mpdvirt.Event{Kind: mpdvirt.StepStarted, Step: "image"})
			for _, e := range tt.events {
				v.observe(e)
			}
			if want := "\n> image                " + tt.want + "\n"; v.String() != want {
				t.Errorf("%q, want %q", v, want)
			}
		})
	}
}

func TestRows(t *testing.T) {
	v := &view{}
	for _, e := range []mpdvirt.Event{
		{Kind: mpdvirt.VerbStarted, Text: "setting up"},
		{Kind: mpdvirt.StepStarted, Step: "build"},
		{Kind: mpdvirt.StepOutput, Step: "build", Text: "compiling a"},
		{Kind: mpdvirt.StepOutput, Step: "build", Text: "compiling " + strings.Repeat("b", 50)},
		{Kind: mpdvirt.StepEnded, Step: "nobody's", Status: mpdvirt.OK},
		{Kind: mpdvirt.StepStarted, Step: "inner"},
		{Kind: mpdvirt.StepEnded, Step: "inner", Status: mpdvirt.Fail, Text: "no\nmore"},
	} {
		v.observe(e)
	}
	want := "setting up\n> build                compiling " + strings.Repeat("b", 37) + "...\n  x inner                no\n"
	if v.String() != want {
		t.Errorf("%q, want %q", v, want)
	}
}
