package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noon is the time at which the tests happen, unless they say otherwise. It is
// today's date for openssl, which takes no other clock in all its versions.
var noon = time.Now().UTC().Truncate(time.Second)

func testCA(t testing.TB) authority {
	t.Helper()
	key, keyPEM, err := newCAKey()
	if err != nil {
		t.Fatal(err)
	}
	cert, certPEM, err := newCACert(key, noon)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key, cert, keyPEM, certPEM}
}

// leaf is a certificate for a server, signed by ca, after change.
func leaf(t testing.TB, ca authority, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7),
		Subject:      pkix.Name{Organization: []string{"test"}},
		NotBefore:    noon.Add(-time.Minute),
		NotAfter:     noon.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(tmpl)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// leaves are what a stolen CA key could be used to sign.
var leaves = []struct {
	name    string
	ok      bool // the world shall believe it
	goOnly  bool // openssl's -purpose sslserver has no word for it
	purpose x509.ExtKeyUsage
	change  func(t testing.TB, c *x509.Certificate)
}{
	{name: "portal", ok: true, change: dnsNames("mpd.test")},
	{name: "service", ok: true, change: dnsNames("portal.service.mpd.test")},
	{name: "wildcard", ok: true, change: dnsNames("*.mpd.test")},
	{name: "foreign DNS", change: dnsNames("www.example.com")},
	{name: "foreign beside our own", change: dnsNames("a.mpd.test", "www.example.com")},
	{name: "same ending", change: dnsNames("evilmpd.test")},
	{name: "parent domain", change: dnsNames("test")},
	{name: "our name as prefix", change: dnsNames("mpd.test.example.com")},
	{name: "IPv4", change: ips("1.1.1.1")},
	{name: "IPv4 of a VM", change: ips("10.211.55.150")},
	{name: "IPv4 of the portal", change: ips("10.163.0.4")},
	{name: "IPv6", change: ips("2001:db8::1")},
	{name: "e-mail", change: func(_ testing.TB, c *x509.Certificate) { c.EmailAddresses = []string{"ceo@example.com"} }},
	{name: "e-mail of a part of the domain", change: func(_ testing.TB, c *x509.Certificate) {
		c.EmailAddresses = []string{"root@evilmpd.test"}
	}},
	{name: "URI", change: func(t testing.TB, c *x509.Certificate) {
		c.URIs = []*url.URL{mustURL(t, "https://www.example.com/")}
	}},
	{name: "code signing", goOnly: true, purpose: x509.ExtKeyUsageCodeSigning, change: func(_ testing.TB, c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}},
	{name: "client authentication", goOnly: true, purpose: x509.ExtKeyUsageClientAuth, change: func(_ testing.TB, c *x509.Certificate) {
		c.DNSNames = []string{"a.mpd.test"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}},
	{name: "any usage as code signing", goOnly: true, purpose: x509.ExtKeyUsageCodeSigning, change: func(_ testing.TB, c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	}},
}

func dnsNames(names ...string) func(testing.TB, *x509.Certificate) {
	return func(_ testing.TB, c *x509.Certificate) { c.DNSNames = names }
}

func ips(addr string) func(testing.TB, *x509.Certificate) {
	return func(_ testing.TB, c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(addr)} }
}

func TestCAVouchesForNothingElse(t *testing.T) {
	ca := testCA(t)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for _, tt := range leaves {
		t.Run(tt.name, func(t *testing.T) {
			c := leaf(t, ca, func(c *x509.Certificate) { tt.change(t, c) })
			usage := tt.purpose
			if usage == 0 {
				usage = x509.ExtKeyUsageServerAuth
			}
			_, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: noon, KeyUsages: []x509.ExtKeyUsage{usage}})
			if (err == nil) != tt.ok {
				t.Errorf("Verify: %v, want accepted = %v", err, tt.ok)
			}
		})
	}
}

// TestCAHasNoSubordinate: with path length 0, a CA below ours is worth nothing,
// even if it keeps to the domain.
func TestCAHasNoSubordinate(t *testing.T) {
	ca := testCA(t)
	key, _, err := newCAKey()
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := caTemplate(noon)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.Subject.CommonName = "below"
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := leaf(t, authority{key: key, cert: sub}, func(c *x509.Certificate) { c.DNSNames = []string{"a.mpd.test"} })
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(ca.cert)
	between.AddCert(sub)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: noon}); err == nil {
		t.Error("a leaf of a subordinate CA was accepted")
	}
}

// TestCAInOpenSSL asks a second implementation.
func TestCAInOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl on PATH")
	}
	ca, dir := testCA(t), t.TempDir()
	root := filepath.Join(dir, "root.pem")
	writeFile(t, root, ca.certPEM)
	for _, tt := range leaves {
		if tt.goOnly {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			c := leaf(t, ca, func(c *x509.Certificate) { tt.change(t, c) })
			out, err := opensslVerify(t, openssl, "sslserver", root, c)
			if (err == nil) != tt.ok {
				t.Errorf("openssl verify: %v, want accepted = %v\n%s", err, tt.ok, out)
			}
			if !tt.ok && !strings.Contains(string(out), "subtree violation") {
				t.Errorf("refused for another reason than the name:\n%s", out)
			}
		})
	}
}

// TestPurposeInOpenSSL: a certificate for another purpose than a server's is
// worth nothing, neither as a server's nor for mail, be the name ours. (OpenSSL
// from 3.2 on can also be asked for the purpose codesign, and looks only at the
// leaf then, not at what the CA is for: no CA can forbid that.)
func TestPurposeInOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl on PATH")
	}
	ca := testCA(t)
	root := filepath.Join(t.TempDir(), "root.pem")
	writeFile(t, root, ca.certPEM)
	for _, tt := range []struct {
		name, purpose string
		usage         x509.ExtKeyUsage
		ok            bool
	}{
		{"server as server", "sslserver", x509.ExtKeyUsageServerAuth, true},
		{"code signing as server", "sslserver", x509.ExtKeyUsageCodeSigning, false},
		{"client as client", "sslclient", x509.ExtKeyUsageClientAuth, false},
		{"mail as mail", "smimesign", x509.ExtKeyUsageEmailProtection, false},
		{"code signing as mail", "smimesign", x509.ExtKeyUsageCodeSigning, false},
		{"anything as mail", "smimesign", x509.ExtKeyUsageAny, false},
		{"time stamping", "timestampsign", x509.ExtKeyUsageTimeStamping, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := leaf(t, ca, func(c *x509.Certificate) {
				c.DNSNames, c.EmailAddresses = []string{"a.mpd.test"}, []string{"root@mpd.test"}
				c.ExtKeyUsage = []x509.ExtKeyUsage{tt.usage}
			})
			out, err := opensslVerify(t, openssl, tt.purpose, root, c)
			if (err == nil) != tt.ok {
				t.Errorf("openssl verify: %v, want accepted = %v\n%s", err, tt.ok, out)
			}
			if !tt.ok && !strings.Contains(string(out), "purpose") {
				t.Errorf("refused for another reason than the purpose:\n%s", out)
			}
		})
	}
}

func opensslVerify(t testing.TB, openssl, purpose, root string, c *x509.Certificate) ([]byte, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "leaf.pem")
	writeFile(t, file, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: c.Raw}))
	return exec.Command(openssl, "verify", "-purpose", purpose, "-x509_strict", "-CAfile", root, file).CombinedOutput()
}

func TestCACertificate(t *testing.T) {
	ca := testCA(t)
	if got, want := ca.cert.NotBefore, noon.Add(-time.Hour); !got.Equal(want) {
		t.Errorf("NotBefore = %v, want %v", got, want)
	}
	if got, want := ca.cert.NotAfter, noon.AddDate(10, 0, 0); !got.Equal(want) {
		t.Errorf("NotAfter = %v, want %v", got, want)
	}
	if n := ca.cert.SerialNumber.BitLen(); n != 127 {
		t.Errorf("serial number has %d bits, want 127", n)
	}
	if other := testCA(t); other.cert.SerialNumber.Cmp(ca.cert.SerialNumber) == 0 {
		t.Error("two CAs have one serial number")
	}
	if err := checkCACert(ca.cert); err != nil {
		t.Errorf("our own CA %v", err)
	}
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
