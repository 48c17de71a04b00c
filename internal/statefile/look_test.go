package statefile

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock-150")
	want := func(what string, held bool) {
		t.Helper()
		e, err := Holder(path)
		if err != nil || (e != nil) != held {
			t.Errorf("%s: %v, %v, want held %t", what, e, err, held)
		}
		if e != nil && (e.PID != os.Getpid() || e.Verb != "setup") {
			t.Errorf("%s: %+v", what, e)
		}
	}
	want("no file", false)
	if _, err := os.Lstat(path); err == nil {
		t.Error("it was made")
	}
	lock, err := Acquire(t.Context(), path, "setup", 0)
	if err != nil {
		t.Fatal(err)
	}
	want("held", true)
	want("held and looked at before", true)
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	want("released", false)
	for name, note := range map[string]string{
		"killed":                         "999999999 setup\n",
		"its number is another's by now": fmt.Sprintf("%d setup\n", os.Getpid()),
		"no note of ours":                "rm -rf\n",
	} {
		if err := os.WriteFile(path, []byte(note), 0o600); err != nil {
			t.Fatal(err)
		}
		want(name, false)
	}
	if lock, err = Acquire(t.Context(), path, "setup", 0); err != nil {
		t.Fatal(err) // those who looked have left nothing behind
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestHolderOfNoLock(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("elsewhere", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link} {
		if e, err := Holder(path); err == nil || e != nil {
			t.Errorf("%s: %v, %v", path, e, err)
		}
	}
}

func TestIsTemp(t *testing.T) {
	for name, want := range map[string]bool{".mpd-virt-ABC.tmp": true, ".mpd-virt-ABC": false, "env": false, "x.tmp": false} {
		if IsTemp(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}
