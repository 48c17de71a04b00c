package identity

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

const (
	keyName  = "caroot/rootCA-key.pem"
	certName = "caroot/rootCA.pem"
)

func rotate(t testing.TB, s *Store) *Rotation {
	t.Helper()
	r, err := s.Rotate()
	if err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	return r
}

func current(t testing.TB, s *Store) *CA {
	t.Helper()
	ca, err := s.CA()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func fingerprints(all []*CA) []string {
	prints := []string{}
	for _, c := range all {
		prints = append(prints, c.Fingerprint)
	}
	return prints
}

func wantCAs(t *testing.T, what string, got []*CA, err error, want ...*CA) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if !slices.Equal(fingerprints(got), fingerprints(want)) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// later is s at another time.
func later(s *Store, now time.Time) *Store { return Open(s.dir, func() time.Time { return now }) }

func TestRotate(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	before, old := tree(t, s), current(t, s)
	s = later(s, noon.AddDate(1, 0, 0))

	r := rotate(t, s)
	if !r.Made || r.CA.Fingerprint == old.Fingerprint || !r.CA.NotAfter.Equal(noon.AddDate(11, 0, 0)) {
		t.Errorf("%+v, want a new CA until %v", r, noon.AddDate(11, 0, 0))
	}
	wantCAs(t, "Rotation.Previous", r.Previous, nil, old)
	if got := current(t, s); got.Fingerprint != r.CA.Fingerprint || got.File != r.CA.File || got.File != s.CACertFile() {
		t.Errorf("CA = %+v, want that of Rotate", got)
	}
	if got, was := r.CA.X509, old.X509; string(got.RawSubject) != string(was.RawSubject) ||
		string(got.RawSubjectPublicKeyInfo) == string(was.RawSubjectPublicKeyInfo) {
		t.Error("the new CA has another name or the old key")
	}
	kept := r.Previous[0]
	if kept.File != filepath.Join(s.dir, "caroot/previous", old.Fingerprint+".pem") {
		t.Errorf("the old certificate is in %s", kept.File)
	}
	after := tree(t, s)
	if after[rel(s, kept.File)] != before[certName] {
		t.Error("the old certificate was not kept as it was")
	}
	wantNoOldKey(t, after, before)
	for _, gone := range []map[string]string{before, after} {
		delete(gone, keyName)
		delete(gone, certName)
	}
	delete(after, rel(s, kept.File))
	if !maps.Equal(before, after) {
		t.Error("something besides the CA was changed")
	}
	for name, mode := range map[string]fs.FileMode{keyName: 0o600, certName: 0o644, rel(s, kept.File): 0o644} {
		if info, err := os.Lstat(filepath.Join(s.dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v; want mode %o", name, info.Mode(), err, mode)
		}
	}
	id := ensure(t, s, 150)
	if id.Fingerprint != r.CA.Fingerprint || id.Created != nil || id.Changed != nil {
		t.Errorf("Ensure after Rotate: %v, created %q, changed %q", id, id.Created, id.Changed)
	}
}

// wantNoOldKey looks for the private key of before in every file of after.
func wantNoOldKey(t *testing.T, after, before map[string]string) {
	t.Helper()
	secret := before[keyName][60:120]
	for name, content := range after {
		if strings.Contains(content, secret) {
			t.Errorf("the old private key is still in %s", name)
		}
	}
}

// TestRotateGoesOn: while an old CA is kept there is no second rotation, until
// it is retired.
func TestRotateGoesOn(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	old := current(t, s)
	first := rotate(t, s)
	before := tree(t, s)
	again := rotate(t, s)
	if again.Made || again.CA.Fingerprint != first.CA.Fingerprint {
		t.Errorf("the second call: %+v", again)
	}
	wantCAs(t, "Previous", again.Previous, nil, old)
	if !maps.Equal(tree(t, s), before) {
		t.Error("the second call changed files")
	}
	for range 2 { // the second time there is nothing to do
		if err := s.Retire(old.SHA256()); err != nil {
			t.Fatal(err)
		}
	}
	none, err := s.Previous()
	wantCAs(t, "Previous after Retire", none, err)
	next := rotate(t, s)
	if !next.Made || next.CA.Fingerprint == first.CA.Fingerprint {
		t.Errorf("after Retire: %+v, want a new CA", next)
	}
	wantCAs(t, "Previous after the second rotation", next.Previous, nil, first.CA)
}

// TestRotateExpired: a CA that expired is replaced, also in the middle of a
// rotation; then two old ones are to be taken off the Mac.
func TestRotateExpired(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	old := current(t, s)
	s = later(s, noon.AddDate(10, 0, 1))
	if _, err := s.CA(); err == nil || !strings.Contains(hint.Of(err), "ca rotate") {
		t.Errorf("CA = %v with hint %q, want one that names ca rotate", err, hint.Of(err))
	}
	second := rotate(t, s)
	wantCAs(t, "Previous", second.Previous, nil, old)
	s = later(s, noon.AddDate(20, 0, 2))
	third := rotate(t, s)
	if !third.Made {
		t.Error("an expired CA was left in place")
	}
	wantCAs(t, "Previous", third.Previous, nil, old, second.CA)
	roots, err := s.Roots()
	wantCAs(t, "Roots", roots, err, third.CA, old, second.CA)
	current(t, s)
}

func TestRotateRefuses(t *testing.T) {
	whole := newStore(t)
	ensure(t, whole, 150)
	files := tree(t, whole)
	other := testCA(t)
	for _, tt := range []struct {
		name      string
		key, cert string
		now       time.Time
		blame     string // "": fs.ErrNotExist
		want      string
	}{
		{"no CA", "", "", noon, "", ""},
		{"certificate alone", "", files[certName], noon, keyName, "is missing"},
		{"key alone", files[keyName], "", noon, "", ""},
		{"key damaged", "x", files[certName], noon, keyName, "PEM"},
		{"certificate damaged", files[keyName], "x", noon, certName, "PEM"},
		{"two halves", string(other.keyPEM), files[certName], noon, certName, "is not the certificate of"},
		{"clock behind", files[keyName], files[certName], noon.AddDate(-1, 0, 0), certName, "not valid before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := later(newStore(t), tt.now)
			for name, content := range map[string]string{keyName: tt.key, certName: tt.cert} {
				if content != "" {
					put(t, s, name, content)
				}
			}
			before := tree(t, s)
			r, err := s.Rotate()
			switch {
			case r != nil:
				t.Error("a result beside an error")
			case tt.blame != "":
				wantFileError(t, err, filepath.Join(s.dir, tt.blame), tt.want)
			case !errors.Is(err, fs.ErrNotExist) || hint.Of(err) == "":
				t.Errorf("error = %v, want fs.ErrNotExist with a hint", err)
			}
			if !maps.Equal(tree(t, s), before) {
				t.Error("files were changed beside an error")
			}
			if _, err := os.Lstat(s.previousDir()); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a folder was made beside an error")
			}
		})
	}
}

// TestRotateSymlinks (F96): a link where the old certificates belong stops all.
func TestRotateSymlinks(t *testing.T) {
	s, outside := newStore(t), t.TempDir()
	ensure(t, s, 150)
	before := tree(t, s)
	if err := os.Symlink(outside, s.previousDir()); err != nil {
		t.Fatal(err)
	}
	_, rotateErr := s.Rotate()
	_, previousErr := s.Previous()
	_, rootsErr := s.Roots()
	retireErr := s.Retire(strings.Repeat("ab", 32))
	for _, err := range []error{rotateErr, previousErr, rootsErr, retireErr} {
		if kind := new(statefile.KindError); !errors.As(err, &kind) || kind.Path != s.previousDir() {
			t.Errorf("error = %v, want a KindError about %s", err, s.previousDir())
		}
	}
	if found, _ := os.ReadDir(outside); len(found) > 0 {
		t.Error("something was written outside")
	}
	if err := os.Remove(s.previousDir()); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(tree(t, s), before) {
		t.Error("files were changed beside an error")
	}
}

// TestRotationInVerifiers: with both CAs trusted, what either signed is
// believed, and after the old one is gone, only what the new one signed.
func TestRotationInVerifiers(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	old, err := s.readAuthority()
	if err != nil {
		t.Fatal(err)
	}
	r := rotate(t, s)
	now, err := s.readAuthority()
	if err != nil {
		t.Fatal(err)
	}
	openssl, _ := exec.LookPath("openssl")
	for _, tt := range []struct {
		name    string
		trusted []*CA
		signer  authority
		ok      bool
	}{
		{"old leaf, both trusted", append([]*CA{r.CA}, r.Previous...), old, true},
		{"new leaf, both trusted", append([]*CA{r.CA}, r.Previous...), now, true},
		{"new leaf, old trusted", r.Previous, now, false},
		{"old leaf, new trusted", []*CA{r.CA}, old, false},
		{"new leaf, new trusted", []*CA{r.CA}, now, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := leaf(t, tt.signer, func(c *x509.Certificate) { dnsNames("mpd.test")(t, c) })
			roots, bundle := x509.NewCertPool(), []byte{}
			for _, ca := range tt.trusted {
				roots.AddCert(ca.X509)
				bundle = append(bundle, ca.Cert...)
			}
			if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: noon, DNSName: "mpd.test"}); (err == nil) != tt.ok {
				t.Errorf("Verify: %v, want accepted = %v", err, tt.ok)
			}
			if openssl == "" {
				return
			}
			root := filepath.Join(t.TempDir(), "roots.pem")
			writeFile(t, root, bundle)
			if out, err := opensslVerify(t, openssl, "sslserver", root, c); (err == nil) != tt.ok {
				t.Errorf("openssl: %v, want accepted = %v\n%s", err, tt.ok, out)
			}
		})
	}
}

func TestCAFingerprints(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl on PATH")
	}
	s := newStore(t)
	ensure(t, s, 150)
	ca := current(t, s)
	for flag, got := range map[string]string{"-sha1": ca.SHA1(), "-sha256": ca.SHA256()} {
		out, err := exec.Command(openssl, "x509", "-noout", "-fingerprint", flag, "-in", ca.File).Output()
		_, want, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
		if err != nil || got != strings.ReplaceAll(want, ":", "") {
			t.Errorf("%s: %s, openssl says %s %v", flag, got, want, err)
		}
	}
	if !strings.EqualFold(ca.SHA256(), ca.Fingerprint) {
		t.Error("SHA256 is not Fingerprint")
	}
	if got, want := ca.String(), "mpd Root CA "+ca.Fingerprint[:8]+"…, valid until "+ca.NotAfter.Format(time.DateOnly); got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}
