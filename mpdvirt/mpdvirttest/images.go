package mpdvirttest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The one file of the image server, and the SHA-512 of archive's bytes.
const (
	imageURL    = "https://images.example/trixie/debian-13-generic.tar.xz"
	imageSHA512 = "d22418471735d0db1fd5338443b9606d5793cdd6cc83a0220d24b6109c82b372bb4457f895cf323c54573e430958771adfb2541ca744634f5ba503af74dc3bf9"
	imageTag    = `"20260914-2601"`
)

// archiveSize is enough for a download that is cut to have something to go on
// with.
const archiveSize = 5 << 19

// archive makes the bytes of the archive: after xz's magic, noise. Only the tar
// of this package unpacks it.
func archive() []byte {
	b := make([]byte, archiveSize)
	// Read of a ChaCha8 has no errors, and its bytes are the same for ever.
	_, _ = rand.NewChaCha8([32]byte([]byte("mpdvirttest: a picture of Debian"))).Read(b)
	copy(b, "\xfd7zXZ\x00\x00\x04")
	return b
}

// ImageKind is what goes wrong with a download of the disk image.
type ImageKind string

// What can go wrong with a download of the disk image.
const (
	ImageMissing      ImageKind = "404"           // the server answers 404
	ImageBroken       ImageKind = "503"           // the server answers 503
	ImageCut          ImageKind = "cut"           // the connection breaks after N bytes of the answer
	ImageWrong        ImageKind = "wrong bytes"   // the byte behind N bytes of the answer is another one
	ImageSlow         ImageKind = "slow"          // N bytes (0: 64 KiB) come every After (0: 1 s)
	ImageIgnoresRange ImageKind = "ignores range" // the whole comes, whatever was asked for
	ImageChanged      ImageKind = "changed"       // the ETag is another one
	ImageSilent       ImageKind = "silent"        // nothing comes after N bytes; with 0 not even a status
)

// ImageFault is something that goes wrong with a request to the image server; see
// [World.FailImage].
type ImageFault struct {
	Kind  ImageKind     // "": nothing, this time
	N     int64         // bytes, as Kind says; not negative
	After time.Duration // of ImageSlow
	Times int           // how often; 0: once, negative: always
}

// ImageRequest is what the image server was asked.
type ImageRequest struct {
	Method, URL    string
	Range, IfRange string // the headers; "" if they were not there
	Status         int    // of the answer; 0 if there was none, or none yet
}

// imageServer plays the web server with the disk image. The zero value is ready.
type imageServer struct {
	once sync.Once
	data []byte

	mu     sync.Mutex
	faults []*ImageFault
	asked  []ImageRequest
}

func (s *imageServer) archive() []byte {
	s.once.Do(func() { s.data = archive() })
	return s.data
}

// Image is the disk image that the world's image server has: the address of an
// archive that only the tar of World.Run unpacks, and its SHA-512 in hex.
func (w *World) Image() (url, sha512 string) { return imageURL, imageSHA512 }

// Archive is the content of the archive of Image, for those who want it as a file.
// The caller must not change it.
func (w *World) Archive() []byte { return w.images.archive() }

// Transport does https requests on the Mac. It knows the one address of
// [World.Image], with ranges, and answers all others with 404. It may be used by many
// goroutines. Its error is that of the request's context, or net.ErrClosed once the
// world is closed.
func (w *World) Transport() http.RoundTripper { return transport{w} }

// FailImage makes requests to the image server go wrong. The faults come one after
// the other in the order in which they were added, each to the next request,
// whatever that asks for.
func (w *World) FailImage(faults ...ImageFault) {
	s := &w.images
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		s.faults = append(s.faults, &f)
	}
}

// ClearImage forgets all faults of the image server that did not happen yet.
func (w *World) ClearImage() {
	w.images.mu.Lock()
	defer w.images.mu.Unlock()
	w.images.faults = nil
}

// ImageRequests are all requests to the image server so far, in order.
func (w *World) ImageRequests() []ImageRequest {
	s := &w.images
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// take notes a request, and takes the fault that it meets.
func (s *imageServer) take(req *http.Request) (f ImageFault, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, ImageRequest{
		Method: req.Method, URL: req.URL.String(), Range: req.Header.Get("Range"), IfRange: req.Header.Get("If-Range"),
	})
	if len(s.faults) > 0 {
		f = *s.faults[0]
		if f.Times > 0 {
			if s.faults[0].Times--; s.faults[0].Times == 0 {
				s.faults = s.faults[1:]
			}
		}
	}
	return f, len(s.asked) - 1
}

// transport is the way to the image server.
type transport struct{ w *World }

// RoundTrip answers as http.RoundTripper says.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close() // nothing here takes one
	}
	s := &t.w.images
	fault, number := s.take(req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if fault.Kind == ImageSilent && fault.N == 0 {
		return nil, t.w.nothing(req.Context())
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	s.serve(a, req, fault)
	s.mu.Lock()
	s.asked[number].Status = a.status
	s.mu.Unlock()
	return a.response(t.w, req, fault), nil
}

func (s *imageServer) serve(a *answer, req *http.Request, fault ImageFault) {
	switch {
	case req.URL.String() != imageURL || fault.Kind == ImageMissing:
		http.Error(a, "404 Not Found", http.StatusNotFound)
		return
	case fault.Kind == ImageBroken:
		http.Error(a, "503 Service Unavailable", http.StatusServiceUnavailable)
		return
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		http.Error(a, "405 Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	asked := req.Clone(req.Context())
	if fault.Kind == ImageIgnoresRange {
		asked.Header.Del("Range")
	}
	tag := imageTag
	if fault.Kind == ImageChanged {
		tag = `"another"`
	}
	a.header.Set("ETag", tag)
	a.header.Set("Content-Type", "application/x-xz")
	http.ServeContent(a, asked, "", Epoch, bytes.NewReader(s.archive()))
}

// answer takes what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header, Write and WriteHeader are those of http.ResponseWriter.
func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(status int)      { a.status = status }

// response is the answer as a client gets it.
func (a *answer) response(w *World, req *http.Request, fault ImageFault) *http.Response {
	data := a.body.Bytes()
	length, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = int64(len(data)) // http.Error says none
	}
	ctx, cancel := context.WithCancel(req.Context())
	b := &imageBody{ctx: ctx, cancel: cancel, parent: req.Context(), world: w.done, data: data, last: io.EOF}
	switch n := fault.N; fault.Kind {
	case ImageCut:
		b.data, b.last = data[:min(n, int64(len(data)))], io.ErrUnexpectedEOF
	case ImageSilent:
		b.data, b.last = data[:min(n, int64(len(data)))], nil
	case ImageWrong:
		if n < int64(len(data)) {
			data[n] ^= 0xff
		}
	case ImageSlow:
		b.piece, b.pause = int(n), fault.After
		if b.piece <= 0 {
			b.piece = 64 << 10
		}
		if b.pause <= 0 {
			b.pause = time.Second
		}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: b, ContentLength: length, Request: req,
	}
}

// imageBody is the content of an answer on its way.
type imageBody struct {
	ctx    context.Context // ends with the request and with Close
	cancel func()
	parent context.Context
	world  <-chan struct{}

	data  []byte
	last  error // what follows the data; nil is nothing, for ever
	piece int   // bytes between two pauses
	pause time.Duration
	ready int // bytes that came since the last pause
}

// Read is io.Reader's.
func (b *imageBody) Read(to []byte) (int, error) {
	switch {
	case b.ctx.Err() != nil:
		return 0, b.ended()
	case len(b.data) == 0 && b.last != nil:
		return 0, b.last
	case len(b.data) == 0:
		return 0, b.wait(nil)
	case b.pause > 0 && b.ready == 0:
		timer := time.NewTimer(b.pause)
		defer timer.Stop()
		if err := b.wait(timer.C); err != nil {
			return 0, err
		}
		b.ready = b.piece
	}
	if b.pause > 0 {
		to = to[:min(len(to), b.ready)]
	}
	n := copy(to, b.data)
	b.data = b.data[n:]
	b.ready = max(b.ready-n, 0)
	return n, nil
}

// wait waits for its time, for ever if that is nil.
func (b *imageBody) wait(over <-chan time.Time) error {
	select {
	case <-over:
		return nil
	case <-b.ctx.Done():
		return b.ended()
	case <-b.world:
		return net.ErrClosed
	}
}

func (b *imageBody) ended() error {
	if err := b.parent.Err(); err != nil {
		return err
	}
	return http.ErrBodyReadAfterClose
}

// Close is io.Closer's; a Read that waits ends.
func (b *imageBody) Close() error {
	b.cancel()
	return nil
}
