package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

func TestEnsureDirMakes(t *testing.T) {
	top := t.TempDir()
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(top, "a", "b", "c")
	for range 2 {
		if err := EnsureDir(path + "/"); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		if got := mode(t, p); got != fs.ModeDir|0o700 {
			t.Errorf("%s has mode %v, want 0700", p, got)
		}
	}
	if got := mode(t, top).Perm(); got != 0o755 {
		t.Errorf("the folder above, which existed, has mode %v now", got)
	}
}

// F86: the mode is repaired.
func TestEnsureDirRepairs(t *testing.T) {
	for _, perm := range []fs.FileMode{0o777, 0o755, 0o701, 0o500} {
		path := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, perm); err != nil {
			t.Fatal(err)
		}
		if err := EnsureDir(path); err != nil {
			t.Errorf("mode %v: %v", perm, err)
		}
		if got := mode(t, path).Perm(); got != perm&^0o077 {
			t.Errorf("mode %v became %v", perm, got)
		}
	}
}

// F86, F96: a link or file in place of the folder is refused and left alone.
func TestEnsureDirRefuses(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Chmod(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "file"), "", 0o600)
	link(t, outside, filepath.Join(dir, "link"))
	link(t, "nowhere", filepath.Join(dir, "dangling"))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "link", "link/", "dangling", "pipe"} {
		var kind *KindError
		if err := EnsureDir(filepath.Join(dir, name)); !errors.As(err, &kind) {
			t.Errorf("EnsureDir(%s) = %v, want a *KindError", name, err)
		}
		if err := CheckDir(filepath.Join(dir, name)); !errors.As(err, &kind) {
			t.Errorf("CheckDir(%s) = %v, want a *KindError", name, err)
		}
	}
	if got := mode(t, outside).Perm(); got != 0o755 {
		t.Errorf("the folder behind the link has mode %v now", got)
	}
	if err := EnsureDir(filepath.Join(dir, "file", "sub")); err == nil {
		t.Error("a folder below a file was made")
	}
}

// F86: a folder of another user is refused and left alone.
func TestEnsureDirOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	path := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 4711, -1); err != nil {
		t.Skip(err)
	}
	var owner *OwnerError
	err := EnsureDir(path)
	if !errors.As(err, &owner) || owner.UID != 4711 || hint.Of(err) == "" {
		t.Errorf("EnsureDir = %v, want an *OwnerError with a hint", err)
	}
	if err := CheckDir(path); !errors.As(err, &owner) {
		t.Errorf("CheckDir = %v, want an *OwnerError", err)
	}
	if got := mode(t, path).Perm(); got != 0o755 {
		t.Errorf("mode is %v now", got)
	}
}

func TestCheckDir(t *testing.T) {
	dir := t.TempDir()
	if err := CheckDir(dir + "/"); err != nil {
		t.Error(err)
	}
	if err := CheckDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CheckDir of a missing folder = %v, want fs.ErrNotExist", err)
	}
}

func TestRemoveDir(t *testing.T) {
	top, outside := t.TempDir(), t.TempDir()
	dir := filepath.Join(top, "150")
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(outside, "victim"), "x", 0o600)
	put(t, filepath.Join(dir, "env"), "x", 0o600)
	put(t, filepath.Join(dir, "logs", "l"), "x", 0o600)
	link(t, outside, filepath.Join(dir, "to folder"))
	link(t, filepath.Join(outside, "victim"), filepath.Join(dir, "to file"))
	for range 2 { // the second time it is already gone
		if err := RemoveDir(dir+"/", "env"); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, top); got != "" {
		t.Errorf("left %q", got)
	}
	if got := names(t, outside); got != "victim" {
		t.Errorf("outside holds %q, want victim", got)
	}
	if err := RemoveDir(filepath.Join(top, "none", "150"), "env"); err != nil {
		t.Errorf("missing folder above: %v", err)
	}
}

func TestRemoveDirRefuses(t *testing.T) {
	top, outside := t.TempDir(), t.TempDir()
	put(t, filepath.Join(outside, "env"), "x", 0o600)
	put(t, filepath.Join(top, "file"), "x", 0o600)
	link(t, outside, filepath.Join(top, "link"))
	if err := os.Mkdir(filepath.Join(outside, "150"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "link", "link/150"} {
		var kind *KindError
		if err := RemoveDir(filepath.Join(top, name), "env"); !errors.As(err, &kind) {
			t.Errorf("RemoveDir(%s) = %v, want a *KindError", name, err)
		}
	}
	if got := names(t, outside) + " " + names(t, top); got != "150 env file link" {
		t.Errorf("left %q", got)
	}
}

func TestAppendLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "l")
	f, err := AppendLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := mode(t, path); got != 0o600 {
		t.Errorf("mode %v, want 0600", got)
	}
	link(t, filepath.Join(dir, "elsewhere"), filepath.Join(dir, "link"))
	for _, p := range []string{path, filepath.Join(dir, "link")} {
		if _, err := AppendLog(p); !errors.Is(err, fs.ErrExist) {
			t.Errorf("AppendLog(%s) = %v, want fs.ErrExist", p, err)
		}
	}
}
