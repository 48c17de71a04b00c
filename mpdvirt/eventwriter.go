package mpdvirt

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
)

// EventWriter writes events as NDJSON: each is a JSON object on a line of its
// own, handed to the writer in one call before Observe returns. It is what
// "mpd-virt --events" is made of.
//
// Its methods may be called at the same time.
type EventWriter struct {
	mu  sync.Mutex
	w   io.Writer
	err error
}

// NewEventWriter makes an EventWriter for w. The caller closes w.
func NewEventWriter(w io.Writer) *EventWriter { return &EventWriter{w: w} }

// Observe writes one event. It fits [Config].Observer. After a write that
// failed it writes nothing more: half a line would otherwise get a second half.
func (e *EventWriter) Observe(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if e.err = enc.Encode(event); e.err == nil {
		_, e.err = e.w.Write(line.Bytes())
	}
}

// Err is the first error, as w returned it; nil while all was written.
func (e *EventWriter) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}
