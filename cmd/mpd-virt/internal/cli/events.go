package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// eventStream writes the events of one verb for programs (--events). Its zero
// value writes none.
//
// An event that cannot be written ends the verb: whoever wants to see what
// happens does not want it to go on unseen.
type eventStream struct {
	name string // what --events says; "" for no stream
	to   *mpdvirt.EventWriter
	file io.Closer // nil for standard output
	// cancel ends the verb; nil before it began.
	cancel context.CancelCauseFunc
	verb   string
	now    func() time.Time
}

// toStdout says whether standard output belongs to the events.
func (s *eventStream) toStdout() bool { return s.name == "-" }

// open begins the stream. The context that it returns is the verb's.
func (s *eventStream) open(ctx context.Context, a *app, verb string) (context.Context, error) {
	if s.name == "" {
		return ctx, nil
	}
	w := a.env.Stdout
	if !s.toStdout() {
		f, err := statefile.AppendTo(s.name)
		if err != nil {
			next := "name a file in a folder that exists and is yours, or a pipe that is being read"
			return ctx, hint.Wrap(&eventsError{s.name, bare(err)}, next)
		}
		w, s.file = f, f
	}
	s.verb, s.now = verb, a.env.Config.Now
	if s.now == nil {
		s.now = time.Now
	}
	s.to = mpdvirt.NewEventWriter(&patientWriter{w: w, done: ctx.Done()})
	ctx, s.cancel = context.WithCancelCause(ctx)
	return ctx, nil
}

// observe writes an event of the verb's Manager.
func (s *eventStream) observe(e mpdvirt.Event) {
	if s.to == nil {
		return
	}
	if e.Verb == "" {
		e.Verb = s.verb
	}
	s.to.Observe(e)
	if err := s.to.Err(); err != nil {
		s.cancel(err)
	}
}

// failed is why the stream could not be written; nil while it could.
func (s *eventStream) failed() error {
	if s.to == nil || s.to.Err() == nil {
		return nil
	}
	return &eventsError{s.name, bare(s.to.Err())}
}

// close writes how the verb ended, as the last line.
func (s *eventStream) close(o mpdvirt.Outcome) error {
	if s.to == nil {
		return nil
	}
	s.to.Observe(mpdvirt.Event{Schema: mpdvirt.EventSchema, Kind: mpdvirt.VerbEnded, Time: s.now(), Verb: s.verb, Outcome: &o})
	err := s.failed()
	if s.file != nil {
		if closeErr := s.file.Close(); err == nil && closeErr != nil {
			err = &eventsError{s.name, bare(closeErr)}
		}
	}
	s.cancel(nil)
	return err
}

// eventsError: the events could not be written.
type eventsError struct {
	name string
	err  error
}

func (e *eventsError) Error() string {
	name := e.name
	if name == "-" {
		name = "standard output"
	}
	return "write events to " + name + ": " + e.err.Error()
}

func (e *eventsError) Unwrap() error { return e.err }

// bare is err without the name of the file and the call.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// A reader of the events has so long to take one line: a pipe that is full and
// that nobody reads must not hold the verb for ever, and not for longer than a
// second once it was told to end.
const (
	readerPatience = 30 * time.Second
	lastPatience   = 500 * time.Millisecond
)

var errNobodyReads = errors.New("nobody reads it")

// patientWriter bounds the time of a Write. A standard output that is a pipe
// has no deadlines of its own, so another goroutine writes; one that is stuck
// stays so until the process ends.
type patientWriter struct {
	w    io.Writer
	done <-chan struct{} // closed when the verb was told to end
}

func (p *patientWriter) Write(line []byte) (int, error) {
	written := make(chan error, 1)
	go func() {
		_, err := p.w.Write(line)
		written <- err
	}()
	patience := time.NewTimer(readerPatience)
	defer patience.Stop()
	done := p.done
	for {
		select {
		case err := <-written:
			return len(line), err
		case <-done:
			done = nil
			patience.Reset(lastPatience)
		case <-patience.C:
			return 0, errNobodyReads
		}
	}
}
