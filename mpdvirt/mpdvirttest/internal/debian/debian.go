// Package debian plays the command line of a Debian machine: shell text is
// really interpreted, by mvdan.cc/sh, and the programs that it calls are Go
// functions that work on a file system in memory.
//
// Nothing of it reaches the machine that it runs on: no file is opened, no
// process started, no address dialed. What the interpreter would do outside is
// taken over in rewrite.go. Its own limits remain: redirections of descriptors
// above 2, read -t, printf -v, kill and traps of signals are not played (a
// trap of a signal is accepted and ignored), an EXIT trap that is set in a
// subshell does not run, and the text of a command must be
// UTF-8 and loses a carriage return before a newline.
//
// The main calls are [New], to which the owner adds programs of its own, and
// [Process.Login], which does what sshd does with a command.
package debian

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// Program is what an executable file does. args[0] is the name it was called
// by; the result is the exit status.
type Program func(ctx context.Context, p *Process, args []string) int

// System is one machine's software. The fields are set by New and may be
// changed before the first process; the methods may be called while processes
// run.
type System struct {
	FS     *memfs.FS
	Now    func() time.Time
	substs atomic.Int64 // numbers of the files that stand for <(…)

	mu       sync.Mutex
	programs map[string]Program // by the name that [Binary] puts in a file
}

// Process is one running program. Its fields are not changed after its start,
// besides Mask.
type Process struct {
	Sys            *System
	FS             memfs.User // with the process's rights
	User           string
	Home           string
	Dir            string
	Env            map[string]string // exported variables
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Mask           uint32 // permissions that new files do not get
}

// searchPath is the PATH of Debian's sshd for ordinary users.
const searchPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

// binaryMark begins the content of a file that stands for a Program.
const binaryMark = "\x7fELF mpdvirttest "

// Binary is the content of an executable file that runs the named Program.
func Binary(program string) []byte { return []byte(binaryMark + program + "\n") }

// New returns a system whose file system has the usual folders and an
// executable in /usr/bin for each of this package's programs.
func New(fsys *memfs.FS, now func() time.Time) (*System, error) {
	s := &System{FS: fsys, Now: now, programs: programs()}
	root := fsys.As(memfs.Root)
	dirs := []string{"/etc", "/home", "/opt", "/proc", "/root", "/run", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/var/lib", "/dev/fd", "/tmp", "/var/tmp"}
	for _, dir := range dirs {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{"/dev/fd", "/tmp", "/var/tmp"} {
		if err := root.Chmod(dir, 0o777|fs.ModeSticky); err != nil {
			return nil, err
		}
	}
	if err := fsys.Generate("/dev/null", 0o666, func() []byte { return nil }); err != nil {
		return nil, err
	}
	for _, link := range []string{"/bin", "/sbin"} {
		if err := root.Symlink("usr"+link, link); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.programs)) {
		if err := s.Install(name, s.programs[name]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Clone is the same software on a copy of the file system. Programs that belong
// to the owner of s still do: the owner of the copy replaces them.
func (s *System) Clone(fsys *memfs.FS, now func() time.Time) *System {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &System{FS: fsys, Now: now, programs: maps.Clone(s.programs)}
}

// Define says what a file with the content of [Binary] runs, in the place of what
// it ran until now.
func (s *System) Define(name string, p Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.programs[name] = p
}

// Defined is what Define said of a name; nil if nothing.
func (s *System) Defined(name string) Program {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.programs[name]
}

// Install defines a program and puts it in /usr/bin.
func (s *System) Install(name string, p Program) error {
	s.Define(name, p)
	return s.FS.As(memfs.Root).WriteFile("/usr/bin/"+name, Binary(name), 0o755)
}

// Path makes a path absolute.
func (p *Process) Path(name string) string {
	if path.IsAbs(name) || name == "" {
		return name
	}
	return p.Dir + "/" + name
}

// Errorf prints a line on stderr and returns status 1.
func (p *Process) Errorf(format string, a ...any) int {
	fmt.Fprintf(p.Stderr, format+"\n", a...)
	return 1
}

// Printf prints on stdout.
func (p *Process) Printf(format string, a ...any) { fmt.Fprintf(p.Stdout, format, a...) }

// As is a copy of p that runs as another user.
func (p *Process) As(uid int, name, home string) *Process {
	q := *p
	q.FS, q.User, q.Home = p.Sys.FS.As(uid), name, home
	q.Env = maps.Clone(p.Env)
	q.Env["HOME"], q.Env["USER"], q.Env["LOGNAME"] = home, name, name
	return &q
}

// LookPath finds an executable as execvp does; "" if there is none.
func (p *Process) LookPath(name string) string {
	if strings.Contains(name, "/") {
		if p.executable(p.Path(name)) {
			return name
		}
		return ""
	}
	search, ok := p.Env["PATH"]
	if !ok {
		search = searchPath
	}
	for _, dir := range strings.Split(search, ":") {
		if full := path.Join(p.Path(dir), name); p.executable(full) {
			return full
		}
	}
	return ""
}

func (p *Process) executable(name string) bool {
	info, err := p.FS.Stat(name)
	return err == nil && info.Mode().IsRegular() && p.FS.Access(name, 1) == nil
}

// Run runs a program and waits for it.
func (p *Process) Run(ctx context.Context, argv []string) int {
	name := p.LookPath(argv[0])
	if name == "" {
		return p.notFound(argv[0])
	}
	text, err := p.Sys.FS.As(memfs.Root).ReadFile(p.Path(name))
	if err != nil {
		p.Errorf("bash: line 1: %s: %v", argv[0], reason(err))
		return 126
	}
	if mark, ok := bytes.CutPrefix(text, []byte(binaryMark)); ok {
		program := p.Sys.Defined(strings.TrimSpace(string(mark)))
		if program == nil {
			p.Errorf("bash: line 1: %s: cannot execute binary file", argv[0])
			return 126
		}
		return program(ctx, p, argv)
	}
	shell := []string{"sh"}
	if line, _, _ := strings.Cut(string(text), "\n"); strings.HasPrefix(line, "#!") {
		shell = strings.Fields(line[2:])
	}
	if len(shell) > 1 && path.Base(shell[0]) == "env" {
		shell = shell[1:]
	}
	shell[0] = path.Base(shell[0])
	return p.Run(ctx, append(append(shell, name), argv[1:]...))
}

func (p *Process) notFound(name string) int {
	info, err := p.FS.Stat(p.Path(name))
	switch {
	case !strings.Contains(name, "/"):
		p.Errorf("bash: line 1: %s: command not found", name)
	case err != nil:
		p.Errorf("bash: line 1: %s: %v", name, reason(err))
	case info.IsDir():
		p.Errorf("bash: line 1: %s: Is a directory", name)
		return 126
	default:
		p.Errorf("bash: line 1: %s: Permission denied", name)
		return 126
	}
	return 127
}
