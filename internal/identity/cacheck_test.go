package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// storeAt is a store that is used for its clock and file names only.
func storeAt(now time.Time) *Store { return Open("/conf", func() time.Time { return now }) }

// signed is the certificate of tmpl, signed with key by itself.
func signed(t testing.TB, tmpl *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der})
}

func TestCARuleBroken(t *testing.T) {
	ca := testCA(t)
	_, all, _ := net.ParseCIDR("0.0.0.0/0")
	_, some, _ := net.ParseCIDR("10.163.0.0/24")
	for _, tt := range []struct {
		name, want string
		change     func(*x509.Certificate)
	}{
		{"other name", "certificate of", func(c *x509.Certificate) { c.Subject.CommonName = "Some Root" }},
		{"more names", "certificate of", func(c *x509.Certificate) { c.Subject.Organization = []string{"x"} }},
		{"not a CA", "basic constraints", func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero = false, false }},
		{"no path length", "basic constraints", func(c *x509.Certificate) { c.MaxPathLenZero = false }},
		{"path length 1", "basic constraints", func(c *x509.Certificate) { c.MaxPathLen = 1 }},
		{"more key usage", "key usage", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }},
		{"less key usage", "key usage", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }},
		{"no extended usage", "server authentication", func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		{"any extended usage", "server authentication", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }},
		{"second extended usage", "server authentication", func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageCodeSigning)
		}},
		{"unknown extended usage", "server authentication", func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3, 4}}
		}},
		{"constraints not critical", "not critical", func(c *x509.Certificate) { c.PermittedDNSDomainsCritical = false }},
		{"no DNS constraint", "DNS names", func(c *x509.Certificate) { c.PermittedDNSDomains = nil }},
		{"wider DNS constraint", "DNS names", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"test"} }},
		{"second DNS constraint", "DNS names", func(c *x509.Certificate) {
			c.PermittedDNSDomains = append(c.PermittedDNSDomains, "example.com")
		}},
		{"no e-mail constraint", "e-mail", func(c *x509.Certificate) { c.PermittedEmailAddresses = nil }},
		{"no URI constraint", "URIs", func(c *x509.Certificate) { c.PermittedURIDomains = nil }},
		{"IPs free", "every IP", func(c *x509.Certificate) { c.ExcludedIPRanges = nil }},
		{"IPv6 free", "every IP", func(c *x509.Certificate) { c.ExcludedIPRanges = []*net.IPNet{all} }},
		{"some IPs permitted", "every IP", func(c *x509.Certificate) { c.PermittedIPRanges = []*net.IPNet{some} }},
		{"names of its own", "names of its own", func(c *x509.Certificate) { c.DNSNames = []string{"a.mpd.test"} }},
		{"strange critical extension", "not understood", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}},
		{"expired", "expired", func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Second) }},
		{"in the future", "not valid before", func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Minute) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tmpl, err := caTemplate(noon)
			if err != nil {
				t.Fatal(err)
			}
			tt.change(tmpl)
			_, err = storeAt(noon).parseAuthority(ca.keyPEM, signed(t, tmpl, ca.key))
			wantFileError(t, err, "/conf/caroot/rootCA.pem", tt.want)
		})
	}
}

func TestCAFilesDamaged(t *testing.T) {
	ca, other := testCA(t), testCA(t)
	key, cert := string(ca.keyPEM), string(ca.certPEM)
	const keyFile, certFile = "/conf/caroot/rootCA-key.pem", "/conf/caroot/rootCA.pem"
	for _, tt := range []struct {
		name, key, cert string
		file, want      string
	}{
		{"key empty", "", cert, keyFile, "no complete PEM"},
		{"key cut", key[:len(key)/2], cert, keyFile, "no complete PEM"},
		{"key twice", key + key, cert, keyFile, "besides"},
		{"key and certificate", key + cert, cert, keyFile, "besides"},
		{"key after text", "my key\n" + key, cert, keyFile, "besides"},
		{"key before garbage", key + "x", cert, keyFile, "besides"},
		{"damaged key before a good one", key[:60] + "\n" + key, cert, keyFile, "PEM"},
		{"certificate as key", cert, cert, keyFile, "type PRIVATE KEY"},
		{"SEC 1 key", reblock(key, "EC PRIVATE KEY", nil), cert, keyFile, "type PRIVATE KEY"},
		{"garbage behind the key in DER", reblock(key, keyBlock, []byte{0}), cert, keyFile, "PKCS#8"},
		{"Ed25519 key", pkcs8(t, edKey()), cert, keyFile, "P-256"},
		{"P-384 key", pkcs8(t, p384Key(t)), cert, keyFile, "P-256"},
		{"headers", strings.Replace(key, "\n", "\nA: b\n\n", 1), cert, keyFile, "PEM"},
		{"certificate empty", key, "", certFile, "no complete PEM"},
		{"certificate cut", key, cert[:len(cert)-30], certFile, "no complete PEM"},
		{"certificate twice", key, cert + cert, certFile, "besides"},
		{"key as certificate", key, key, certFile, "type CERTIFICATE"},
		{"garbage behind the certificate in DER", key, reblock(cert, certBlock, []byte{0}), certFile, "X.509"},
		{"another CA's certificate", key, string(other.certPEM), certFile, "not the certificate of the key in " + keyFile},
		{"signature broken", key, flip(cert), certFile, "signed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := storeAt(noon).parseAuthority([]byte(tt.key), []byte(tt.cert))
			wantFileError(t, err, tt.file, tt.want)
			if !empty(a) {
				t.Error("a result beside an error")
			}
		})
	}
	t.Run("key missing", func(t *testing.T) {
		_, err := storeAt(noon).parseAuthority(nil, ca.certPEM)
		wantFileError(t, err, keyFile, "is missing")
	})
	for _, form := range []struct{ name, nl string }{{"CRLF", "\r\n"}, {"blank lines at the end", "\n"}} {
		t.Run("accepted: "+form.name, func(t *testing.T) {
			change := func(b []byte) []byte {
				return append(bytes.ReplaceAll(b, []byte("\n"), []byte(form.nl)), form.nl...)
			}
			a, err := storeAt(noon).parseAuthority(change(ca.keyPEM), change(ca.certPEM))
			if err != nil || !bytes.Equal(a.keyPEM, ca.keyPEM) || !bytes.Equal(a.certPEM, ca.certPEM) {
				t.Errorf("err = %v, or the PEM was not made clean", err)
			}
		})
	}
}

// FuzzCA: whatever the two files hold, a CA that is accepted is one that keeps
// every promise, and a refused one leaves nothing behind.
func FuzzCA(f *testing.F) {
	ca, other := testCA(f), testCA(f)
	f.Add(ca.keyPEM, ca.certPEM)
	f.Add(ca.keyPEM, other.certPEM)
	f.Add(ca.keyPEM[:40], ca.certPEM)
	f.Add(ca.certPEM, ca.keyPEM)
	f.Add(append(bytes.Clone(ca.keyPEM), '\n'), bytes.ReplaceAll(ca.certPEM, []byte("\n"), []byte("\r\n")))
	f.Add([]byte(pkcs8(f, edKey())), ca.certPEM)
	s := storeAt(noon)
	f.Fuzz(func(t *testing.T, key, cert []byte) {
		if key == nil || cert == nil {
			return
		}
		a, err := s.parseAuthority(key, cert)
		if err != nil {
			if !empty(a) {
				t.Fatal("a result beside an error")
			}
			if fe := new(FileError); !errors.As(err, &fe) {
				t.Fatalf("%v is no FileError", err)
			}
			return
		}
		promises(t, a)
		if again, err := s.parseAuthority(a.keyPEM, a.certPEM); err != nil || !again.cert.Equal(a.cert) {
			t.Fatalf("the clean PEM reads as another CA: %v", err)
		}
	})
}

// promises tests a by use: its key signs, and Go's verifier limits what.
func promises(t *testing.T, a authority) {
	t.Helper()
	if !a.key.PublicKey.Equal(a.cert.PublicKey) || noon.After(a.cert.NotAfter) || noon.Before(a.cert.NotBefore) {
		t.Fatal("accepted, but not a pair or not valid")
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	for _, l := range leaves {
		c := leaf(t, a, func(c *x509.Certificate) { l.change(t, c) })
		opts := x509.VerifyOptions{Roots: roots, CurrentTime: noon}
		if l.purpose != 0 {
			opts.KeyUsages = []x509.ExtKeyUsage{l.purpose}
		}
		if _, err := c.Verify(opts); (err == nil) != l.ok {
			t.Fatalf("accepted, but of a leaf for %s it says %v", l.name, err)
		}
	}
}

// wantFileError checks that err is a FileError about file that says want, and
// that it has a hint.
func wantFileError(t *testing.T, err error, file, want string) {
	t.Helper()
	fe := new(FileError)
	if !errors.As(err, &fe) {
		t.Fatalf("error = %v, want a FileError about %s", err, file)
	}
	if fe.Path != file || !strings.Contains(fe.Msg, want) {
		t.Errorf("error = %q, want it to name %s and say %q", err, file, want)
	}
	if hint.Of(err) == "" {
		t.Error("no hint")
	}
}

// empty says whether a holds nothing, as it must beside an error.
func empty(a authority) bool {
	return a.key == nil && a.cert == nil && a.keyPEM == nil && a.certPEM == nil
}

// reblock is the PEM text under another type, with extra behind its DER.
func reblock(text, blockType string, extra []byte) string {
	b, _ := pem.Decode([]byte(text))
	return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: append(b.Bytes, extra...)}))
}

// flip is the PEM text with the last bit of its DER, which belongs to the
// signature, turned over.
func flip(text string) string {
	b, _ := pem.Decode([]byte(text))
	b.Bytes[len(b.Bytes)-1] ^= 1
	return string(pem.EncodeToMemory(b))
}

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}))
}

func edKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func p384Key(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
