package image

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// F79, F80 against Go's own server, over TLS on loopback: what the played
// answers leave out.
func TestFetchOverTLS(t *testing.T) {
	data := content(2 << 20)
	var requests atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/images/", func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "/mirror/"+fileName, http.StatusFound)
	})
	mux.HandleFunc("/mirror/", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("ETag", `"a"`)
		if requests.Add(1) == 1 {
			w.Header().Set("Content-Length", "2097152")
			_, _ = w.Write(data[:len(data)/2])
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(data))
		if got := req.Header.Get("Range"); got == "" || got == "bytes=0-" {
			t.Errorf("second request asks for %q, want the rest", got)
		}
	})
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of each line that drops
	srv.StartTLS()
	defer srv.Close()
	plain := httptest.NewServer(mux)
	defer plain.Close()
	mux.HandleFunc("/down/", func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, plain.URL+"/mirror/"+fileName, http.StatusFound)
	})
	o := Options{Dir: t.TempDir(), Source: Source{URL: srv.URL + "/images/" + fileName, SHA512: sum(data)}, Transport: srv.Client().Transport}
	if _, err := Fetch(t.Context(), o); err != nil || requests.Load() != 2 {
		t.Errorf("Fetch = %v after %d requests", err, requests.Load())
	}
	checkCache(t, o.Dir, data, true)

	o.Dir, o.Source.URL = t.TempDir(), srv.URL+"/down/"+fileName
	if _, err := Fetch(t.Context(), o); !errors.Is(err, ErrRedirect) {
		t.Errorf("redirect to http: Fetch = %v", err)
	}
	o.Transport = nil // the system's roots do not know this server
	o.Source.URL = srv.URL + "/images/" + fileName
	var unknown *tls.CertificateVerificationError
	if _, err := Fetch(t.Context(), o); !errors.As(err, &unknown) {
		t.Errorf("unknown certificate: Fetch = %v", err)
	}
	checkCache(t, o.Dir, data, false)
}

func TestSource(t *testing.T) {
	hex := strings.Repeat("0a", 64)
	for _, tc := range []struct {
		name  string
		build Build
		url   string // "" is an error
		sum   string // beginning
	}{
		{"arm64", Build{Arch: "arm64"}, pages + "20260914-2601/debian-13-generic-arm64-20260914-2601.tar.xz", "7bacdeb825f8"},
		{"amd64", Build{Arch: "amd64", Kind: Generic, Date: PinnedDate}, pages + "20260914-2601/debian-13-generic-amd64-20260914-2601.tar.xz", "40017fab9e1e"},
		{"other date", Build{Arch: "arm64", Date: "20261001-2618", SHA512: hex}, pages + "20261001-2618/debian-13-generic-arm64-20261001-2618.tar.xz", hex},
		{"other kind", Build{Arch: "arm64", Kind: GenericCloud, SHA512: hex}, pages + "20260914-2601/debian-13-genericcloud-arm64-20260914-2601.tar.xz", hex},
		{"other digest", Build{Arch: "arm64", SHA512: hex}, pages + "20260914-2601/debian-13-generic-arm64-20260914-2601.tar.xz", hex},
		{"date without digest", Build{Arch: "arm64", Date: "20261001-2618"}, "", ""},
		{"kind without digest", Build{Arch: "arm64", Kind: GenericCloud}, "", ""},
		{"nocloud", Build{Arch: "arm64", Kind: "nocloud", SHA512: hex}, "", ""},
		{"no architecture", Build{}, "", ""},
		{"architecture", Build{Arch: "riscv64"}, "", ""},
		{"latest", Build{Arch: "arm64", Date: "latest", SHA512: hex}, "", ""},
		{"date with a path", Build{Arch: "arm64", Date: "20260914-2601/../x", SHA512: hex}, "", ""},
		{"digest in capitals", Build{Arch: "arm64", SHA512: strings.ToUpper(hex)}, "", ""},
		{"SHA-256", Build{Arch: "arm64", SHA512: hex[:64]}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.build.Source()
			if (err == nil) != (tc.url != "") || err == nil && (got.URL != tc.url || !strings.HasPrefix(got.SHA512, tc.sum) || len(got.SHA512) != 128) {
				t.Errorf("Source(%+v) = %+v, %v", tc.build, got, err)
			}
		})
	}
	for _, u := range []string{"", "http://x/a.tar.xz", "file:///a.tar.xz", "https://u:p@x/a.tar.xz", "https://x/..", "https://x/a.tar", "https:///a.tar.xz", "https://x/.a.tar.xz", "https://x/a b.tar.xz"} {
		s := &server{answers: []answer{status(404)}}
		if _, err := Fetch(t.Context(), Options{Dir: t.TempDir(), Source: Source{URL: u, SHA512: hex}, Transport: s}); err == nil || len(s.asked) > 0 {
			t.Errorf("Fetch of %q = %v after %d requests", u, err, len(s.asked))
		}
	}
}
