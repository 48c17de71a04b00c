package image

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

const (
	host     = "https://images.example"
	fileName = "debian-13-generic-amd64-20260914-2601.tar.xz"
)

// content is an archive of n bytes, for those who only download it.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func sum(b []byte) string {
	h := sha512.Sum512(b)
	return hex.EncodeToString(h[:])
}

// server plays an HTTP server, one answer after another; the last is repeated.
type server struct {
	mu      sync.Mutex
	answers []answer
	asked   []http.Header
	urls    []string
}

type answer func(req *http.Request) (*http.Response, error)

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, req.Header.Clone())
	s.urls = append(s.urls, req.URL.String())
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return a(req)
}

func response(req *http.Request, code int, length int64, body io.Reader, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(body), ContentLength: length, Request: req, ProtoMajor: 1, ProtoMinor: 1}
}

// failing gives its bytes and then an error.
func failing(b []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(b), errReader{err})
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// whole serves data as a good server does, with Range and If-Range; after cut
// bytes of an answer the line drops (0: never).
func whole(data []byte, etag string, cut int) answer {
	return func(req *http.Request) (*http.Response, error) {
		from, code := 0, http.StatusOK
		headers := []string{"ETag", etag}
		if r := req.Header.Get("Range"); r != "" && req.Header.Get("If-Range") == etag {
			if _, err := fmt.Sscanf(r, "bytes=%d-", &from); err != nil {
				return nil, err
			}
			if from >= len(data) {
				return response(req, http.StatusRequestedRangeNotSatisfiable, 0, http.NoBody), nil
			}
			code = http.StatusPartialContent
			headers = append(headers, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
		}
		rest := data[from:]
		body := io.Reader(bytes.NewReader(rest))
		if cut > 0 && cut < len(rest) {
			body = failing(rest[:cut], io.ErrUnexpectedEOF)
		}
		return response(req, code, int64(len(rest)), body, headers...), nil
	}
}

func status(code int, headers ...string) answer {
	return func(req *http.Request) (*http.Response, error) {
		return response(req, code, 0, http.NoBody, headers...), nil
	}
}

// raw answers 200 with body, whatever was asked for.
func raw(length int64, body func() io.Reader, headers ...string) answer {
	return func(req *http.Request) (*http.Response, error) {
		return response(req, http.StatusOK, length, body(), headers...), nil
	}
}

func options(dir string, s *server, data []byte) Options {
	return Options{Dir: dir, Source: Source{URL: host + "/" + fileName, SHA512: sum(data)}, Transport: s}
}

// checkCache: under the final name is the right file or none.
func checkCache(t *testing.T, dir string, data []byte, there bool) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, fileName))
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		t.Error(err)
	case err == nil && !bytes.Equal(got, data):
		t.Error("a wrong file stands under the final name")
	case there != (err == nil):
		t.Errorf("the final file is there: %v, want %v", err == nil, there)
	}
}

// leftovers are the files of an unfinished download.
func leftovers(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), ".partial") {
			names = append(names, e.Name())
		}
	}
	return names
}

// F78, F79, F80: what a server can do in one run.
func TestFetch(t *testing.T) {
	data := content(3 << 20)
	other := content(3<<20 + 1)
	evil := bytes.Clone(data)
	evil[len(evil)/2] ^= 1
	half := len(data) / 2
	body := func(b []byte) func() io.Reader { return func() io.Reader { return bytes.NewReader(b) } }
	for _, tc := range []struct {
		name    string
		answers []answer
		want    string   // part of the error; "" is success
		ranges  []string // of the requests
	}{
		{"at once", []answer{whole(data, `"a"`, 0)}, "", []string{""}},
		{"cut at half", []answer{whole(data, `"a"`, half), whole(data, `"a"`, 0)}, "", []string{"", fmt.Sprintf("bytes=%d-", half)}},
		{"cut four times", []answer{whole(data, `"a"`, half/2), whole(data, `"a"`, half/2), whole(data, `"a"`, half/2), whole(data, `"a"`, half/2), whole(data, `"a"`, 0)}, "", nil},
		{"server ignores Range", []answer{whole(data, `"a"`, half), raw(int64(len(data)), body(data), "ETag", `"a"`)}, "", nil},
		{"ETag changed, then the old file", []answer{whole(other, `"old"`, half), whole(data, `"a"`, 0)}, "", nil},
		{"only a weak ETag: starts over", []answer{whole(data, `W/"a"`, half), whole(data, `W/"a"`, 0)}, "", []string{"", ""}},
		{"no ETag, a date", []answer{
			raw(int64(len(data)), func() io.Reader { return failing(data[:half], io.ErrUnexpectedEOF) }, "Last-Modified", "Mon, 14 Sep 2026 10:00:00 GMT"),
			whole(data, "Mon, 14 Sep 2026 10:00:00 GMT", 0)}, "", []string{"", fmt.Sprintf("bytes=%d-", half)}},
		{"chunked", []answer{raw(-1, body(data))}, "", nil},
		{"chunked, cut", []answer{raw(-1, func() io.Reader { return failing(data[:half], io.ErrUnexpectedEOF) }, "ETag", `"a"`), whole(data, `"a"`, 0)}, "", nil},
		{"chunked, cut without a sign", []answer{raw(-1, body(data[:half]))}, "is not the file that was wanted", nil},
		{"says more than it sends", []answer{raw(int64(len(data))+9, body(data), "ETag", `"a"`)}, "ended early", nil},
		{"says less than it sends", []answer{raw(100, body(data[:100]))}, "is not the file that was wanted", nil},
		{"a range from elsewhere", []answer{whole(data, `"a"`, half), func(req *http.Request) (*http.Response, error) {
			return response(req, http.StatusPartialContent, 10, bytes.NewReader(data[:10]), "Content-Range", "bytes 0-9/3145728"), nil
		}, whole(data, `"a"`, 0)}, "", []string{"", fmt.Sprintf("bytes=%d-", half), ""}},
		{"a range that was not asked for", []answer{func(req *http.Request) (*http.Response, error) {
			return response(req, http.StatusPartialContent, 10, bytes.NewReader(data[:10]), "Content-Range", "bytes 0-9/3145728"), nil
		}}, "206", nil},
		{"416", []answer{whole(data, `"a"`, half), status(416), whole(data, `"a"`, 0)}, "", nil},
		{"two files under one ETag", []answer{whole(evil, `"a"`, half+10), whole(data, `"a"`, 0)}, "", nil},
		{"wrong file", []answer{whole(evil, `"a"`, 0)}, "its SHA-512 is " + sum(evil) + ", not " + sum(data), []string{""}},
		{"wrong file in pieces", []answer{whole(evil, `"a"`, half), whole(evil, `"a"`, 0)}, "SHA-512", []string{"", fmt.Sprintf("bytes=%d-", half), ""}},
		{"503, then fine", []answer{status(503), status(429), whole(data, `"a"`, 0)}, "", nil},
		{"503 for ever", []answer{status(503)}, "tried 5 times", []string{"", "", "", "", ""}},
		{"404", []answer{status(404)}, "404 Not Found", []string{""}},
		{"403", []answer{status(403)}, "403", []string{""}},
		{"line drops at once", []answer{whole(data, `"a"`, 1)}, "unexpected EOF", nil},
		{"far too long", []answer{raw(5<<30, body(data))}, "far larger", []string{""}},
		{"redirect", []answer{status(302, "Location", "https://mirror.example/x.tar.xz"), whole(data, `"a"`, 0)}, "", nil},
		{"redirect to http", []answer{status(302, "Location", "http://mirror.example/x"), whole(data, `"a"`, 0)}, "not https", []string{""}},
		{"redirect to a file", []answer{status(302, "Location", "file:///etc/passwd"), whole(data, `"a"`, 0)}, "not https", []string{""}},
		{"redirect, second hop http", []answer{status(301, "Location", "https://b.example/"), status(307, "Location", "http://c.example/"), whole(data, `"a"`, 0)}, "not https", []string{"", ""}},
		{"redirect for ever", []answer{status(302, "Location", "/"+fileName)}, "more than 5", []string{"", "", "", "", "", ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			synctest.Test(t, func(t *testing.T) {
				s := &server{answers: tc.answers}
				o := options(dir, s, data)
				var last int64
				o.Progress = func(done, total int64) {
					if last = done; total != 0 && done > total {
						t.Errorf("progress %d of %d", done, total)
					}
				}
				path, err := Fetch(t.Context(), o)
				if tc.want == "" {
					if err != nil || path != filepath.Join(dir, fileName) || last != int64(len(data)) {
						t.Errorf("Fetch = %q, %v; progress ended at %d of %d", path, err, last, len(data))
					}
				} else if err == nil || !strings.Contains(err.Error(), tc.want) || hint.Of(err) == "" {
					t.Errorf("Fetch = %v (hint %q), want %q and a hint", err, hint.Of(err), tc.want)
				}
				checkCache(t, dir, data, tc.want == "")
				if left := leftovers(t, dir); tc.want == "" && left != nil || strings.Contains(tc.want, "SHA-512") && left != nil {
					t.Errorf("left: %v", left)
				}
				if tc.ranges != nil {
					var got []string
					for _, h := range s.asked {
						got = append(got, h.Get("Range"))
					}
					if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tc.ranges) {
						t.Errorf("ranges %q, want %q", got, tc.ranges)
					}
				}
			})
		})
	}
}

func TestFetchErrorTypes(t *testing.T) {
	data := content(1000)
	for _, tc := range []struct {
		name   string
		answer answer
		is     func(error) bool
	}{
		{"gone", status(404), func(err error) bool {
			var e *StatusError
			return errors.As(err, &e) && e.Code == 404 && strings.Contains(hint.Of(err), "--image-sha512")
		}},
		{"wrong", whole(content(999), `"a"`, 0), func(err error) bool { var e *DigestError; return errors.As(err, &e) && e.Want == sum(data) }},
		{"redirect", status(302, "Location", "http://x/"), func(err error) bool { return errors.Is(err, ErrRedirect) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Fetch(t.Context(), options(t.TempDir(), &server{answers: []answer{tc.answer}}, data)); !tc.is(err) {
				t.Errorf("Fetch = %v", err)
			}
		})
	}
}

// F79: an interrupted run, and the next one.
func TestFetchNextRun(t *testing.T) {
	data := content(2 << 20)
	half := len(data) / 2
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, o *Options)
		ranged string // of the first request of the second run
	}{
		{"goes on", func(*testing.T, *Options) {}, fmt.Sprintf("bytes=%d-", half)},
		{"another digest is wanted", func(_ *testing.T, o *Options) { o.Source.SHA512 = sum(content(5)) }, ""},
		{"note lost", func(t *testing.T, o *Options) { must(t, os.Remove(filepath.Join(o.Dir, fileName+".partial.json"))) }, ""},
		{"note garbled", func(t *testing.T, o *Options) {
			must(t, os.WriteFile(filepath.Join(o.Dir, fileName+".partial.json"), []byte("{"), 0o600))
		}, ""},
		{"bytes lost", func(t *testing.T, o *Options) { must(t, os.Remove(filepath.Join(o.Dir, fileName+".partial"))) }, ""},
		{"bytes spoiled", func(t *testing.T, o *Options) {
			must(t, os.WriteFile(filepath.Join(o.Dir, fileName+".partial"), make([]byte, half), 0o600))
		}, fmt.Sprintf("bytes=%d-", half)},
		{"more bytes than there are", func(t *testing.T, o *Options) {
			must(t, os.WriteFile(filepath.Join(o.Dir, fileName+".partial"), make([]byte, len(data)+1), 0o600))
		}, fmt.Sprintf("bytes=%d-", len(data)+1)},
		{"a link in the way", func(t *testing.T, o *Options) {
			victim := filepath.Join(o.Dir, "victim")
			must(t, os.WriteFile(victim, []byte("mine"), 0o600))
			must(t, os.Remove(filepath.Join(o.Dir, fileName+".partial")))
			must(t, os.Symlink(victim, filepath.Join(o.Dir, fileName+".partial")))
			t.Cleanup(func() {
				if got, _ := os.ReadFile(victim); string(got) != "mine" {
					t.Error("the file behind the link was changed")
				}
			})
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				s := &server{answers: []answer{whole(data, `"a"`, half), func(*http.Request) (*http.Response, error) {
					cancel()
					return nil, context.Canceled
				}}}
				o := options(dir, s, data)
				if _, err := Fetch(ctx, o); !errors.Is(err, context.Canceled) {
					t.Fatalf("cancelled Fetch = %v", err)
				}
				checkCache(t, dir, data, false)
				tc.change(t, &o)
				s = &server{answers: []answer{whole(data, `"a"`, 0)}}
				o.Transport = s
				_, err := Fetch(t.Context(), o)
				if right := o.Source.SHA512 == sum(data); right != (err == nil) {
					t.Errorf("Fetch = %v", err)
				}
				if got := s.asked[0].Get("Range"); got != tc.ranged {
					t.Errorf("second run asks for %q, want %q", got, tc.ranged)
				}
				checkCache(t, dir, data, err == nil)
			})
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A complete download that was not renamed any more needs no server.
func TestFetchComplete(t *testing.T) {
	data, dir := content(1000), t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, fileName+".partial"), data, 0o600))
	note := fmt.Sprintf(`{"url":%q,"sha512":%q,"validator":"","total":1000}`, host+"/"+fileName, sum(data))
	must(t, os.WriteFile(filepath.Join(dir, fileName+".partial.json"), []byte(note), 0o600))
	s := &server{answers: []answer{status(500)}}
	if _, err := Fetch(t.Context(), options(dir, s, data)); err != nil || len(s.asked) != 0 {
		t.Errorf("Fetch = %v after %d requests", err, len(s.asked))
	}
	checkCache(t, dir, data, true)
}

// F81: the cache is hashed at each use.
func TestFetchVerifiesCache(t *testing.T) {
	data := content(100 << 10)
	dir := t.TempDir()
	s := &server{answers: []answer{whole(data, `"a"`, 0)}}
	o := options(dir, s, data)
	for range 2 {
		_, err := Fetch(t.Context(), o)
		must(t, err)
	}
	if len(s.asked) != 1 {
		t.Errorf("%d requests, want 1: the second use is from the cache", len(s.asked))
	}
	path := filepath.Join(dir, fileName)
	info, err := os.Stat(path)
	must(t, err)
	spoiled := bytes.Clone(data)
	spoiled[5] ^= 4
	must(t, os.WriteFile(path, spoiled, 0o600))
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime())) // same size, same date
	o.Transport = &server{answers: []answer{status(503)}}
	synctest.Test(t, func(t *testing.T) {
		if _, err := Fetch(t.Context(), o); err == nil {
			t.Error("a spoiled archive was used")
		}
	})
	checkCache(t, dir, data, false)
	o.Transport = s
	_, err = Fetch(t.Context(), o)
	must(t, err)
	checkCache(t, dir, data, true)
}

// F83: two creates want it.
func TestFetchTwice(t *testing.T) {
	data, dir := content(1<<20), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		slow := func(req *http.Request) (*http.Response, error) {
			<-time.After(10 * time.Second)
			return whole(data, `"a"`, 0)(req)
		}
		s := &server{answers: []answer{slow}}
		var waited atomic.Int32
		errs := make(chan error)
		for range 2 {
			go func() {
				o := options(dir, s, data)
				o.Waiting = func() { waited.Add(1) }
				_, err := Fetch(t.Context(), o)
				errs <- err
			}()
		}
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if len(s.asked) != 1 || waited.Load() != 1 {
			t.Errorf("%d requests, %d waited; want 1 and 1", len(s.asked), waited.Load())
		}
	})
	checkCache(t, dir, data, true)
}

// blocking is a body, or a request, that says nothing until the context ends.
func blocking(req *http.Request, first []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(first), waitReader{req.Context()})
}

type waitReader struct{ ctx context.Context }

func (w waitReader) Read([]byte) (int, error) { <-w.ctx.Done(); return 0, w.ctx.Err() }

func TestFetchStalls(t *testing.T) {
	data := content(2 << 20)
	stalledBody := func(req *http.Request) (*http.Response, error) {
		return response(req, 200, int64(len(data)), blocking(req, data[:100]), "ETag", `"a"`), nil
	}
	stalledHead := func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	for _, tc := range []struct {
		name    string
		answers []answer
		limit   time.Duration // beyond it, something waits without a bound
		ok      bool
	}{
		{"body, then fine", []answer{stalledBody, whole(data, `"a"`, 0)}, 32 * time.Second, true},
		{"head, then fine", []answer{stalledHead, whole(data, `"a"`, 0)}, 32 * time.Second, true},
		{"body for ever", []answer{stalledBody}, 3 * time.Minute, false},
		{"head for ever", []answer{stalledHead}, 3 * time.Minute, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				_, err := Fetch(t.Context(), options(dir, &server{answers: tc.answers}, data))
				if took := time.Since(begin); took > tc.limit {
					t.Errorf("took %v, at most %v wanted", took, tc.limit)
				}
				if tc.ok != (err == nil) || !tc.ok && !errors.Is(err, ErrStalled) {
					t.Errorf("Fetch = %v", err)
				}
			})
			checkCache(t, dir, data, tc.ok)
		})
	}
	t.Run("slow is not silent", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			s := &server{answers: []answer{raw(int64(len(data)), func() io.Reader { return &slowReader{data} })}}
			if _, err := Fetch(t.Context(), options(dir, s, data)); err != nil || len(s.asked) != 1 {
				t.Errorf("Fetch = %v after %d requests", err, len(s.asked))
			}
		})
	})
	t.Run("cancelled while silent", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begin := time.Now()
			_, err := Fetch(ctx, options(dir, &server{answers: []answer{stalledBody}}, data))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
				t.Errorf("Fetch = %v after %v", err, time.Since(begin))
			}
		})
	})
}

type slowReader struct{ rest []byte }

func (s *slowReader) Read(b []byte) (int, error) {
	<-time.After(stallLimit - time.Second)
	n := copy(b[:min(len(b), 100<<10)], s.rest)
	s.rest = s.rest[n:]
	if len(s.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// FuzzFetch: whatever the server does, and whatever lies in the cache, under
// the final name is the right file or none.
func FuzzFetch(f *testing.F) {
	f.Add([]byte{0}, []byte(nil), false)
	f.Add([]byte{1, 50, 0}, []byte("{"), true)
	f.Add([]byte{2, 10, 3, 20, 4, 5, 6, 7, 8, 9, 0}, []byte(nil), true)
	data := content(200)
	bad := bytes.Clone(data)
	bad[150] ^= 0x80
	f.Fuzz(func(t *testing.T, script, partial []byte, noted bool) {
		dir := t.TempDir()
		if noted {
			must(t, os.WriteFile(filepath.Join(dir, fileName+".partial"), partial, 0o600))
			note := fmt.Sprintf(`{"url":%q,"sha512":%q,"validator":"\"a\"","total":200}`, host+"/"+fileName, sum(data))
			must(t, os.WriteFile(filepath.Join(dir, fileName+".partial.json"), []byte(note), 0o600))
		} else if len(partial) > 0 {
			must(t, os.WriteFile(filepath.Join(dir, fileName), partial, 0o600))
		}
		next := func() int {
			if len(script) == 0 {
				return 4
			}
			b := script[0]
			script = script[1:]
			return int(b)
		}
		play := func(req *http.Request) (*http.Response, error) {
			switch next() % 12 {
			case 0:
				return whole(data, `"a"`, 0)(req)
			case 1:
				return whole(data, `"a"`, next())(req)
			case 2:
				return whole(bad, `"a"`, next())(req)
			case 3:
				return whole(data, `"b"`, next())(req)
			case 4:
				return status(404)(req)
			case 5:
				return status(416)(req)
			case 6:
				return status(503)(req)
			case 7:
				n := min(next(), len(data))
				return raw(-1, func() io.Reader { return bytes.NewReader(data[:n]) }, "ETag", `"a"`)(req)
			case 8:
				n := min(next(), len(data))
				return response(req, 206, int64(len(data)-n), bytes.NewReader(data[n:]), "Content-Range", fmt.Sprintf("bytes %d-199/%d", n, next())), nil
			case 9:
				return nil, io.ErrUnexpectedEOF
			case 10:
				return response(req, 200, 200, blocking(req, data[:min(next(), 200)]), "ETag", `"a"`), nil
			default:
				return status(302, "Location", host+"/"+fileName)(req)
			}
		}
		synctest.Test(t, func(t *testing.T) {
			path, err := Fetch(t.Context(), options(dir, &server{answers: []answer{play}}, data))
			if (err == nil) != (path != "") {
				t.Errorf("Fetch = %q, %v", path, err)
			}
			checkCache(t, dir, data, err == nil)
		})
	})
}
