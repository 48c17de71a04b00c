package mpdvirt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// The questions about ~/.mpd-virt itself.

func (m *Manager) root() string { return filepath.Dir(m.state.SharedLockFile()) }

func (d *doctor) askState() Check {
	root := d.m.root()
	err := statefile.CheckDir(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Check{Status: OK, Summary: "there is no " + root + " yet: the first setup makes it"}
	case err == nil:
		err = d.listErr
	}
	if err != nil {
		c := found(err)
		if len(c.Fixes) == 0 {
			c.Fixes = []Fix{{Text: "it must be a folder of your own with mode 0700: look what it is", Argv: []string{"ls", "-ld", root}}}
		}
		return c
	}
	return Check{Status: OK, Summary: root}
}

// file is something below the state folder, by its path there.
type file struct {
	name string
	info fs.FileInfo
	err  error // why it cannot be looked at
}

// dir says whether f is a folder.
func (f file) dir() bool { return f.info != nil && f.info.IsDir() }

// stateFiles are all files below the state folder, without what is in the cache
// and in logs: nothing there is secret, and it may be much.
func (m *Manager) stateFiles() []file {
	var out []file
	root := m.root()
	// An error of a folder is told by walk, and what is next to it looked at.
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(root, path)
		if relErr != nil || name == "." && errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll
		}
		f := file{name: name, err: err}
		if err == nil {
			f.info, f.err = entry.Info()
		}
		if errors.Is(f.err, fs.ErrNotExist) { // another run has just removed it
			return nil
		}
		out = append(out, f)
		if f.dir() && (name == "cache" || filepath.Base(name) == "logs") {
			return fs.SkipDir
		}
		return nil
	})
	return out
}

// askPermissions wants all files to be the user's own, and the secret ones to be
// nobody else's to read.
func (d *doctor) askPermissions() Check {
	root := d.m.root()
	wrong := map[problem][]string{}
	for _, f := range d.files() {
		if p := judge(f); p != "" {
			wrong[p] = append(wrong[p], filepath.Join(root, f.name))
		}
	}
	c := Check{}
	for _, p := range problems() {
		if paths := wrong[p.problem]; len(paths) > 0 {
			c.finding(p.status, fmt.Sprintf("%s: %s", p.problem, some(paths)), p.fix(paths))
		}
	}
	if _, err := os.Lstat(root); err == nil && len(wrong) == 0 {
		return Check{Status: OK, Summary: "all files are your own, and the secret ones closed to others"}
	}
	if c.Status == "" {
		return Check{Status: Skipped, Summary: "not asked: there are no files yet"}
	}
	return c
}

// problem is what is wrong with the rights on a file.
type problem string

const (
	notOurs    problem = "of another user"
	aLink      problem = "a symbolic link, which every run refuses"
	readable   problem = "a secret that others may read"
	unreadable problem = "cannot be looked at"
	openFolder problem = "a folder that others may enter"
	readOnly   problem = "a folder that you may not write to"
)

// rights is how bad a problem is, and the command that mends it.
type rights struct {
	problem problem
	status  Status
	argv    []string // before the paths; none: look at them
	root    bool
}

// problems are in the order in which to mend them.
func problems() []rights {
	return []rights{
		{notOurs, Fail, []string{"chown", "-h", strconv.Itoa(os.Getuid())}, true},
		{aLink, Fail, nil, false},
		{readable, Fail, []string{"chmod", "go-rwx"}, false},
		{unreadable, Fail, nil, false},
		{openFolder, Warn, []string{"chmod", "go-rwx"}, false},
		{readOnly, Warn, []string{"chmod", "u+w"}, false},
	}
}

func (r rights) fix(paths []string) Fix {
	if r.argv == nil {
		return Fix{Text: "look at it", Argv: append([]string{"ls", "-ld"}, paths...)}
	}
	return Fix{Argv: slices.Concat(r.argv, paths), Root: r.root}
}

// judge is the worst that is to say of a file, "" for nothing.
func judge(f file) problem {
	if f.err != nil {
		return unreadable
	}
	mode := f.info.Mode()
	switch stat, ok := f.info.Sys().(*syscall.Stat_t); {
	case ok && int(stat.Uid) != os.Getuid():
		return notOurs
	case mode&fs.ModeSymlink != 0 && ourFile(f.name):
		return aLink
	case mode.IsRegular() && mode.Perm()&0o077 != 0 && secret(f.name):
		return readable
	case mode.IsDir() && mode.Perm()&0o077 != 0 && ourFile(f.name):
		return openFolder
	case mode.IsDir() && mode.Perm()&0o200 == 0 && ourFile(f.name):
		return readOnly
	}
	return ""
}

// ourFile says whether a path below the state folder is one that this program
// makes; people may keep other things there.
func ourFile(name string) bool {
	first, _, _ := strings.Cut(name, string(filepath.Separator))
	_, err := hypervisor.ParseOctet(first)
	return err == nil || slices.Contains([]string{".", "conf", "cache", "ssh_config"}, first)
}

// secret says whether a file may hold a private key.
func secret(name string) bool {
	first, rest, _ := strings.Cut(name, string(filepath.Separator))
	switch base := filepath.Base(name); {
	case first == "conf":
		public := base == "public" || base == "mac.public" || strings.HasSuffix(base, ".pem") && !strings.HasSuffix(base, "-key.pem")
		return !public
	case ourFile(name): // the seed of a VM that is being made
		return strings.HasPrefix(rest, makingName+string(filepath.Separator))
	}
	return false
}
