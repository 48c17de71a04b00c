package sshconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// home is a home folder of a test.
type home struct {
	Files
	dir string
	t   *testing.T
}

func newHome(t *testing.T) home {
	t.Helper()
	dir := t.TempDir()
	return home{Files{User: filepath.Join(dir, ".ssh/config"), Ours: filepath.Join(dir, ".mpd-virt/ssh_config")}, dir, t}
}

// withConfig is a home whose ~/.ssh/config has this text.
func withConfig(t *testing.T, text string) home {
	t.Helper()
	h := newHome(t)
	h.mkdir(".ssh")
	h.write(h.User, text)
	return h
}

func (h home) mkdir(name string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.dir, name), 0o700); err != nil {
		h.t.Fatal(err)
	}
}

func (h home) write(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h home) symlink(to, path string) {
	h.t.Helper()
	if err := os.Symlink(to, path); err != nil {
		h.t.Fatal(err)
	}
}

// line is our line in this home, without line ending.
func (h home) line() string { return `Include "` + h.Ours + `"` + markAdded }

// assert runs Assert twice and Check, and wants the second run to find
// nothing to do.
func (h home) assert(wantChanged bool, vms ...VM) {
	h.t.Helper()
	changed, err := h.Assert(vms)
	if err != nil || changed != wantChanged {
		h.t.Fatalf("Assert = %v, %v; want %v", changed, err, wantChanged)
	}
	if err := h.Check(vms); err != nil {
		h.t.Fatalf("Check after Assert: %v", err)
	}
	before := h.tree()
	if changed, err := h.Assert(vms); err != nil || changed {
		h.t.Fatalf("second Assert = %v, %v", changed, err)
	}
	if after := h.tree(); after != before {
		h.t.Fatalf("second Assert wrote:\n%s\nbefore:\n%s", after, before)
	}
}

// has wants the file to hold exactly this text, with this mode.
func (h home) has(path, want string, mode fs.FileMode) {
	h.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || string(data) != want {
		h.t.Fatalf("%s:\ngot  %q, %v\nwant %q", path, data, err, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != mode {
		h.t.Fatalf("%s: mode %v, %v; want %v", path, info.Mode(), err, mode)
	}
}

// tree is all of the home folder as text: names, modes, times, contents.
func (h home) tree() string {
	h.t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String())
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			out.WriteString(" " + string(data))
			if err != nil {
				return err
			}
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			out.WriteString(" " + to)
			if err != nil {
				return err
			}
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out.String()
}

func (h home) missing(path string) {
	h.t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		h.t.Fatalf("%s is there (%v)", path, err)
	}
}

// fails wants Assert and Check to fail with want, and nothing to change.
func (h home) fails(want string, vms ...VM) {
	h.t.Helper()
	before := h.tree()
	_, err := h.Assert(vms)
	if err == nil || !strings.Contains(err.Error(), want) {
		h.t.Fatalf("Assert: %v; want an error with %q", err, want)
	}
	if err := h.Check(vms); err == nil || errors.Is(err, ErrDiffers) {
		h.t.Fatalf("Check: %v; want the error of Assert", err)
	}
	if after := h.tree(); after != before {
		h.t.Fatalf("a failed Assert wrote:\n%s\nbefore:\n%s", after, before)
	}
}
