package mpdvirt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func TestEventWriter(t *testing.T) {
	at := time.Date(2026, 11, 21, 19, 4, 11, 5, time.UTC)
	for name, tt := range map[string]struct {
		event mpdvirt.Event
		want  string
	}{
		"nothing": {mpdvirt.Event{}, `{"schema":"","kind":"","time":"0001-01-01T00:00:00Z"}`},
		"a step": {
			mpdvirt.Event{Schema: mpdvirt.EventSchema, Kind: mpdvirt.StepEnded, Time: at, Verb: "setup", Octet: 150, Step: "push",
				Text: "a <b> & \x1b", Status: mpdvirt.OK, Elapsed: time.Second},
			`{"schema":"mpd-virt/event/1","kind":"step-ended","time":"2026-11-21T19:04:11.000000005Z","verb":"setup","octet":150,"step":"push",` +
				`"text":"a <b> & \u001b","status":"ok","elapsed_ns":1000000000}`,
		},
		"the end": {
			mpdvirt.Event{Schema: mpdvirt.EventSchema, Kind: mpdvirt.VerbEnded, Time: at, Verb: "list", Outcome: &mpdvirt.Outcome{}},
			`{"schema":"mpd-virt/event/1","kind":"verb-ended","time":"2026-11-21T19:04:11.000000005Z","verb":"list","outcome":{"exit":0}}`,
		},
		"several lines": {mpdvirt.Event{Kind: mpdvirt.Note, Time: at, Text: "a\nb"}, `{"schema":"","kind":"note","time":"2026-11-21T19:04:11.000000005Z","text":"a\nb"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := mpdvirt.NewEventWriter(&out)
			if w.Observe(tt.event); w.Err() != nil || out.String() != tt.want+"\n" {
				t.Errorf("%v\n got %s\nwant %s", w.Err(), out.String(), tt.want)
			}
			var back mpdvirt.Event
			if err := json.Unmarshal(out.Bytes(), &back); err != nil || cmp.Diff(tt.event, back) != "" {
				t.Errorf("%v: %s", err, cmp.Diff(tt.event, back))
			}
		})
	}
}

// A writer that fails once is not written to again.
func TestEventWriterFails(t *testing.T) {
	bad, calls := errors.New("bad"), 0
	w := mpdvirt.NewEventWriter(writerFunc(func(p []byte) (int, error) {
		if calls++; calls == 2 {
			return 3, bad
		}
		return len(p), nil
	}))
	for range 4 {
		w.Observe(mpdvirt.Event{})
	}
	if w.Err() != bad || calls != 2 {
		t.Errorf("%v after %d calls", w.Err(), calls)
	}
}

func TestEventWriterTogether(t *testing.T) {
	var out bytes.Buffer
	w := mpdvirt.NewEventWriter(&out)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { w.Observe(mpdvirt.Event{Text: strings.Repeat("x", 1000)}) })
	}
	all.Wait()
	if n := strings.Count(out.String(), "}\n{"); n != 19 || w.Err() != nil {
		t.Errorf("%d lines, %v", n+1, w.Err())
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
