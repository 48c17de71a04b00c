package statefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// seedTree makes the files that the twins begin with.
func seedTree(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"a", "a/deep", "wide"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "wide"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, perm := range map[string]fs.FileMode{"a/x": 0o600, "a/deep/y": 0o644, "z": 0o600, "a/.mpd-virt-old.tmp": 0o600} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("first "+name), perm); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("z", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
}

// treeOf is all that is below root: names with modes and contents.
func treeOf(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(data)
		}
		all[strings.TrimPrefix(path, root)] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// class is what of an error callers decide by.
func class(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, fs.ErrExist):
		return "there"
	case errors.As(err, new(*KindError)):
		return "another kind"
	case errors.Is(err, ErrTooBig):
		return "too big"
	}
	return "error"
}

// through is class where links are followed: a file above the path is found in
// another way then.
func through(err error) string {
	if c := class(err); c != "another kind" {
		return c
	}
	return "error"
}

// act does one thing to files below root and says what came of it.
func act(f *Files, root string, verb int, name, text string) string {
	path := filepath.Join(root, name)
	switch verb {
	case 0:
		return class(f.Write(path, []byte(text), 0o600))
	case 1:
		return class(f.Opaque().Write(path, []byte(text), 0o644))
	case 2:
		return class(f.EnsureDir(path))
	case 3:
		return class(f.Mkdir(path))
	case 4:
		return class(f.Remove(path))
	case 5:
		return class(f.RemoveDir(path, "y"))
	case 6:
		return class(f.RemoveTemps(path))
	case 7:
		return through(f.WriteThrough(path, []byte(text), 0o600, nil))
	case 8:
		return class(f.Tighten(path))
	case 9:
		data, err := f.Read(path, 20)
		return class(err) + string(data)
	case 10:
		s, err := f.Snap(path, 1<<10)
		if err != nil {
			return through(err)
		}
		return fmt.Sprint(s.Exists, string(s.Data), strings.TrimPrefix(s.Target, root))
	case 11:
		all, err := f.ReadDir(path)
		var names []string
		for _, e := range all {
			names = append(names, e.Name()+" "+e.Type().String())
		}
		return class(err) + strings.Join(names, ",")
	case 12:
		info, err := f.Lstat(path)
		if err != nil {
			return class(err)
		}
		return info.Name() + info.Mode().Type().String()
	}
	return class(f.CheckDir(path))
}

const verbs = 14

var actors = [...]string{"a", "a/x", "a/deep", "a/deep/y", "a/new", "n", "n/m", "n/m/file", "z", "wide", "link", "gone"}

// perform does to the disk what a draft has told.
func perform(t *testing.T, from, to string, changes []Change, secret map[string]string) {
	t.Helper()
	for _, c := range changes {
		path := to + strings.TrimPrefix(c.Path, from)
		var err error
		switch c.Kind {
		case MadeFolder:
			err = os.Mkdir(path, c.Perm)
		case Narrowed:
			err = os.Chmod(path, c.Perm)
		case Removed:
			err = os.RemoveAll(path)
		case Written:
			data := c.After
			if c.Opaque {
				data = []byte(secret[c.Path])
			}
			if err = os.WriteFile(path, data, c.Perm); err == nil {
				if target, e := filepath.EvalSymlinks(path); e == nil {
					err = os.Chmod(target, c.Perm)
				}
			}
		}
		if err != nil {
			t.Fatalf("%+v: %v", changes, err)
		}
	}
}

// TestDraftIsLikeTheDisk does the same random things to a draft and to the disk:
// both must answer alike, the draft must leave its disk alone, and what it told
// must make of another copy what the disk has become.
func TestDraftIsLikeTheDisk(t *testing.T) {
	for seed := range uint64(200) {
		drafted, real, told := t.TempDir(), t.TempDir(), t.TempDir()
		for _, root := range []string{drafted, real, told} {
			seedTree(t, root)
		}
		before := treeOf(t, drafted)
		var changes []Change
		secret := map[string]string{}
		r := rand.New(rand.NewPCG(seed, 1))
		var script []string
		var draft *Files
		var verb int
		var name, text string
		draft = NewDraft(func(c Change) {
			if c.Opaque {
				if c.Before != nil || c.After != nil {
					t.Errorf("the change of %s shows what it must not", c.Path)
				}
				secret[c.Path] = text
			}
			changes = append(changes, c)
			if c.Kind == Written { // one by one, since a secret has another content each time
				perform(t, drafted, told, changes, secret)
				changes = nil
			}
		})
		for step := range 25 {
			verb, name, text = r.IntN(verbs), actors[r.IntN(len(actors))], fmt.Sprint("text ", step)
			if name == "z" && verb == 4 || name == "link" && verb == 11 {
				continue // links are followed on the disk
			}
			script = append(script, fmt.Sprint(verb, " ", name))
			got, want := act(draft, drafted, verb, name, text), act(nil, real, verb, name, text)
			if got != want {
				t.Fatalf("seed %d: after %q the draft says %q, the disk %q", seed, script, got, want)
			}
		}
		perform(t, drafted, told, changes, secret)
		if after := treeOf(t, drafted); !maps.Equal(before, after) {
			t.Fatalf("seed %d: %q changed the disk to %v", seed, script, after)
		}
		if got, want := treeOf(t, told), treeOf(t, real); !maps.Equal(got, want) {
			t.Fatalf("seed %d: %q\ntold %v\nis   %v", seed, script, got, want)
		}
	}
}

func TestDraftShowsWhatChanges(t *testing.T) {
	root := t.TempDir()
	seedTree(t, root)
	var changes []Change
	draft := NewDraft(func(c Change) { changes = append(changes, c) })
	if err := draft.Write(filepath.Join(root, "a/x"), []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || !changes[0].Existed || string(changes[0].Before) != "first a/x" || string(changes[0].After) != "second" {
		t.Errorf("told %+v", changes)
	}
	if !draft.Pending(filepath.Join(root, "a/x")) || draft.Pending(filepath.Join(root, "z")) {
		t.Error("which file is another one is told wrong")
	}
	if (*Files)(nil).Pending(filepath.Join(root, "a/x")) {
		t.Error("on the disk something is pending")
	}
}

func TestDraftTakesNoLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	draft := NewDraft(func(c Change) { t.Errorf("told %+v", c) })
	lock, err := draft.Acquire(context.Background(), path, "setup", 0)
	if err != nil || lock != nil || lock.Check() != nil || lock.Unlock() != nil {
		t.Fatalf("a free lock gives %v, %v", lock, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file is there: %v", err)
	}
	held, err := Acquire(context.Background(), path, "update", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	var locked *LockedError
	if _, err := draft.Acquire(context.Background(), path, "setup", time.Millisecond); !errors.As(err, &locked) || locked.Verb != "update" {
		t.Errorf("a held lock gives %v", err)
	}
	ended, stop := context.WithCancel(context.Background())
	stop()
	if _, err := draft.Acquire(ended, path, "setup", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

func TestDraftOfNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "not", "there")
	var kinds []string
	draft := NewDraft(func(c Change) { kinds = append(kinds, string(c.Kind)+" "+filepath.Base(c.Path)) })
	if err := draft.EnsureDir(root); err != nil {
		t.Fatal(err)
	}
	if err := draft.Write(filepath.Join(root, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := draft.RemoveDir(root, "f"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"make-folder not", "make-folder there", "write f", "remove there"}; !slices.Equal(kinds, want) {
		t.Errorf("told %q, want %q", kinds, want)
	}
	if err := draft.Write(filepath.Join(root, "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a write into a folder that is gone: %v", err)
	}
}
