package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// begun says what an attempt did with the partial file.
type begun int

const (
	nothing begun = iota
	fromStart
	continued
)

// attempt asks the server once. It is nil if the answer ended where it should.
func (d *download) attempt(ctx context.Context) (begun, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(stallLimit, func() { cancel(ErrStalled) })
	defer silence.Stop()

	have := d.have()
	if d.known.Validator == "" {
		have = 0
	}
	resp, done, err := d.ask(ctx, have)
	if err != nil {
		return nothing, because(ctx, err)
	}
	defer done()
	defer resp.Body.Close()
	f, how, err := d.accept(resp, have)
	if err != nil {
		return nothing, err
	}
	silence.Reset(stallLimit)
	err = d.receive(resp.Body, f, func() { silence.Reset(stallLimit) })
	return how, because(ctx, err)
}

// because puts ErrStalled in the place of the error that its timer caused.
func because(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), ErrStalled) {
		return ErrStalled
	}
	return err
}

// ask sends the request for what is missing behind have. done closes the idle
// connections, if they are ours.
func (d *download) ask(ctx context.Context, have int64) (resp *http.Response, done func(), err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Source.URL, nil)
	if err != nil {
		return nil, nil, err
	}
	// Else Go asks for gzip by itself, and lengths and ranges mean another thing.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "mpd-virt")
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		req.Header.Set("If-Range", d.known.Validator)
	}
	transport, done := d.Transport, func() {}
	if transport == nil {
		t := d.direct()
		transport, done = t, t.CloseIdleConnections
	}
	client := http.Client{Transport: transport, CheckRedirect: checkRedirect}
	resp, err = client.Do(req)
	if err != nil {
		done()
		return nil, nil, err
	}
	return resp, done, nil
}

// direct goes to the network; the proxies of the environment are not ours to
// read.
func (d *download) direct() *http.Transport {
	dial := d.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &http.Transport{
		DialContext:         dial,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// maxRedirects is how often the server may send us on: Debian's does once, to
// a mirror.
const maxRedirects = 5

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case req.URL.Scheme != "https":
		return fmt.Errorf("%w: to %s, which is not https", ErrRedirect, origin(req.URL))
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d, the last to %s", ErrRedirect, maxRedirects, origin(req.URL))
	}
	return nil
}

// origin is an address without what may be secret or endless in it.
func origin(u *url.URL) string {
	return strconv.QuoteToASCII(fmt.Sprintf("%.20s://%.60s", u.Scheme, u.Host))
}

// accept opens the partial file for the answer, at the right place.
func (d *download) accept(resp *http.Response, have int64) (*os.File, begun, error) {
	switch {
	case resp.StatusCode == http.StatusOK:
		if resp.ContentLength > maxArchive {
			return nil, nothing, fmt.Errorf("%d bytes: %w", resp.ContentLength, errHuge)
		}
		f, err := d.begin(resp)
		return f, fromStart, err
	case resp.StatusCode == http.StatusPartialContent && have > 0:
		at, total, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || at != have || d.known.Total > 0 && total > 0 && total != d.known.Total {
			return nil, nothing, errors.Join(errOther, d.drop())
		}
		f, err := openPartial(d.partial())
		if err == nil {
			if _, err = f.Seek(have, io.SeekStart); err != nil {
				f.Close()
			}
		}
		if err != nil {
			return nil, nothing, d.local(err, 0)
		}
		return f, continued, nil
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		// The file became shorter than what we have of it.
		return nil, nothing, errors.Join(errOther, d.drop())
	}
	return nil, nothing, &StatusError{URL: d.Source.URL, Code: resp.StatusCode}
}

var rangeForm = regexp.MustCompile(`^bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)$`)

// contentRange is where an answer begins and how long the whole is, 0 if the
// server does not say.
func contentRange(s string) (at, total int64, ok bool) {
	m := rangeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, false
	}
	at, _ = strconv.ParseInt(m[1], 10, 64) // at most 15 digits
	if m[2] != "*" {
		total, _ = strconv.ParseInt(m[2], 10, 64)
	}
	return at, total, true
}

// validator is what If-Range takes: a strong ETag, or a date. A weak ETag
// means another thing than the same bytes.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); len(tag) > 2 && strings.HasPrefix(tag, `"`) && strings.HasSuffix(tag, `"`) {
		return tag
	}
	date := h.Get("Last-Modified")
	if _, err := http.ParseTime(date); err != nil {
		return ""
	}
	return date
}

// receive writes the answer behind what f has, and closes f.
func (d *download) receive(body io.Reader, f *os.File, alive func()) (err error) {
	done, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		f.Close()
		return d.local(err, 0)
	}
	defer func() {
		if closeErr := f.Close(); closeErr != nil && err == nil {
			err = d.local(closeErr, d.known.Total-done)
		}
	}()
	buf := make([]byte, 256<<10)
	for {
		n, readErr := body.Read(buf)
		if n > 0 {
			alive()
			if done+int64(n) > maxArchive {
				return errHuge
			}
			if _, err := f.Write(buf[:n]); err != nil {
				return d.local(err, d.known.Total-done)
			}
			done += int64(n)
			if d.Progress != nil {
				d.Progress(done, d.known.Total)
			}
		}
		switch {
		case readErr == io.EOF && done < d.known.Total:
			return errCut
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return readErr
		}
	}
}
