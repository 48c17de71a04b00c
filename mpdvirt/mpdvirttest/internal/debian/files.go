package debian

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

func cat(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "u v")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 {
		o.rest = []string{"-"}
	}
	status := 0
	for _, name := range o.rest {
		var in io.Reader = p.Stdin
		if name != "-" && name != "/dev/stdin" {
			f, err := p.FS.Open(p.Path(name), os.O_RDONLY, 0)
			if err != nil {
				status = p.Errorf("cat: %s: %s", name, reason(err))
				continue
			}
			in = f
		}
		if _, err := io.Copy(p.Stdout, in); err != nil {
			status = p.Errorf("cat: %s", reason(err))
		}
	}
	return status
}

func cp(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "a f p r T no-target-directory")
	if !ok {
		return 1
	}
	return p.each("cp", o, func(from, to string) error {
		data, err := p.FS.ReadFile(p.Path(from))
		if err != nil {
			return err
		}
		info, err := p.FS.Stat(p.Path(from))
		if err != nil {
			return err
		}
		return p.writeFile(to, data, info.Mode().Perm())
	})
}

func mv(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "f n v T no-target-directory")
	if !ok {
		return 1
	}
	return p.each("mv", o, func(from, to string) error {
		return p.FS.Rename(p.Path(from), p.Path(to))
	})
}

// each does what cp and mv do for every source.
func (p *Process) each(program string, o options, do func(from, to string) error) int {
	if len(o.rest) < 2 {
		return p.Errorf("%s: missing file operand", program)
	}
	to, from := o.rest[len(o.rest)-1], o.rest[:len(o.rest)-1]
	info, err := p.FS.Stat(p.Path(to))
	into := err == nil && info.IsDir() && !o.has("T") && !o.has("no-target-directory")
	if len(from) > 1 && !into {
		return p.Errorf("%s: target '%s': Not a directory", program, to)
	}
	status := 0
	for _, f := range from {
		target := to
		if into {
			target = path.Join(to, path.Base(f))
		}
		if err := do(f, target); err != nil {
			status = p.Errorf("%s: cannot move or copy '%s' to '%s': %s", program, f, target, reason(err))
		}
	}
	return status
}

func rm(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "f r R recursive force v")
	if !ok {
		return 1
	}
	status := 0
	for _, name := range o.rest {
		info, err := p.FS.Lstat(p.Path(name))
		switch {
		case errors.Is(err, fs.ErrNotExist) && (o.has("f") || o.has("force")):
			continue
		case err == nil && info.IsDir() && !o.has("r") && !o.has("R") && !o.has("recursive"):
			err = syscall.EISDIR
		case err == nil && info.IsDir():
			err = p.FS.RemoveAll(p.Path(name))
		case err == nil:
			err = p.FS.Remove(p.Path(name))
		}
		if err != nil {
			status = p.Fail("rm", "cannot remove", name, err)
		}
	}
	return status
}

func rmdir(_ context.Context, p *Process, args []string) int {
	status := 0
	for _, name := range args[1:] {
		info, err := p.FS.Lstat(p.Path(name))
		if err == nil && !info.IsDir() {
			err = syscall.ENOTDIR
		}
		if err == nil {
			err = p.FS.Remove(p.Path(name))
		}
		if err != nil {
			status = p.Fail("rmdir", "failed to remove", name, err)
		}
	}
	return status
}

func mkdir(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "p parents m= mode=")
	if !ok {
		return 1
	}
	perm := fs.FileMode(0o777 &^ (p.Mask | 0o022))
	status := 0
	for _, name := range o.rest {
		var err error
		if o.has("p") || o.has("parents") {
			err = p.FS.MkdirAll(p.Path(name), perm)
		} else {
			err = p.FS.Mkdir(p.Path(name), perm)
		}
		if m := o.set["m"] + o.set["mode"]; err == nil && m != "" {
			err = p.setMode(name, m)
		}
		if err != nil {
			status = p.Fail("mkdir", "cannot create directory", name, err)
		}
	}
	return status
}

func ln(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "s f n T")
	if !ok || len(o.rest) != 2 || !o.has("s") {
		return p.Errorf("ln: only ln -s TARGET NAME is played")
	}
	if o.has("f") {
		p.FS.Remove(p.Path(o.rest[1])) // what stays makes Symlink fail
	}
	if err := p.FS.Symlink(o.rest[0], p.Path(o.rest[1])); err != nil {
		return p.Fail("ln", "failed to create symbolic link", o.rest[1], err)
	}
	return 0
}

func readlink(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "f e n")
	if !ok || len(o.rest) != 1 {
		return 1
	}
	name := p.Path(o.rest[0])
	target, err := p.FS.Readlink(name)
	for seen := 0; o.has("f") || o.has("e"); seen++ {
		if err != nil || seen > 40 {
			target, err = path.Clean(name), nil
			break
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = target
		target, err = p.FS.Readlink(name)
	}
	if err != nil {
		return 1
	}
	p.Printf("%s\n", target)
	return 0
}

func touch(_ context.Context, p *Process, args []string) int {
	status := 0
	for _, name := range args[1:] {
		f, err := p.FS.Open(p.Path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			status = p.Fail("touch", "cannot touch", name, err)
			continue
		}
		f.Close()
	}
	return status
}

func mktemp(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "d q u p= tmpdir? directory t")
	if !ok {
		return 1
	}
	template := "tmp.XXXXXXXXXX"
	if len(o.rest) > 0 {
		template = o.rest[0]
	}
	dir := o.set["p"] + o.set["tmpdir"]
	if dir == "" && (len(o.rest) == 0 || o.has("t") || o.has("tmpdir")) {
		if dir = p.Env["TMPDIR"]; dir == "" {
			dir = "/tmp"
		}
	}
	stem := strings.TrimRight(template, "X")
	if len(template)-len(stem) < 3 {
		return p.Errorf("mktemp: too few X's in template '%s'", template)
	}
	for {
		name := stem + rand.Text()[:min(26, len(template)-len(stem))]
		if dir != "" {
			name = dir + "/" + name
		}
		err := p.makeTemp(name, o.has("d") || o.has("directory"))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return p.Errorf("mktemp: failed to create file via template '%s': %s", template, reason(err))
		}
		p.Printf("%s\n", name)
		return 0
	}
}

func (p *Process) makeTemp(name string, folder bool) error {
	if folder {
		return p.FS.Mkdir(p.Path(name), 0o700)
	}
	_, err := p.FS.Open(p.Path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return err
}
