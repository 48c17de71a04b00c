package identity

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPreviousDamaged(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	old := current(t, s)
	r := rotate(t, s)
	file := rel(s, r.Previous[0].File)
	good := tree(t, s)[file]
	stranger := strings.Repeat("ab", 32)
	for _, tt := range []struct {
		name, file, content string
		want                string // "": ignored
	}{
		{"Finder's file", "caroot/previous/.DS_Store", "x", ""},
		{"editor's copy", file + "~", "x", ""},
		{"short name", "caroot/previous/" + old.Fingerprint[:16] + ".pem", "x", ""},
		{"capitals", "caroot/previous/" + strings.ToUpper(old.Fingerprint) + ".pem", "x", ""},
		{"empty", file, "", "PEM"},
		{"cut", file, good[:99], "PEM"},
		{"another certificate", file, string(r.CA.Cert), "than its name says"},
		{"stranger", "caroot/previous/" + stranger + ".pem", good, "than its name says"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			put(t, s, tt.file, tt.content)
			defer func() {
				if err := os.Remove(filepath.Join(s.dir, tt.file)); err != nil {
					t.Fatal(err)
				}
				put(t, s, file, good)
			}()
			got, err := s.Previous()
			if tt.want == "" {
				wantCAs(t, "Previous", got, err, old)
				return
			}
			wantFileError(t, err, filepath.Join(s.dir, tt.file), tt.want)
			roots, err := s.Roots()
			wantFileError(t, err, filepath.Join(s.dir, tt.file), tt.want)
			if len(roots) == 0 || roots[0].Fingerprint != r.CA.Fingerprint {
				t.Errorf("Roots = %v, want the others all the same", roots)
			}
			if err := s.Retire(strings.TrimSuffix(filepath.Base(tt.file), ".pem")); err != nil {
				t.Errorf("Retire of a damaged one: %v", err)
			}
			put(t, s, tt.file, "x") // for the deferred removal
		})
	}
}

func TestRoots(t *testing.T) {
	s := newStore(t)
	none, err := s.Roots()
	wantCAs(t, "Roots of nothing", none, err)
	ensure(t, s, 150)
	old := current(t, s)
	r := rotate(t, s)
	if err := os.Remove(s.caKeyFile()); err != nil {
		t.Fatal(err)
	}
	roots, err := later(s, noon.AddDate(50, 0, 0)).Roots()
	wantCAs(t, "Roots without a key in 50 years", roots, err, r.CA, old)
	put(t, s, certName, "x")
	roots, err = s.Roots()
	wantFileError(t, err, s.CACertFile(), "PEM")
	wantCAs(t, "Roots beside a damaged one", roots, nil, old)
}

func TestRetireRefuses(t *testing.T) {
	s := newStore(t)
	id := ensure(t, s, 150)
	for _, tt := range []struct{ name, sha256 string }{
		{"nothing", ""},
		{"short", id.Fingerprint[:16]},
		{"a path", "../" + id.Fingerprint[:61]},
		{"no hexadecimal", strings.Repeat("x", 64)},
		{"the current one", id.Fingerprint},
	} {
		before := tree(t, s)
		if err := s.Retire(tt.sha256); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
		if !maps.Equal(tree(t, s), before) {
			t.Errorf("%s: files changed", tt.name)
		}
	}
	if err := s.Retire(strings.Repeat("AB", 32)); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}
