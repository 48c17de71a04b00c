package command

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// F52: absent, not executable, a folder; and who wins.
func TestFind(t *testing.T) {
	root := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }
	for _, dir := range []string{"first/folder", "second", "late"} {
		if err := os.MkdirAll(at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, mode := range map[string]os.FileMode{
		"first/tool": 0o755, "second/tool": 0o755, "late/tool": 0o755, "late/only": 0o755,
		"first/plain": 0o644, "second/shadowed": 0o644, "late/shadowed": 0o755,
	} {
		if err := os.WriteFile(at(file), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", at("first/dangling")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(at("late"))
	r := Runner{Path: strings.Join([]string{"", ".", at("missing"), at("first"), at("second")}, ":"), Dirs: []string{at("late")}}

	for _, tc := range []struct {
		name, arg, want string
		err             error // nil with no want: any error but ErrToolMissing
	}{
		{"first on the path", "tool", at("first/tool"), nil},
		{"known place", "only", at("late/only"), nil},
		{"one that cannot run is passed over", "shadowed", at("late/shadowed"), nil},
		{"absolute", at("second/tool"), at("second/tool"), nil},
		{"absent", "mpd-no-such-tool", "", hypervisor.ErrToolMissing},
		{"absent, absolute", at("second/nothing"), "", hypervisor.ErrToolMissing},
		{"below a file", at("second/tool/x"), "", hypervisor.ErrToolMissing},
		{"dangling link", "dangling", "", hypervisor.ErrToolMissing},
		{"a folder", "folder", "", hypervisor.ErrToolMissing},
		{"a folder, absolute", at("first/folder"), "", hypervisor.ErrToolMissing},
		{"not executable", "plain", "", fs.ErrPermission},
		{"not executable, absolute", at("first/plain"), "", fs.ErrPermission},
		{"relative", "late/tool", "", nil},
		{"relative with dot", "./tool", "", nil},
		{"empty", "", "", nil},
		{"dots", "..", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := r.find(tc.arg)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Fatalf("find(%q) = %q, %v; want %q", tc.arg, got, err, tc.want)
			}
			if tc.err != nil && !errors.Is(err, tc.err) {
				t.Errorf("find(%q): %v, want %v", tc.arg, err, tc.err)
			}
			if tc.err != hypervisor.ErrToolMissing && errors.Is(err, hypervisor.ErrToolMissing) {
				t.Errorf("find(%q): %v, but the tool is not missing", tc.arg, err)
			}
		})
	}
}

func TestNewTakesTheLastPath(t *testing.T) {
	r := New([]string{"PATH=/old", "PATHS=/x", "PATH=/new=1", "HOME=/h"})
	if r.Path != "/new=1" || len(r.Dirs) == 0 {
		t.Errorf("Path %q, Dirs %q", r.Path, r.Dirs)
	}
	if r := New(nil); r.Path != "" {
		t.Errorf("Path %q without an environment", r.Path)
	}
}

func FuzzShow(f *testing.F) {
	f.Add("a b")
	f.Add("\x1b[2J")
	f.Add("two\nlines")
	f.Fuzz(func(t *testing.T, arg string) {
		got := show([]string{"tool", arg})
		for _, c := range []byte(got) {
			if c < ' ' || c >= 0x7f {
				t.Fatalf("show(%q) = %q holds a control or a foreign byte", arg, got)
			}
		}
	})
}
