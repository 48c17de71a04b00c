//go:build e2e && linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net/http"
	"net/http/cgi"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// labCA is the authority that the guests trust for the laboratory's web
// server. Its key never leaves this process.
type labCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newLabCA(t testing.TB) *labCA {
	t.Helper()
	ca := &labCA{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "e2e laboratory"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, key := newCertificate(t, template, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca.cert, ca.key = cert, key
	ca.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return ca
}

// server is a certificate for the host.
func (ca *labCA) server(t testing.TB, host string) tls.Certificate {
	t.Helper()
	der, key := newCertificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// newCertificate makes a key and a certificate for it, signed by ca, or by
// itself if ca is nil.
func newCertificate(t testing.TB, template *x509.Certificate, ca *labCA) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// webServer serves the bootstrap scripts and, through git's own server
// program, the repository, over https inside the laboratory.
type webServer struct {
	server *http.Server
	mu     sync.Mutex
	faults map[string]string // step's file name: how its download fails
	asked  []string          // paths of the scripts that were asked for
}

// Faults that webServer.fail knows.
const (
	webMissing = "missing" // 404
	webEmpty   = "empty"   // 200 without a body
	webCut     = "cut"     // half of the announced body, then the connection ends
	webHTML    = "html"    // 200 with a page for people
)

func (l *Lab) startWeb() {
	l.t.Helper()
	l.makeRepository()
	gitPath := strings.TrimSpace(l.run("git", "--exec-path"))
	w := &webServer{faults: map[string]string{}}
	mux := http.NewServeMux()
	mux.Handle("/mpd.git/", &cgi.Handler{
		Path: filepath.Join(gitPath, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + l.dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + l.dir},
	})
	mux.HandleFunc("/", w.script)
	ln, err := listen(l.net, netip.MustParseAddrPort(gatewayIP+":443"))
	l.must(err)
	errLog, err := os.Create(filepath.Join(l.dir, "web.log"))
	l.must(err)
	w.server = &http.Server{
		Handler: mux, ErrorLog: log.New(errLog, "", log.LstdFlags),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{l.ca.server(l.t, bootstrapHost)}},
	}
	l.web = w
	go w.server.ServeTLS(ln, "", "")
}

func (w *webServer) close() { w.server.Close() }

// fail lets the downloads of the step's script, given without ".sh", fail in
// one of the ways above; "" repairs it.
func (w *webServer) fail(step, how string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[step+".sh"] = how
}

func (w *webServer) script(rw http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	w.mu.Lock()
	w.asked = append(w.asked, r.URL.Path)
	fault := w.faults[name]
	w.mu.Unlock()
	text, err := os.ReadFile(filepath.Join("guest/bootstrap", name))
	if err != nil || fault == webMissing || !strings.HasSuffix(name, ".sh") {
		http.NotFound(rw, r)
		return
	}
	switch fault {
	case webEmpty:
	case webHTML:
		rw.Header().Set("Content-Type", "text/html")
		rw.Write([]byte("<!DOCTYPE html>\n<html><body>Log in to this network</body></html>\n"))
	case webCut:
		rw.Header().Set("Content-Length", strconv.Itoa(len(text)))
		rw.Write(text[:len(text)/2])
		panic(http.ErrAbortHandler)
	default:
		rw.Write(text)
	}
}

// makeRepository makes what step 20 clones: branch main of the stand-ins, and
// branch next, where mpd's option has its later name.
func (l *Lab) makeRepository() {
	l.t.Helper()
	work := filepath.Join(l.dir, "repository")
	l.must(os.Mkdir(work, 0o700))
	for _, name := range []string{"Makefile", "src", "bootstrap"} {
		l.run("cp", "-a", "guest/"+name, work)
	}
	git := func(args ...string) {
		l.t.Helper()
		cmd := exec.Command("git", append([]string{"-C", work}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+l.dir, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=lab", "GIT_AUTHOR_EMAIL=lab@invalid", "GIT_COMMITTER_NAME=lab", "GIT_COMMITTER_EMAIL=lab@invalid")
		if out, err := cmd.CombinedOutput(); err != nil {
			l.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "--quiet", "--initial-branch=main")
	git("add", ".")
	git("commit", "--quiet", "--message=stand-ins")
	git("checkout", "--quiet", "-b", "next")
	mpd := filepath.Join(work, "src/mpd")
	text, err := os.ReadFile(mpd)
	l.must(err)
	l.must(os.WriteFile(mpd, []byte(strings.ReplaceAll(string(text), "--setup", "--vm-setup")), 0o755))
	git("commit", "--quiet", "--all", "--message=the option's later name")
	git("checkout", "--quiet", "main")
	git("clone", "--quiet", "--bare", work, filepath.Join(l.dir, "mpd.git"))
}
