package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

func chmod(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "f R")
	if !ok || len(o.rest) < 2 {
		return p.Errorf("chmod: missing operand")
	}
	status := 0
	for _, name := range o.rest[1:] {
		if err := p.setMode(name, o.rest[0]); err != nil {
			status = p.Fail("chmod", "changing permissions of", name, err)
		}
	}
	return status
}

// setMode takes octal modes and the forms u+x, go-rwx, a=r and so on.
func (p *Process) setMode(name, mode string) error {
	info, err := p.FS.Stat(p.Path(name))
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(mode, 8, 32); err == nil {
		return p.FS.Chmod(p.Path(name), memfs.Mode(uint32(n)))
	}
	perm := info.Mode().Perm()
	for _, clause := range strings.Split(mode, ",") {
		i := strings.IndexAny(clause, "+-=")
		if i < 0 {
			return errors.New("invalid mode")
		}
		who, what := clause[:i], fs.FileMode(0)
		for j, c := range "xwr" {
			if strings.ContainsRune(clause[i+1:], c) {
				what |= 1 << j
			}
		}
		for j, c := range "ogu" {
			if who != "" && !strings.ContainsRune(who, c) && !strings.Contains(who, "a") {
				continue
			}
			switch clause[i] {
			case '+':
				perm |= what << (3 * j)
			case '-':
				perm &^= what << (3 * j)
			case '=':
				perm = perm&^(7<<(3*j)) | what<<(3*j)
			}
		}
	}
	return p.FS.Chmod(p.Path(name), perm)
}

func chown(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "R h")
	if !ok || len(o.rest) < 2 {
		return p.Errorf("chown: missing operand")
	}
	user, _, _ := strings.Cut(o.rest[0], ":")
	uid := 1000
	if user == "root" || user == "0" {
		uid = memfs.Root
	}
	status := 0
	for _, name := range o.rest[1:] {
		if err := p.FS.Chown(p.Path(name), uid); err != nil {
			status = p.Fail("chown", "changing ownership of", name, err)
		}
	}
	return status
}

func ls(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "1 a A d l")
	if !ok {
		return 2
	}
	if len(o.rest) == 0 {
		o.rest = []string{"."}
	}
	status := 0
	for _, name := range o.rest {
		info, err := p.FS.Lstat(p.Path(name))
		if err != nil {
			p.Fail("ls", "cannot access", name, err)
			status = 2
			continue
		}
		if !info.IsDir() || o.has("d") {
			p.Printf("%s\n", name)
			continue
		}
		list, err := p.FS.ReadDir(p.Path(name))
		if err != nil {
			p.Fail("ls", "cannot open directory", name, err)
			status = 2
		}
		for _, e := range list {
			if o.has("a") || o.has("A") || e.Name()[0] != '.' {
				p.Printf("%s\n", e.Name())
			}
		}
	}
	return status
}

func stat(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "c= format= printf= L dereference")
	if !ok {
		return 1
	}
	format := o.set["c"] + o.set["format"] + "\n"
	if f, ok := o.set["printf"]; ok {
		format = strings.ReplaceAll(f, `\n`, "\n")
	}
	status := 0
	for _, name := range o.rest {
		look := p.FS.Lstat
		if o.has("L") || o.has("dereference") {
			look = p.FS.Stat
		}
		info, err := look(p.Path(name))
		if err != nil {
			status = p.Errorf("stat: cannot statx '%s': %s", name, reason(err))
			continue
		}
		io.WriteString(p.Stdout, statFormat(format, name, p.userName(info.UID), info))
	}
	return status
}

// userName is what /etc/passwd has for a number.
func (p *Process) userName(uid int) string {
	text, _ := p.FS.ReadFile("/etc/passwd") // without it nobody has a name
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == strconv.Itoa(uid) {
			return f[0]
		}
	}
	return "UNKNOWN"
}

func statFormat(format, name, owner string, info memfs.Info) string {
	kind := "regular file"
	switch {
	case info.IsDir():
		kind = "directory"
	case info.Mode().Type() == fs.ModeSymlink:
		kind = "symbolic link"
	case info.Size() == 0:
		kind = "regular empty file"
	}
	uid, size := strconv.Itoa(info.UID), strconv.FormatInt(info.Size(), 10)
	return strings.NewReplacer(
		"%%", "%", "%n", name, "%F", kind, "%s", size, "%i", strconv.FormatUint(info.Ino, 10),
		"%a", fmt.Sprintf("%o", memfs.Bits(info.Mode())), "%A", info.Mode().String(),
		"%u", uid, "%g", uid, "%U", owner, "%G", owner, "%h", "1", "%d", "65025", "%t", "0", "%T", "0",
		"%Y", strconv.FormatInt(info.ModTime().Unix(), 10), "%D", "fe01",
	).Replace(format)
}
