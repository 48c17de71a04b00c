package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// F89: a broken backend.env is named, and set-default repairs it and keeps
// what can be read.
func TestDefaultBackend(t *testing.T) {
	const set = "MPD_VIRT_DEFAULT_BACKEND=utm\n"
	tests := []struct {
		name, text string
		want       string // what DefaultBackend says
		line       int    // where it is broken; -1: it is not
		repaired   string // after SetDefaultBackend("utm")
	}{
		{"plain", "MPD_VIRT_DEFAULT_BACKEND=parallels\n", "parallels", -1, set},
		{"empty", "", "", -1, set},
		{"other keys only", "# mine\nX=1\n", "", -1, "# mine\nX=1\n" + set},
		{"inline comment", "MPD_VIRT_DEFAULT_BACKEND = parallels # why\n", "parallels", -1, "MPD_VIRT_DEFAULT_BACKEND = utm # why\n"},
		{"CRLF and mark", "\ufeffX=1\r\nMPD_VIRT_DEFAULT_BACKEND=parallels\r\n", "parallels", -1, "\ufeffX=1\r\nMPD_VIRT_DEFAULT_BACKEND=utm\r\n"},
		{"bad name", "X=1\nMPD_VIRT_DEFAULT_BACKEND=No Such # why\n", "", 2, "X=1\nMPD_VIRT_DEFAULT_BACKEND=utm # why\n"},
		{"blank name", "MPD_VIRT_DEFAULT_BACKEND=\n", "", 1, set},
		{"given twice", "MPD_VIRT_DEFAULT_BACKEND=a\n# c\nMPD_VIRT_DEFAULT_BACKEND=b\n", "", 3, set + "# c\n"},
		{"no equals sign", "# c\nparallels\nX=1\n", "", 2, "# c\nX=1\n" + set},
		{"open quote", "MPD_VIRT_DEFAULT_BACKEND=\"parallels\n", "", 1, set},
		{"cut in the key", "MPD_VIRT_DEFAULT_BAC", "", 1, set},
		{"NUL", "\x00\x00\x00", "", 1, set},
		{"mark further down", "bad\n\ufeffX=1\n", "", 1, "\ufeffX=1\n" + set},
		{"mark in the middle", "Y=1\n\ufeffX=1\n", "", 2, set},
		{"1 MB", strings.Repeat("# x\n", 1<<18), "", 0, set},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Open(t.TempDir())
			if err := os.Mkdir(filepath.Dir(r.backendFile()), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(r.backendFile(), []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := r.DefaultBackend()
			var broken *EntryError
			if tt.line < 0 && err != nil || got != tt.want {
				t.Errorf("DefaultBackend = %q, %v, want %q", got, err, tt.want)
			}
			if tt.line >= 0 && (!errors.As(err, &broken) || broken.Line != tt.line || broken.File != r.backendFile() || hint.Of(err) == "") {
				t.Errorf("DefaultBackend = %v, want an *EntryError for line %d with a hint", err, tt.line)
			}
			if err := r.SetDefaultBackend("utm"); err != nil {
				t.Fatal(err)
			}
			if text, _ := os.ReadFile(r.backendFile()); string(text) != tt.repaired {
				t.Errorf("set-default left %q, want %q", text, tt.repaired)
			}
			if got, err := r.DefaultBackend(); got != "utm" || err != nil {
				t.Errorf("DefaultBackend afterwards = %q, %v", got, err)
			}
		})
	}
}

func TestDefaultBackendFresh(t *testing.T) {
	r := Open(filepath.Join(t.TempDir(), "state"))
	if name, err := r.DefaultBackend(); name != "" || err != nil {
		t.Errorf("DefaultBackend = %q, %v, want none", name, err)
	}
	for _, bad := range []string{"", "UTM", "-x", "a b", "a\nb", strings.Repeat("a", 33)} {
		if err := r.SetDefaultBackend(bad); err == nil {
			t.Errorf("SetDefaultBackend(%q) worked", bad)
		}
	}
	if _, err := os.Lstat(r.root); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a refused SetDefaultBackend left a trace")
	}
	if err := r.SetDefaultBackend("general"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{r.root: 0o700, filepath.Dir(r.backendFile()): 0o700, r.backendFile(): 0o600} {
		if got := perm(t, path); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
	}
}

// F96: a link in place of the file or its folder is refused.
func TestDefaultBackendLink(t *testing.T) {
	for _, name := range []string{"conf", "conf/backend.env"} {
		t.Run(name, func(t *testing.T) {
			r := Open(t.TempDir())
			outside := t.TempDir()
			path := filepath.Join(r.root, name)
			if filepath.Dir(path) != r.root {
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			link(t, outside, path)
			var kind *statefile.KindError
			if _, err := r.DefaultBackend(); !errors.As(err, &kind) {
				t.Errorf("DefaultBackend = %v, want a *KindError", err)
			}
			if err := r.SetDefaultBackend("utm"); !errors.As(err, &kind) {
				t.Errorf("SetDefaultBackend = %v, want a *KindError", err)
			}
			if left, _ := os.ReadDir(outside); len(left) != 0 {
				t.Errorf("outside was written: %v", left)
			}
		})
	}
}

// FuzzBackendFile: whatever the file holds, set-default ends with the new
// name, and every other key that could be read stays.
func FuzzBackendFile(f *testing.F) {
	f.Add([]byte("MPD_VIRT_DEFAULT_BACKEND=parallels\n"))
	f.Add([]byte("X=1\nX=2\n\ufeffY='\n"))
	f.Add([]byte("\ufeff# c\r\nZ= # c\rMPD_VIRT_DEFAULT_BACKEND=\r"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > statefile.MaxEnv/2 {
			return
		}
		env := salvage("f", data)
		if err := env.Set(keyDefaultBackend, "utm"); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		back, err := statefile.ParseEnv("f", env.Bytes())
		if err != nil {
			t.Fatalf("%q became %q: %v", data, env.Bytes(), err)
		}
		if name, _, _ := back.Get(keyDefaultBackend); name != "utm" {
			t.Fatalf("%q became %q", data, env.Bytes())
		}
		was, err := statefile.ParseEnv("f", data)
		if err != nil {
			return
		}
		for _, key := range was.Keys() {
			before, _, _ := was.Get(key)
			after, _, _ := back.Get(key)
			if key != keyDefaultBackend && before != after {
				t.Fatalf("%q became %q: %s changed", data, env.Bytes(), key)
			}
		}
	})
}
