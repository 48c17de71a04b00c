package mpdvirttest_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/image"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// ask does one request; headers are name, value, name, value.
func ask(t *testing.T, ctx context.Context, rt http.RoundTripper, method, url string, headers ...string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return rt.RoundTrip(req)
}

func TestImage(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	url, want := w.Image()
	archive := w.Archive()
	if sum := sha512.Sum512(archive); hex.EncodeToString(sum[:]) != want {
		t.Fatalf("SHA-512 %x", sum)
	}
	cfg := w.Config()
	if cfg.Image != (mpdvirt.ImageSource{URL: url, SHA512: want}) || cfg.Host != (mpdvirt.Host{Arch: "arm64", Memory: 16 * hypervisor.GiB, Cores: 8}) {
		t.Errorf("%+v, %+v", cfg.Image, cfg.Host)
	}
	remote, err := mpdvirttest.Remote(serve(t, w))
	if err != nil {
		t.Fatal(err)
	}
	if remote.Image != cfg.Image || remote.Host != cfg.Host {
		t.Errorf("remote: %+v, %+v", remote.Image, remote.Host)
	}
	const tag = `"20260914-2601"`
	n := int64(len(archive))
	tests := []struct {
		name    string
		fault   mpdvirttest.ImageFault
		method  string // "": GET
		url     string // "": the image's
		headers []string
		status  int
		length  int64
		body    []byte // nil: nobody looks
		fails   error
	}{
		{name: "all of it", status: 200, length: n, body: archive},
		{name: "only the head", method: "HEAD", status: 200, length: n, body: []byte{}},
		{name: "a range", headers: []string{"Range", "bytes=1000-", "If-Range", tag}, status: 206, length: n - 1000, body: archive[1000:]},
		{name: "a range of another file", headers: []string{"Range", "bytes=1000-", "If-Range", `"x"`}, status: 200, length: n, body: archive},
		{name: "a range behind the end", headers: []string{"Range", "bytes=9999999-"}, status: 416, length: -1},
		{name: "another address", url: "https://images.example/trixie/SHA512SUMS", status: 404, length: -1},
		{name: "another host", url: strings.Replace(url, "images", "mirror", 1), status: 404, length: -1},
		{name: "without encryption", url: strings.Replace(url, "https", "http", 1), status: 404, length: -1},
		{name: "a change", method: "PUT", status: 405, length: -1},
		{name: "404", fault: mpdvirttest.ImageFault{Kind: mpdvirttest.ImageMissing}, status: 404, length: -1},
		{name: "503", fault: mpdvirttest.ImageFault{Kind: mpdvirttest.ImageBroken}, status: 503, length: -1},
		{name: "cut", fault: mpdvirttest.ImageFault{Kind: mpdvirttest.ImageCut, N: 1 << 20}, status: 200, length: n, body: archive[:1<<20], fails: io.ErrUnexpectedEOF},
		{name: "wrong", fault: mpdvirttest.ImageFault{Kind: mpdvirttest.ImageWrong, N: 7}, status: 200, length: n,
			body: append(append(bytes.Clone(archive[:7]), archive[7]^0xff), archive[8:]...)},
		{name: "ignores the range", fault: mpdvirttest.ImageFault{Kind: mpdvirttest.ImageIgnoresRange}, headers: []string{"Range", "bytes=1000-"}, status: 200, length: n, body: archive},
		{name: "changed", fault: mpdvirttest.ImageFault{Kind: mpdvirttest.ImageChanged}, headers: []string{"Range", "bytes=1000-", "If-Range", tag}, status: 200, length: n, body: archive},
		{name: "good again", headers: []string{"Range", "bytes=-10"}, status: 206, length: 10, body: archive[n-10:]},
	}
	for way, rt := range map[string]http.RoundTripper{"here": w.Transport(), "from another process": remote.Transport} {
		for _, tt := range tests {
			t.Run(way+"/"+tt.name, func(t *testing.T) {
				if tt.fault.Kind != "" {
					w.FailImage(tt.fault)
				}
				before := len(w.ImageRequests())
				target := url
				if tt.url != "" {
					target = tt.url
				}
				resp, err := ask(t, t.Context(), rt, tt.method, target, tt.headers...)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if !errors.Is(err, tt.fails) || resp.StatusCode != tt.status || tt.length >= 0 && resp.ContentLength != tt.length || tt.body != nil && !bytes.Equal(body, tt.body) {
					t.Errorf("%s, length %d, %d bytes, error %v", resp.Status, resp.ContentLength, len(body), err)
				}
				asked := w.ImageRequests()
				if len(asked) != before+1 || asked[before].Status != tt.status || asked[before].Range != resp.Request.Header.Get("Range") {
					t.Errorf("asked: %+v", asked[before:])
				}
			})
		}
	}
}

// What takes time ends with its context, and with the world.
func TestImageTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		url, _ := w.Image()
		get := func(limit time.Duration) (n int, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			resp, err := ask(t, ctx, w.Transport(), "GET", url)
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return len(body), err
		}
		begun := time.Now()
		w.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageSlow, N: 1 << 19, After: time.Minute})
		if n, err := get(time.Hour); err != nil || n != len(w.Archive()) || time.Since(begun) != 5*time.Minute {
			t.Errorf("slow: %d bytes in %v, %v", n, time.Since(begun), err)
		}
		w.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageSilent}, mpdvirttest.ImageFault{Kind: mpdvirttest.ImageSilent, N: 10})
		for _, want := range []int{0, 10} {
			if n, err := get(time.Hour); n != want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("silent: %d bytes, %v", n, err)
			}
		}
		w.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageMissing, Times: -1})
		w.ClearImage()
		if _, err := get(time.Second); err != nil {
			t.Error(err)
		}
		w.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageSilent, N: 10})
		resp, err := ask(t, t.Context(), w.Transport(), "GET", url)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { resp.Body.Close() })
		if body, err := io.ReadAll(resp.Body); len(body) != 10 || err == nil {
			t.Errorf("closed: %d bytes, %v", len(body), err)
		}
	})
}

// The program's own download, unpacking and reading of a file work here, also
// where the connection breaks.
func TestImageWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		cfg := w.Config()
		dir := filepath.Join(w.Home(), "cache")
		w.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageCut, N: 3 << 19}, mpdvirttest.ImageFault{Kind: mpdvirttest.ImageCut, N: 1 << 10})
		path, err := image.Fetch(t.Context(), image.Options{Dir: dir, Source: image.Source(cfg.Image), Transport: cfg.Transport})
		if err != nil {
			t.Fatal(err)
		}
		asked := w.ImageRequests()
		if len(asked) != 3 || asked[1].Range != "bytes=1572864-" || asked[2].Range != "bytes=1573888-" || asked[2].Status != 206 {
			t.Errorf("asked %+v", asked)
		}
		raw, err := image.Raw(t.Context(), image.RawOptions{Dir: dir, Archive: path, Run: w.Run})
		if err != nil {
			t.Fatal(err)
		}
		for file, packed := range map[string]bool{path: true, raw: false} {
			if got, err := image.Local(file); err != nil || got.Packed != packed {
				t.Errorf("%s: %+v, %v", file, got, err)
			}
		}
	})
}

func TestTar(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	dir := t.TempDir()
	archive := w.Archive()
	for name, data := range map[string][]byte{
		"good": archive, "short": archive[:1<<20], "flipped": append(bytes.Clone(archive[:len(archive)-1]), 'x'), "other": []byte("PK\x03\x04 and more"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args   string // DIR stands for the folder
		status int
		text   string
	}{
		{"-tJf DIR/good", 0, "disk.raw\n"},
		{"-xJSf DIR/good -C DIR disk.raw", 0, ""},
		{"-xJSf DIR/good -C DIR/none disk.raw", 2, "No such file or directory"},
		{"-xJSf DIR/good -C DIR other", 2, "tar: other: Not found in archive"},
		{"-tJf DIR/none", 2, "Cannot open: no such file or directory"},
		{"-tJf DIR/short", 2, "xz: (stdin): Unexpected end of input"},
		{"-tJf DIR/flipped", 2, "xz: (stdin): Compressed data is corrupt"},
		{"-tJf DIR/other", 2, "xz: (stdin): File format not recognized"},
		{"-czf DIR/x .", 2, "not played"},
	} {
		r, err := w.Run(t.Context(), hypervisor.Command{Argv: append([]string{"tar"}, strings.Fields(strings.ReplaceAll(tt.args, "DIR", dir))...)})
		if out := string(r.Stdout) + string(r.Stderr); err != nil || r.Status != tt.status || !strings.Contains(strings.ToLower(out), strings.ToLower(tt.text)) {
			t.Errorf("tar %s: %v, status %d, %q", tt.args, err, r.Status, out)
		}
	}
}

// tar runs where the world is, and a request ends with its context.
func TestRemoteImage(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	cfg, err := mpdvirttest.Remote(serve(t, w))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "a.tar.xz")
	if err := os.WriteFile(archive, w.Archive(), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := cfg.Runner(t.Context(), hypervisor.Command{Argv: []string{"tar", "-tJf", archive}})
	if err != nil || string(r.Stdout) != "disk.raw\n" {
		t.Errorf("%v %q", err, r.Stdout)
	}
	w.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageSilent, N: 10}, mpdvirttest.ImageFault{Kind: mpdvirttest.ImageSilent})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := ask(t, ctx, cfg.Transport, "GET", cfg.Image.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(n, err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := ask(t, short, cfg.Transport, "GET", cfg.Image.URL); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
}

// A VM can be added without power.
func TestOff(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	v := addVM(t, w, mpdvirttest.VMOptions{Off: true})
	if w.Reachable(v.Addr()) {
		t.Error("it is on")
	}
	if err := v.PowerOn(); err != nil || !w.Reachable(v.Addr()) {
		t.Errorf("turned on: %v", err)
	}
	p, err := w.AddParallels(mpdvirttest.ParallelsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AddVM("handmade", mpdvirttest.VMOptions{Off: true}); err != nil {
		t.Fatal(err)
	}
	if m, err := p.Machines(); err != nil || len(m) != 1 || m[0].State != hypervisor.Stopped || m[0].Addr.IsValid() {
		t.Errorf("%v %+v", err, m)
	}
}
