package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

const (
	// maxArchive bounds a download whose server does not say how long it is.
	maxArchive = 4 << 30
	// maxFailures is how many attempts in a row may bring nothing new.
	maxFailures = 5
	// newBytes is what counts as something new.
	newBytes = 1 << 20
)

// download is one archive on its way into the cache. The bytes so far are in
// final+".partial", and what the server said about them is beside it.
type download struct {
	Options
	final string
	known note  // about what is in the partial file; zero if nothing usable is
	best  int64 // the longest that the partial file was
}

// note is what must hold for a partial file to be continued.
type note struct {
	URL    string `json:"url"`
	SHA512 string `json:"sha512"`
	// Validator is the server's strong ETag or else its Last-Modified; "" if
	// it gives neither: then a cut download starts over.
	Validator string `json:"validator"`
	Total     int64  `json:"total"` // 0 if the server did not say
}

func (d *download) partial() string  { return d.final + ".partial" }
func (d *download) noteFile() string { return d.partial() + ".json" }

// run makes the final file. A file that was put together from two answers and
// is wrong gets one more chance in one piece.
func (d *download) run(ctx context.Context) error {
	d.load()
	for second := false; ; second = true {
		pieces, err := d.fill(ctx)
		if err != nil {
			return err
		}
		err = d.finish(ctx)
		var wrong *DigestError
		if second || pieces < 2 || !errors.As(err, &wrong) {
			return err
		}
		d.best = 0
	}
}

// load reads what an earlier run left. Whatever is odd about it means to start
// over; the digest decides in the end.
func (d *download) load() {
	text, err := statefile.Read(d.noteFile(), 64<<10)
	var n note
	if err != nil || json.Unmarshal(text, &n) != nil || n.URL != d.Source.URL || n.SHA512 != d.Source.SHA512 || n.Total < 0 {
		return
	}
	d.known = n
}

// have is how many bytes can be continued.
func (d *download) have() int64 {
	info, err := os.Lstat(d.partial())
	if d.known == (note{}) || err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// fill downloads until the partial file is as long as the server says it
// should be, and tells from how many answers it was put together.
func (d *download) fill(ctx context.Context) (pieces int, err error) {
	if d.have() > 0 {
		pieces = 2 // who knows from how many the earlier run made it
	}
	for failures := 0; ; {
		if have := d.have(); d.known.Total > 0 && have == d.known.Total {
			return pieces, nil
		}
		started, err := d.attempt(ctx)
		switch {
		case started == fromStart:
			pieces = 1
		case started == continued:
			pieces++
		}
		if err == nil {
			return pieces, nil
		}
		if ctx.Err() != nil {
			return pieces, ctx.Err()
		}
		if errors.Is(err, errHuge) {
			err = errors.Join(err, d.drop())
		}
		if lasting(err) {
			return pieces, err
		}
		// Only what no attempt had before counts: a server that always cuts at
		// the same place must not keep us for ever.
		failures++
		if have := d.have(); have >= d.best+newBytes {
			failures, d.best = 1, have
		}
		if failures == maxFailures {
			return pieces, fmt.Errorf("tried %d times: %w", maxFailures, err)
		}
		if err := pause(ctx, time.Second<<(failures-1)); err != nil {
			return pieces, err
		}
	}
}

func pause(ctx context.Context, long time.Duration) error {
	t := time.NewTimer(long)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// finish gives the partial file its final name, if it is the right one.
func (d *download) finish(ctx context.Context) error {
	err := verify(ctx, d.partial(), d.Source.SHA512)
	var wrong *DigestError
	if errors.As(err, &wrong) {
		wrong.File = d.Source.name()
		return errors.Join(err, d.drop())
	}
	if err == nil {
		err = settle(d.partial(), d.final)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errLocal, err)
	}
	return remove(d.noteFile())
}

// drop forgets what there is of the file.
func (d *download) drop() error {
	d.known = note{}
	return errors.Join(remove(d.partial()), remove(d.noteFile()))
}

// begin empties the partial file for an answer that holds the whole archive.
// The note comes last: without it, the bytes are not used.
func (d *download) begin(resp *http.Response) (*os.File, error) {
	if err := d.drop(); err != nil {
		return nil, fmt.Errorf("%w: %w", errLocal, err)
	}
	n := note{URL: d.Source.URL, SHA512: d.Source.SHA512, Validator: validator(resp.Header), Total: max(resp.ContentLength, 0)}
	f, err := openPartial(d.partial())
	if err != nil {
		return nil, d.local(err, n.Total)
	}
	text, err := json.Marshal(n)
	if err == nil {
		err = statefile.Write(d.noteFile(), text, 0o600)
	}
	if err != nil {
		f.Close()
		return nil, d.local(err, n.Total)
	}
	d.known = n
	return f, nil
}

// local marks an error of the cache itself.
func (d *download) local(err error, need int64) error {
	return fmt.Errorf("%w: %w", errLocal, noSpace(d.partial(), need, err))
}
