package macemu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// maxFile bounds the files that are read.
const maxFile = 1 << 20

// readFile reads an ordinary file that the caller of a tool named; a tool that
// waits for a pipe is not played.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, syscall.EISDIR
	case info.Size() > maxFile:
		return nil, statefile.ErrTooBig
	}
	return os.ReadFile(name)
}

// exists says whether a file is there.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// resolverDir is where the files of domains' name servers are. C
const resolverDir = "/etc/resolver"

// mapped is the real place of a file of the played Mac; ok is false for a path
// that is not played. C: /etc is a link to /private/etc
func (e *Emulator) mapped(name string) (real string, ok bool) {
	name = strings.TrimPrefix(path.Clean(name), "/private")
	if name != resolverDir && !strings.HasPrefix(name, resolverDir+"/") {
		return "", false
	}
	return filepath.Join(e.opts.Root, filepath.FromSlash(name)), true
}

// files are the tools with which root changes /etc/resolver. Their other uses are
// not played.
func (c *call) files() (int, error) {
	switch c.tool {
	case "mkdir":
		return c.operands("pm:", c.mkdir)
	case "tee":
		return c.operands("a", c.tee)
	case "install":
		return c.operands("dm:o:g:v", c.install)
	case "cp":
		return c.operands("f", func(o options, names []string) (int, error) { return c.copyTo(o, names, 0) })
	case "chmod":
		return c.operands("", c.chmod)
	case "rm":
		return c.operands("fr", c.rm)
	case "rmdir":
		return c.operands("", c.rmdir)
	}
	return c.notPlayed()
}

func (c *call) operands(spec string, do func(o options, names []string) (int, error)) (int, error) {
	o, names, ok := getopt(c.args, spec)
	if !ok || len(names) == 0 {
		return c.notPlayed()
	}
	return do(o, names)
}

// each does something to each of the names, which must all be played, and
// complains as BSD's tools do.
func (c *call) each(names []string, do func(real string) error) (int, error) {
	for _, n := range names {
		if _, ok := c.e.mapped(n); !ok {
			return c.notPlayed()
		}
	}
	status := 0
	for _, n := range names {
		real, _ := c.e.mapped(n)
		if err := c.allowed(real, do); err != nil {
			status, _ = c.say(1, "%s: %s: %s", c.tool, n, reason(err))
		}
	}
	return status, nil
}

// allowed does something to a file if the user may: what is below /etc is
// root's. C
func (c *call) allowed(real string, do func(real string) error) error {
	switch {
	case c.e.opts.Root == "":
		return syscall.EROFS
	case !c.root:
		return fs.ErrPermission
	case c.dry:
		return nil
	}
	return do(real)
}

// reason is an error in the words of strerror.
func reason(err error) string {
	var kind *statefile.KindError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "No such file or directory"
	case errors.Is(err, fs.ErrPermission):
		return "Permission denied"
	case errors.Is(err, syscall.EROFS):
		return "Read-only file system"
	case errors.As(err, &kind), errors.Is(err, syscall.EISDIR):
		return "Is a directory"
	case errors.Is(err, syscall.ENOTEMPTY):
		return "Directory not empty"
	case errors.Is(err, fs.ErrExist): // to Go, a folder that is not empty, too
		return "File exists"
	case errors.Is(err, syscall.ENOTDIR):
		return "Not a directory"
	}
	return err.Error()
}

// mode reads an octal mode; "" is the usual one.
func mode(text string, usual fs.FileMode) (fs.FileMode, bool) {
	if text == "" {
		return usual, true
	}
	n, err := strconv.ParseUint(text, 8, 12)
	return fs.FileMode(n) & fs.ModePerm, err == nil
}

func (c *call) mkdir(o options, names []string) (int, error) {
	perm, ok := mode(o.last('m'), 0o755)
	if !ok {
		return c.notPlayed()
	}
	return c.each(names, func(real string) error { return makeDir(real, perm, o.has('p')) })
}

func makeDir(real string, perm fs.FileMode, parents bool) error {
	create := os.Mkdir
	if parents {
		create = os.MkdirAll
	} else if !exists(filepath.Dir(real)) && path.Base(filepath.ToSlash(real)) == "resolver" {
		// /etc itself is on every Mac.
		if err := os.MkdirAll(filepath.Dir(real), 0o755); err != nil {
			return err
		}
	}
	if err := create(real, perm); err != nil {
		return err
	}
	return os.Chmod(real, perm) // whatever this process's umask is
}

// tee writes its input to files and prints it. A file that is there keeps its
// mode.
func (c *call) tee(o options, names []string) (int, error) {
	data, err := c.stdin()
	if err != nil {
		return 0, err
	}
	c.out.Write(data)
	return c.each(names, func(real string) error {
		perm := fs.FileMode(0o644)
		if info, err := os.Stat(real); err == nil {
			perm = info.Mode().Perm()
		}
		text := data
		if o.has('a') {
			before, err := os.ReadFile(real)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			text = append(before, data...)
		}
		return statefile.Write(real, text, perm)
	})
}

// install makes folders with -d, and else copies one file. Owners are all root
// and wheel here.
func (c *call) install(o options, names []string) (int, error) {
	perm, ok := mode(o.last('m'), 0o755)
	owner, group := or(o.last('o'), "root"), or(o.last('g'), "wheel")
	switch {
	case !ok, owner != "root" && owner != "0", group != "wheel" && group != "0":
		return c.notPlayed()
	case o.has('d'):
		return c.each(names, func(real string) error { return makeDir(real, perm, true) })
	}
	return c.copyTo(o, names, perm)
}

// copyTo copies one file; perm 0 is the mode of what is there, or of the source.
func (c *call) copyTo(_ options, names []string, perm fs.FileMode) (int, error) {
	if len(names) != 2 {
		return c.notPlayed()
	}
	from, to := names[0], names[1]
	if real, ok := c.e.mapped(from); ok {
		from = real
	}
	data, err := readFile(from)
	if err != nil {
		return c.say(1, "%s: %s: %s", c.tool, names[0], reason(err))
	}
	usual := fs.FileMode(0o644)
	if info, err := os.Stat(from); err == nil {
		usual = info.Mode().Perm() &^ 0o022 // of the umask that everybody has
	}
	return c.each([]string{to}, func(real string) error {
		if there, err := os.Stat(real); err == nil && there.IsDir() {
			real = filepath.Join(real, filepath.Base(from))
		}
		mode := perm
		if there, err := os.Stat(real); mode == 0 && err == nil {
			mode = there.Mode().Perm()
		} else if mode == 0 {
			mode = usual
		}
		return statefile.Write(real, data, mode)
	})
}

func (c *call) chmod(_ options, names []string) (int, error) {
	perm, ok := mode(names[0], 0)
	if !ok || len(names) < 2 {
		return c.notPlayed()
	}
	return c.each(names[1:], func(real string) error { return os.Chmod(real, perm) })
}

func (c *call) rm(o options, names []string) (int, error) {
	return c.each(names, func(real string) error {
		info, err := os.Lstat(real)
		switch {
		case err != nil && o.has('f') && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case info.IsDir() && !o.has('r'):
			return syscall.EISDIR
		}
		return os.RemoveAll(real)
	})
}

func (c *call) rmdir(_ options, names []string) (int, error) {
	return c.each(names, func(real string) error {
		if info, err := os.Lstat(real); err == nil && !info.IsDir() {
			return fmt.Errorf("rmdir: %w", syscall.ENOTDIR)
		}
		return os.Remove(real)
	})
}
