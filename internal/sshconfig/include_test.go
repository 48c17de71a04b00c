package sshconfig

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	testInclude = "/Users/dev/.mpd-virt/ssh_config"
	testLine    = `Include "/Users/dev/.mpd-virt/ssh_config" # added by mpd-virt`
)

// vector is one file of testdata/vectors/sshconfig; its README says what the
// fields are.
type vector struct {
	Comment, Include, Config, Added, Removed string
	Refused                                  bool
}

func vectors(t testing.TB) map[string]vector {
	t.Helper()
	files, err := filepath.Glob("../../testdata/vectors/sshconfig/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	all := make(map[string]vector)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		var v vector
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = v
	}
	return all
}

// M11 and the fuzz row's "age-style vectors".
func TestVectors(t *testing.T) {
	for name, v := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			if got := string(RemoveInclude([]byte(v.Config), v.Include)); got != v.Removed {
				t.Errorf("%s: removed from the config:\ngot  %q\nwant %q", v.Comment, got, v.Removed)
			}
			added, err := AddInclude([]byte(v.Config), v.Include)
			if (err != nil) != v.Refused || string(added) != v.Added {
				t.Fatalf("%s: added:\ngot  %q, %v\nwant %q, refused: %v", v.Comment, added, err, v.Added, v.Refused)
			}
			if v.Refused {
				return
			}
			if again, err := AddInclude(added, v.Include); err != nil || !bytes.Equal(again, added) {
				t.Errorf("%s: added twice:\ngot  %q, %v\nwant %q", v.Comment, again, err, added)
			}
			if got := string(RemoveInclude(added, v.Include)); got != v.Removed {
				t.Errorf("%s: removed after adding:\ngot  %q\nwant %q", v.Comment, got, v.Removed)
			}
		})
	}
}

// The properties that the README promises of the user's file, for any bytes.
func FuzzInclude(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.Config), v.Include, false)
	}
	f.Add([]byte("Host \xff\xfe\n"), testInclude, true)
	f.Add([]byte(testLine+", which made this file\n"), testInclude, true)
	f.Fuzz(func(t *testing.T, config []byte, include string, made bool) {
		before := bytes.Clone(config)
		stripped := RemoveInclude(config, include)
		if again := RemoveInclude(stripped, include); !bytes.Equal(again, stripped) {
			t.Fatalf("removing twice: %q, then %q", stripped, again)
		}
		added, err := addInclude(config, include, made)
		if !bytes.Equal(config, before) {
			t.Fatalf("the caller's bytes changed: %q, now %q", before, config)
		}
		if err != nil {
			if added != nil || !bytes.Equal(stripped, config) {
				t.Fatalf("%v: but added %q, stripped %q", err, added, stripped)
			}
			return
		}
		lines, err := ownLines(include)
		if err != nil {
			t.Fatalf("the path is refused only now: %v", err)
		}
		checkAdded(t, lines, config, added, made)
		if got := RemoveInclude(added, include); !bytes.Equal(got, stripped) {
			t.Fatalf("config %q\nadded %q\nremoved %q", config, added, got)
		}
		if again, err := AddInclude(added, include); err != nil || !bytes.Equal(again, added) {
			t.Fatalf("adding twice: %q, then %q, %v", added, again, err)
		}
	})
}

func checkAdded(t *testing.T, lines own, config, added []byte, made bool) {
	t.Helper()
	was, is := lines.find(config), lines.find(added)
	if is.count != 1 || !is.first {
		t.Fatalf("config %q\nadded %q: our line is there %d times, first: %v", config, added, is.count, is.first)
	}
	if was.made && !is.made || is.made && !was.made && !made {
		t.Fatalf("config %q\nadded %q: made was %v, is %v", config, added, was.made, is.made)
	}
	if was.count == 0 && (!bytes.Equal(was.rest, config) || !bytes.HasSuffix(added, config)) {
		t.Fatalf("config %q is not the end of %q", config, added)
	}
}

func TestAddIncludeSaysThatItMadeTheFile(t *testing.T) {
	got, err := addInclude(nil, testInclude, true)
	if want := testLine + ", which made this file\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
