package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAppendTo(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, file} { // the first makes what the link leads to
		f, err := AppendTo(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("line\n"); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "line\nline\n" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAppendToRefuses(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		dir:                           syscall.EISDIR,
		filepath.Join(dir, "no/file"): fs.ErrNotExist,
		pipe:                          syscall.ENXIO, // nobody reads it
	} {
		if f, err := AppendTo(path); !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", path, f, err)
		}
	}
}
