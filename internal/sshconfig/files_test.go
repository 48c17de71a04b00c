package sshconfig

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

func rendered(t *testing.T, vms ...VM) string {
	t.Helper()
	data, err := Render(vms)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAssertFromNothingAndBack(t *testing.T) { // F92: ~/.ssh missing
	h := newHome(t)
	h.assert(true, testVM(150))
	h.has(h.Ours, rendered(t, testVM(150)), 0o600)
	h.has(h.User, h.line()+", which made this file\n", 0o600)
	for _, dir := range []string{".ssh", ".mpd-virt"} {
		if info, err := os.Stat(filepath.Join(h.dir, dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; want 0700", dir, info, err)
		}
	}
	h.assert(true)
	h.missing(h.User)
	h.missing(h.Ours)
}

func TestAssertOnNothingMakesNothing(t *testing.T) {
	h := newHome(t)
	h.assert(false)
	if entries, err := os.ReadDir(h.dir); err != nil || len(entries) > 0 {
		t.Errorf("the home folder holds %v, %v", entries, err)
	}
}

func TestAssertKeepsTheUsersBytes(t *testing.T) { // O4
	for _, text := range []string{"", "\n", "Host a", "Host a\r\n  User b\r\n", "Include ~/.orbstack/ssh/config\n", "\xff\x00\n"} {
		h := withConfig(t, text)
		if err := os.Chmod(h.User, 0o644); err != nil {
			t.Fatal(err)
		}
		h.assert(true, testVM(150))
		end := string(ending([]byte(text)))
		h.has(h.User, h.line()+end+text, 0o644)
		h.assert(true, testVM(150), testVM(151))
		h.has(h.User, h.line()+end+text, 0o644)
		h.assert(true)
		h.has(h.User, text, 0o644)
		h.missing(h.Ours)
	}
}

func TestAssertFollowsTheRegistry(t *testing.T) {
	h := withConfig(t, "Host a\n")
	h.assert(true, testVM(151), testVM(150))
	h.has(h.Ours, rendered(t, testVM(150), testVM(151)), 0o600)
	moved := testVM(150)
	moved.User = "petr"
	if err := h.Check([]VM{moved, testVM(151)}); !errors.Is(err, ErrDiffers) || hint.Of(err) != "mpd-virt diag 150" {
		t.Errorf("Check with another user: %v, hint %q", err, hint.Of(err))
	}
	h.assert(true, moved, testVM(151))
	h.assert(true, testVM(151))
	h.has(h.Ours, rendered(t, testVM(151)), 0o600)
}

func TestAssertRepairs(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(h home) error
	}{
		{"our file gone", func(h home) error { return os.Remove(h.Ours) }},
		{"our folder gone", func(h home) error { return os.RemoveAll(filepath.Dir(h.Ours)) }},
		{"our file edited", func(h home) error { return os.WriteFile(h.Ours, []byte("Host *\n"), 0o600) }},
		{"our file empty", func(h home) error { return os.Truncate(h.Ours, 0) }},
		{"our file huge", func(h home) error { return os.Truncate(h.Ours, maxSize+1) }},
		{"our file open to others", func(h home) error { return os.Chmod(h.Ours, 0o666) }},
		{"line gone", func(h home) error { return os.WriteFile(h.User, []byte("Host a\n"), 0o600) }},
		{"line not first", func(h home) error { return os.WriteFile(h.User, []byte("Host a\n"+h.line()), 0o600) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := withConfig(t, "Host a\n")
			h.assert(true, testVM(150))
			if err := tt.spoil(h); err != nil {
				t.Fatal(err)
			}
			if err := h.Check([]VM{testVM(150)}); !errors.Is(err, ErrDiffers) {
				t.Errorf("Check: %v; want ErrDiffers", err)
			}
			h.assert(true, testVM(150))
			h.has(h.Ours, rendered(t, testVM(150)), 0o600)
			h.has(h.User, h.line()+"\nHost a\n", 0o600)
		})
	}
}

func TestAssertRemovesOnlyWhatItMade(t *testing.T) {
	vm := testVM(150)
	t.Run("the user wrote into it", func(t *testing.T) {
		h := newHome(t)
		h.assert(true, vm)
		made, err := os.ReadFile(h.User)
		if err != nil {
			t.Fatal(err)
		}
		h.write(h.User, string(made)+"Host a\n")
		h.assert(false, vm)
		h.assert(true)
		h.has(h.User, "Host a\n", 0o600)
	})
	t.Run("the user moved it into a repository", func(t *testing.T) {
		h := newHome(t)
		h.assert(true, vm)
		h.mkdir("dotfiles")
		target := filepath.Join(h.dir, "dotfiles/config")
		if err := os.Rename(h.User, target); err != nil {
			t.Fatal(err)
		}
		h.symlink(target, h.User)
		h.assert(false, vm)
		h.assert(true)
		h.has(h.User, "", 0o600)
	})
	t.Run("a killed run had removed the line only", func(t *testing.T) {
		h := newHome(t)
		h.assert(true, vm)
		if err := os.Remove(h.User); err != nil {
			t.Fatal(err)
		}
		h.assert(true)
		h.missing(h.Ours)
	})
}

func TestAssertThroughLinks(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		h := newHome(t)
		h.mkdir(".ssh")
		h.mkdir("dotfiles")
		target := filepath.Join(h.dir, "dotfiles/sshconfig")
		h.write(target, "Host a\r\n")
		h.symlink("../dotfiles/sshconfig", h.User)
		h.assert(true, testVM(150))
		h.has(target, h.line()+"\r\nHost a\r\n", 0o600)
		h.assert(true)
		h.has(target, "Host a\r\n", 0o600)
		if to, err := os.Readlink(h.User); err != nil || to != "../dotfiles/sshconfig" {
			t.Errorf("the link is now %q, %v", to, err)
		}
	})
	t.Run("folder", func(t *testing.T) { // F92: ~/.ssh a symlink
		h := newHome(t)
		h.mkdir("dotfiles")
		h.symlink("dotfiles", filepath.Join(h.dir, ".ssh"))
		h.assert(true, testVM(150))
		h.has(filepath.Join(h.dir, "dotfiles/config"), h.line()+", which made this file\n", 0o600)
		h.assert(true)
		h.missing(filepath.Join(h.dir, "dotfiles/config"))
	})
}

// F92 and F96: what stands where a file or folder should be is named, and
// nothing is written, also not to where a link leads.
func TestAssertRefuses(t *testing.T) {
	tests := []struct {
		name, want string
		plant      func(h home)
	}{
		{"~/.ssh is a file", "not a folder", func(h home) { h.write(filepath.Join(h.dir, ".ssh"), "x") }},
		{"~/.ssh leads nowhere", "link to nothing", func(h home) { h.symlink("gone", filepath.Join(h.dir, ".ssh")) }},
		{"config leads nowhere", ".ssh/config is a symbolic link that leads nowhere", func(h home) { h.mkdir(".ssh"); h.symlink("gone", h.User) }},
		{"config leads to itself", ".ssh/config is a symbolic link that leads nowhere", func(h home) { h.mkdir(".ssh"); h.symlink("config", h.User) }},
		{"config is a folder", "is a folder, not a file", func(h home) { h.mkdir(".ssh/config") }},
		{"our file is a link", "is a symbolic link, not a file", func(h home) {
			h.mkdir(".mpd-virt")
			h.write(filepath.Join(h.dir, "victim"), "x")
			h.symlink("../victim", h.Ours)
		}},
		{"our file is a folder", "is a folder, not a file", func(h home) { h.mkdir(".mpd-virt/ssh_config") }},
		{"our folder is a link", "is a symbolic link, not a folder", func(h home) {
			h.mkdir("victim")
			h.write(filepath.Join(h.dir, "victim/ssh_config"), "x")
			h.symlink("victim", filepath.Join(h.dir, ".mpd-virt"))
		}},
		{"our folder is a file", "is a file, not a folder", func(h home) { h.write(filepath.Join(h.dir, ".mpd-virt"), "x") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t)
			tt.plant(h)
			h.fails(tt.want, testVM(150))
			h.fails(tt.want)
		})
	}
	t.Run("a VM that cannot be written", func(t *testing.T) {
		h := withConfig(t, "Host a\n")
		h.fails("twice", testVM(150), testVM(150))
	})
	t.Run("a home that cannot be written", func(t *testing.T) {
		h := withConfig(t, "Host a\n")
		h.Ours = filepath.Join(h.dir, "100%/ssh_config")
		h.fails("'%'", testVM(150))
		h.assert(false)
	})
}

// F91: an editor that saves between our reading and our writing.
func TestAssertWhileTheUserEdits(t *testing.T) {
	edits := func(h home, times int) (writer, *int) {
		n := 0
		return func(path string, data []byte, perm fs.FileMode, was *statefile.Snapshot) error {
			if n++; n <= times {
				h.write(h.User, strings.Repeat("# edit\n", n)+"Host a\n")
			}
			return statefile.WriteThrough(path, data, perm, was)
		}, &n
	}
	t.Run("once", func(t *testing.T) {
		h := withConfig(t, "Host a\n")
		write, calls := edits(h, 1)
		if changed, err := h.Files.assert([]VM{testVM(150)}, write); err != nil || !changed || *calls != 2 {
			t.Fatalf("assert = %v, %v after %d writes; want true after 2", changed, err, *calls)
		}
		h.has(h.User, h.line()+"\n# edit\nHost a\n", 0o600)
		h.assert(false, testVM(150))
	})
	t.Run("always", func(t *testing.T) {
		h := withConfig(t, "Host a\n")
		write, calls := edits(h, 100)
		changed, err := h.Files.assert([]VM{testVM(150)}, write)
		if !errors.Is(err, statefile.ErrChanged) || !changed || *calls != 2 {
			t.Fatalf("assert = %v, %v after %d writes; want ErrChanged after 2, our own file written", changed, err, *calls)
		}
		if !strings.Contains(err.Error(), h.User) || hint.Of(err) == "" {
			t.Errorf("error %q, hint %q: want the file's name and a next step", err, hint.Of(err))
		}
		h.has(h.User, "# edit\n# edit\nHost a\n", 0o600)
		h.assert(true, testVM(150))
	})
	t.Run("before the file that we made is removed", func(t *testing.T) {
		h := newHome(t)
		h.assert(true, testVM(150))
		p, err := h.plan(nil)
		if err != nil || p.user != remove {
			t.Fatalf("plan: %+v, %v", p, err)
		}
		h.write(h.User, "Host a\n")
		if _, err := p.run(statefile.WriteThrough); !errors.Is(err, statefile.ErrChanged) {
			t.Errorf("run: %v; want ErrChanged", err)
		}
		h.has(h.User, "Host a\n", 0o600)
	})
}

// O5: what a run that was killed in a write left behind goes with the next.
func TestAssertRemovesTemporaryFiles(t *testing.T) {
	h := withConfig(t, "Host a\n")
	h.mkdir(".mpd-virt")
	stale := []string{filepath.Join(h.dir, ".ssh/.mpd-virt-x.tmp"), filepath.Join(h.dir, ".mpd-virt/.mpd-virt-x.tmp")}
	for _, path := range stale {
		h.write(path, "half")
	}
	h.assert(true, testVM(150))
	for _, path := range stale {
		h.missing(path)
	}
}

func TestWarnings(t *testing.T) { // F92: ~/.ssh 0777
	h := withConfig(t, "Host a\n")
	if got := h.Warnings(); len(got) != 0 {
		t.Errorf("warnings for good modes: %q", got)
	}
	dir := filepath.Dir(h.User)
	if err := errors.Join(os.Chmod(dir, 0o777), os.Chmod(h.User, 0o620)); err != nil {
		t.Fatal(err)
	}
	got := h.Warnings()
	if len(got) != 2 || !strings.Contains(got[0], dir+" is writable") || !strings.Contains(got[1], h.User+" is writable") {
		t.Errorf("warnings: %q; want one for the folder, one for the file", got)
	}
	h.assert(true, testVM(150))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("the mode of a foreign folder was changed: %v, %v", info.Mode(), err)
	}
	if got := newHome(t).Warnings(); len(got) != 0 {
		t.Errorf("warnings without ~/.ssh: %q", got)
	}
}
