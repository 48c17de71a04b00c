//go:build e2e && linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/identity"
)

// NSS is what Firefox and, on Linux, Chrome keep their trust in: a third
// verifier beside Go's and OpenSSL's, which package identity asks itself.

// nssTools are the programs of libnss3-tools that ask NSS.
var nssTools = []string{"certutil", "vfychain"}

// Trust that certutil -t gives a root: for websites, as a browser asks it of a
// person, or for websites, mail and code.
const (
	forWebsites   = "C,,"
	forEverything = "CT,C,C"
)

// nssUse is one use of a certificate, as the two programs name it.
type nssUse struct{ certutil, vfychain string }

var (
	asServer = nssUse{"V", "1"}
	asMail   = nssUse{"S", "4"}
	asCode   = nssUse{"J", "6"}
)

// nssLeaves are what a stolen CA key could be used to sign.
var nssLeaves = []struct {
	name string
	ok   bool // the world shall believe it
	use  nssUse
	// pkixOnly: where a person trusts the root for everything, only NSS's newer
	// verifier, vfychain -pp, still looks at what the root itself is for.
	pkixOnly bool
	change   func(*x509.Certificate)
}{
	{name: "portal", ok: true, use: asServer, change: named("mpd.test")},
	{name: "service", ok: true, use: asServer, change: named("portal.service.mpd.test")},
	{name: "wildcard", ok: true, use: asServer, change: named("*.mpd.test")},
	{name: "foreign name", use: asServer, change: named("www.example.com")},
	{name: "foreign beside our own", use: asServer, change: named("a.mpd.test", "www.example.com")},
	{name: "same ending", use: asServer, change: named("evilmpd.test")},
	{name: "foreign common name", use: asServer, change: func(c *x509.Certificate) { c.Subject.CommonName = "www.example.com" }},
	{name: "IPv4", use: asServer, change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(1, 1, 1, 1)} }},
	{name: "IPv4 of the portal", use: asServer, change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 163, 0, 4)} }},
	{name: "IPv6", use: asServer, change: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")} }},
	{name: "URI", use: asServer, change: func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "https", Host: "www.example.com", Path: "/"}}
	}},
	{name: "mail", use: asMail, change: mailbox("ceo@example.com")},
	{name: "mail of our own", use: asMail, pkixOnly: true, change: mailbox("root@mpd.test")},
	{name: "mail as server", use: asServer, change: mailbox("root@mpd.test")},
	{name: "code signing", use: asCode, pkixOnly: true, change: func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}},
	{name: "code signing as server", use: asServer, change: func(c *x509.Certificate) {
		named("a.mpd.test")(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}},
	{name: "server as code signing", use: asCode, change: named("a.mpd.test")},
}

func named(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func mailbox(addr string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.EmailAddresses = []string{addr}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	}
}

// TestNSSBelievesNothingElse: NSS believes the CA of a real store for servers
// of mpd.test, and for nothing else.
func TestNSSBelievesNothingElse(t *testing.T) {
	requireNSS(t)
	t.Parallel()
	store := identity.Open(filepath.Join(t.TempDir(), "conf"), nil)
	signer := newSigner(t, store)
	for _, trust := range []string{forWebsites, forEverything} {
		db := newNSS(t)
		db.trust(t, "root", signer.file, trust)
		for _, tt := range nssLeaves {
			t.Run(tt.name+" with trust "+trust, func(t *testing.T) {
				file := signer.leaf(t, tt.change)
				if !tt.pkixOnly || trust == forWebsites {
					db.want(t, tt.ok, db.certutil(t, tt.use, file))
				}
				db.want(t, tt.ok, db.vfychain(t, tt.use, file))
			})
		}
	}
}

// TestNSSInARotation: with both CAs trusted, NSS believes what either signed,
// although they have one name; with one, only what that one signed.
func TestNSSInARotation(t *testing.T) {
	requireNSS(t)
	t.Parallel()
	store := identity.Open(filepath.Join(t.TempDir(), "conf"), nil)
	before := newSigner(t, store)
	rotation, err := store.Rotate()
	if err != nil || len(rotation.Previous) != 1 {
		t.Fatalf("Rotate: %+v, %v", rotation, err)
	}
	after := newSigner(t, store)
	oldLeaf, newLeaf := before.leaf(t, named("mpd.test")), after.leaf(t, named("mpd.test"))
	oldRoot, newRoot := rotation.Previous[0].File, rotation.CA.File
	for _, tt := range []struct {
		name         string
		roots        []string
		oldOK, newOK bool
	}{
		{"both trusted", []string{oldRoot, newRoot}, true, true},
		{"the old one trusted", []string{oldRoot}, true, false},
		{"the new one trusted", []string{newRoot}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := newNSS(t)
			for i, root := range tt.roots {
				db.trust(t, fmt.Sprint("root ", i), root, forWebsites)
			}
			for file, ok := range map[string]bool{oldLeaf: tt.oldOK, newLeaf: tt.newOK} {
				db.want(t, ok, db.certutil(t, asServer, file))
				db.want(t, ok, db.vfychain(t, asServer, file))
			}
		})
	}
}

// requireNSS skips the test where NSS's tools are missing, or fails it where
// CI=true.
func requireNSS(t *testing.T) {
	t.Helper()
	for _, name := range nssTools {
		if _, err := exec.LookPath(name); err != nil {
			reason := "no program " + name + ": install libnss3-tools"
			if os.Getenv("CI") == "true" {
				t.Fatal(reason)
			}
			t.Skip(reason)
		}
	}
}

// nss is a database of NSS in a folder of its own.
type nss struct{ dir string }

func newNSS(t *testing.T) nss {
	t.Helper()
	db := nss{t.TempDir()}
	db.must(t, "certutil", "-N", "-d", db.arg(), "--empty-password")
	return db
}

func (db nss) arg() string { return "sql:" + db.dir }

func (db nss) must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// trust adds a root.
func (db nss) trust(t *testing.T, name, file, flags string) {
	t.Helper()
	db.must(t, "certutil", "-A", "-d", db.arg(), "-n", name, "-t", flags, "-a", "-i", file)
}

// verdict is what one of the programs says of a certificate.
type verdict struct {
	argv []string
	out  string
	err  error
}

// certutil asks NSS's first verifier about a certificate, which it takes from
// the database only.
func (db nss) certutil(t *testing.T, use nssUse, file string) verdict {
	t.Helper()
	name := filepath.Base(filepath.Dir(file))
	db.trust(t, name, file, ",,")
	defer db.must(t, "certutil", "-D", "-d", db.arg(), "-n", name)
	return ask("certutil", "-V", "-d", db.arg(), "-n", name, "-u", use.certutil, "-e")
}

// vfychain asks the newer one.
func (db nss) vfychain(t *testing.T, use nssUse, file string) verdict {
	return ask("vfychain", "-d", db.arg(), "-pp", "-u", use.vfychain, "-a", file)
}

func ask(argv ...string) verdict {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	return verdict{argv, string(out), err}
}

// want compares the exit code, and the words beside it, so that a program that
// could not do its work is not taken for a refusal.
func (db nss) want(t *testing.T, ok bool, v verdict) {
	t.Helper()
	words := "is invalid"
	if v.argv[0] == "vfychain" {
		words = "Chain is bad!"
	}
	if (v.err == nil) != ok || strings.Contains(v.out, words) == ok {
		t.Errorf("%v: %v, want accepted = %v\n%s", v.argv, v.err, ok, v.out)
	}
}

// signer is the CA of a store with its key, as a VM has it.
type signer struct {
	file string // its certificate
	cert *x509.Certificate
	key  any
}

func newSigner(t *testing.T, store *identity.Store) signer {
	t.Helper()
	id, err := store.Ensure(150, netip.MustParseAddr("10.211.55.150"))
	if err != nil {
		t.Fatal(err)
	}
	certBlock, _ := pem.Decode(id.CACert)
	keyBlock, _ := pem.Decode(id.CAKey)
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return signer{store.CACertFile(), cert, key}
}

// leaf is the file of a server's certificate after change, in a folder of its
// own.
func (s signer) leaf(t *testing.T, change func(*x509.Certificate)) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"test"}},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, s.cert, key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "leaf.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
