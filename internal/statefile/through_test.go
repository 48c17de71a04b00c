package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const snapMax = 1 << 10

func TestSnap(t *testing.T) {
	dir := resolved(t, t.TempDir())
	put(t, filepath.Join(dir, "f"), "text", 0o640)
	link(t, "f", filepath.Join(dir, "link"))
	link(t, "nowhere", filepath.Join(dir, "dangling"))
	link(t, "loop", filepath.Join(dir, "loop"))

	for _, name := range []string{"f", "link"} {
		s, err := Snap(filepath.Join(dir, name), snapMax)
		if err != nil {
			t.Fatal(err)
		}
		if string(s.Data) != "text" || !s.Exists || s.Target != filepath.Join(dir, "f") {
			t.Errorf("Snap(%s) = %+v", name, s)
		}
	}
	if s, err := Snap(filepath.Join(dir, "none"), snapMax); err != nil || s.Exists || s.Data != nil {
		t.Errorf("Snap of a missing file = %+v, %v", s, err)
	}
	if s, err := Snap(filepath.Join(dir, "none", "none"), snapMax); err != nil || s.Exists {
		t.Errorf("Snap in a missing folder = %+v, %v", s, err)
	}
	for _, name := range []string{"dangling", "loop", "."} {
		if s, err := Snap(filepath.Join(dir, name), snapMax); err == nil {
			t.Errorf("Snap(%s) = %+v, want an error", name, s)
		}
	}
	if _, err := Snap(filepath.Join(dir, "f"), 3); !errors.Is(err, ErrTooBig) {
		t.Errorf("Snap of a big file = %v, want ErrTooBig", err)
	}
}

// resolved is dir without symbolic links: macOS has its temporary folder behind one.
func resolved(t *testing.T, dir string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWriteThrough(t *testing.T) {
	tests := []struct {
		name string
		make func(t *testing.T, dir string)
		file string      // what must hold the text afterwards
		perm fs.FileMode // and its mode
	}{
		{"new", func(*testing.T, string) {}, "config", 0o600},
		{"existing mode stays", func(t *testing.T, dir string) { put(t, filepath.Join(dir, "config"), "old", 0o644) }, "config", 0o644},
		{"through a link", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "dotfile"), "old", 0o640)
			link(t, "dotfile", filepath.Join(dir, "config"))
		}, "dotfile", 0o640},
		{"through two links", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "dotfile"), "old", 0o600)
			link(t, "dotfile", filepath.Join(dir, "second"))
			link(t, "second", filepath.Join(dir, "config"))
		}, "dotfile", 0o600},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.make(t, dir)
			before := names(t, dir)
			path := filepath.Join(dir, "config")
			was, err := Snap(path, snapMax)
			if err == nil {
				err = WriteThrough(path, []byte("new"), 0o600, was)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := content(t, filepath.Join(dir, tt.file)); got != "new" {
				t.Errorf("%s holds %q, want new", tt.file, got)
			}
			if got := mode(t, filepath.Join(dir, tt.file)); got != tt.perm {
				t.Errorf("mode %v, want %v", got, tt.perm)
			}
			if was.Exists && names(t, dir) != before {
				t.Errorf("folder held %q, holds %q", before, names(t, dir))
			}
		})
	}
}

func TestWriteThroughLinkedFolder(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	link(t, dir, filepath.Join(home, ".ssh"))
	if err := WriteThrough(filepath.Join(home, ".ssh", "config"), []byte("new"), 0o600, nil); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(dir, "config")); got != "new" {
		t.Errorf("content %q, want new", got)
	}
}

// F91: an editor that saves between our read and our rename wins.
func TestWriteThroughChanged(t *testing.T) {
	tests := []struct {
		name string
		edit func(t *testing.T, path string)
	}{
		{"longer", func(t *testing.T, path string) { put(t, path, "older", 0o600) }},
		{"shorter", func(t *testing.T, path string) { put(t, path, "ol", 0o600) }},
		{"same size and time", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			put(t, path, "OLD", 0o600)
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}},
		{"replaced by rename, same text", func(t *testing.T, path string) {
			put(t, path+"~", "old", 0o600)
			if err := os.Rename(path+"~", path); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
		{"turned into a link", func(t *testing.T, path string) {
			if err := os.Rename(path, path+"2"); err != nil {
				t.Fatal(err)
			}
			link(t, path+"2", path)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "config")
			put(t, path, "old", 0o600)
			was, err := Snap(path, snapMax)
			if err != nil {
				t.Fatal(err)
			}
			// The edit comes as late as it can: when all is written and synced.
			late := realDisk
			late.sync = func(f *os.File) error { tt.edit(t, path); return f.Sync() }
			if err := late.writeThrough(path, []byte("new"), 0o600, was); !errors.Is(err, ErrChanged) {
				t.Errorf("writeThrough = %v, want ErrChanged", err)
			}
			if data, err := os.ReadFile(path); err == nil && string(data) == "new" {
				t.Error("the edit was lost")
			}
			if got := names(t, dir); strings.Contains(got, ".mpd-virt-") {
				t.Errorf("a temporary file is left: %q", got)
			}
		})
	}
	t.Run("appeared", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "config")
		was, err := Snap(path, snapMax)
		if err != nil {
			t.Fatal(err)
		}
		put(t, path, "theirs", 0o600)
		if err := WriteThrough(path, []byte("new"), 0o600, was); !errors.Is(err, ErrChanged) || content(t, path) != "theirs" {
			t.Errorf("WriteThrough = %v, file %q", err, content(t, path))
		}
	})
}

func TestWriteThroughRefuses(t *testing.T) {
	dir := t.TempDir()
	link(t, "nowhere", filepath.Join(dir, "dangling"))
	for _, path := range []string{filepath.Join(dir, "dangling"), dir, filepath.Join(dir, "none", "config")} {
		if err := WriteThrough(path, []byte("new"), 0o600, nil); err == nil {
			t.Errorf("WriteThrough(%s) worked", path)
		}
	}
	if got := names(t, dir); got != "dangling" {
		t.Errorf("folder holds %q", got)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), "12345", 0o600)
	link(t, "f", filepath.Join(dir, "link"))
	if data, err := Read(filepath.Join(dir, "f"), 5); string(data) != "12345" || err != nil {
		t.Errorf("Read = %q, %v", data, err)
	}
	if _, err := Read(filepath.Join(dir, "f"), 4); !errors.Is(err, ErrTooBig) {
		t.Errorf("Read of a big file = %v, want ErrTooBig", err)
	}
	if _, err := Read(filepath.Join(dir, "none"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of a missing file = %v, want fs.ErrNotExist", err)
	}
	for _, name := range []string{"link", "."} {
		var kind *KindError
		if _, err := Read(filepath.Join(dir, name), 5); !errors.As(err, &kind) {
			t.Errorf("Read(%s) = %v, want a *KindError", name, err)
		}
	}
}
