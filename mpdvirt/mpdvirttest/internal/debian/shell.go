package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// outside is a folder that no machine has, because /dev/null is no folder. The
// interpreter's own looks at the file system are led there.
const outside = "/dev/null/mpdvirttest"

// script is one run of a shell.
type script struct {
	lang  syntax.LangVariant
	name  string   // $0
	text  string   // what to run
	rc    string   // a file to read before, "" for none
	args  []string // positional parameters
	opts  []string // for the set builtin
	check bool     // parse only
}

// shell interprets a script and returns its exit status.
func (p *Process) shell(ctx context.Context, s script) (status int) {
	defer func() {
		if r := recover(); r != nil { // the interpreter met what it cannot do
			p.Errorf("%s: mpdvirttest cannot play this: %v", s.name, r)
			status = 2
		}
	}()
	file, err := p.parse(s.lang, s.name, s.text)
	if s.check {
		if err != nil {
			p.Errorf("%v", err)
			return 2
		}
		return 0
	}
	in, inErr := newInput(p.Stdin)
	if inErr != nil {
		return p.Errorf("%s: %v", s.name, inErr)
	}
	defer in.close()
	r, runErr := p.interpreter(s, in)
	if runErr != nil {
		return p.Errorf("%s: %v", s.name, runErr)
	}
	if s.rc != "" {
		rc, _ := syntax.NewParser().Parse(strings.NewReader(". "+s.rc), s.name)
		if err := r.Run(ctx, rc.Stmts[0]); r.Exited() {
			return exitStatus(err)
		}
	}
	runErr = r.Run(ctx, file)
	if err != nil && !r.Exited() { // what stands before the error has been run, as by a real shell
		p.Errorf("%v", err)
		return 2
	}
	return exitStatus(runErr)
}

func exitStatus(err error) int {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	return 1
}

// parse reads a script up to its end or to the first error, and takes out what
// the interpreter would do outside.
func (p *Process) parse(lang syntax.LangVariant, name, text string) (*syntax.File, error) {
	file := &syntax.File{Name: name}
	parser := syntax.NewParser(syntax.Variant(lang))
	var err error
	for st, bad := range parser.StmtsSeq(strings.NewReader(text)) {
		if bad != nil {
			err = bad
			break
		}
		file.Stmts = append(file.Stmts, st)
	}
	var bad syntax.ParseError
	switch {
	case errors.As(err, &bad):
		err = fmt.Errorf("%s: line %d: syntax error: %s", name, bad.Pos.Line(), bad.Text)
	case err != nil:
		err = fmt.Errorf("%s: syntax error: %w", name, err)
	}
	return file, errors.Join(err, p.tame(file))
}

func (p *Process) interpreter(s script, in *input) (*interp.Runner, error) {
	env := &environ{vars: p.Env, tmp: outside}
	r, err := interp.New(
		interp.Env(env),
		interp.Dir("/"),
		interp.StdIO(in.stand, p.Stdout, p.Stderr),
		interp.CallHandler(p.call(in)),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return p.exec(in) }),
		interp.OpenHandler(p.open(in)),
		interp.StatHandler(p.stat),
		interp.ReadDirHandler2(p.readDir),
		interp.AccessHandler(p.access),
		interp.Params(append(s.opts, "--")...),
	)
	if err != nil {
		return nil, err
	}
	r.Dir, r.Params = p.Dir, s.args
	r.Reset()
	env.tmp = ""
	return r, nil
}

// environ is the exported variables of a process.
type environ struct {
	vars map[string]string
	tmp  string // what the interpreter takes for TMPDIR while it starts
}

func (e *environ) Get(name string) expand.Variable {
	value, ok := e.vars[name]
	switch user, isHome := strings.CutPrefix(name, "HOME "); {
	case name == "TMPDIR" && e.tmp != "":
		value, ok = e.tmp, true
	case isHome && user == "root": // ~root
		value, ok = "/root", true
	case isHome:
		value, ok = "/home/"+user, true
	}
	return expand.Variable{Set: ok, Exported: ok, Kind: expand.String, Str: value}
}

func (e *environ) Each(fn func(string, expand.Variable) bool) {
	for name := range e.vars {
		if !fn(name, e.Get(name)) {
			return
		}
	}
}

// child is the process that a command of a shell is.
func (p *Process) child(ctx context.Context, in *input) *Process {
	hc := interp.HandlerCtx(ctx)
	c := *p
	c.Dir = hc.Dir
	c.Stdin, c.Stdout, c.Stderr = in.reader(ctx, hc.Stdin), patient(ctx, hc.Stdout), patient(ctx, hc.Stderr)
	c.Env = map[string]string{}
	hc.Env.Each(func(name string, v expand.Variable) bool {
		if v.IsSet() && v.Exported && v.Kind == expand.String {
			c.Env[name] = v.Str
		} else {
			delete(c.Env, name)
		}
		return true
	})
	return &c
}

func (p *Process) exec(in *input) interp.ExecHandlerFunc {
	return func(ctx context.Context, args []string) error {
		if f, ok := internals[args[0]]; ok {
			return status(f(p, p.child(ctx, in), args))
		}
		return status(p.child(ctx, in).Run(ctx, args))
	}
}

func status(n int) error {
	if n == 0 {
		return nil
	}
	return interp.ExitStatus(n)
}

func (p *Process) open(in *input) interp.OpenHandlerFunc {
	return func(ctx context.Context, name string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
		hc := interp.HandlerCtx(ctx)
		name = strings.TrimPrefix(name, outside)
		switch name {
		case "":
			return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
		case "/dev/stdin":
			return stdStream{Reader: in.reader(ctx, hc.Stdin)}, nil
		case "/dev/stdout":
			return stdStream{Writer: hc.Stdout}, nil
		case "/dev/stderr":
			return stdStream{Writer: hc.Stderr}, nil
		}
		if !path.IsAbs(name) {
			name = path.Join(hc.Dir, name)
		}
		return asOpened(p.FS.Open(name, flag, perm&^fs.FileMode(p.Mask)))
	}
}

// asOpened keeps a nil file from becoming an interface that is not nil.
func asOpened(f *memfs.File, err error) (io.ReadWriteCloser, error) {
	if err != nil {
		return nil, err
	}
	return opened{f}, nil
}

// stdStream is /dev/stdin and the like.
type stdStream struct {
	io.Reader
	io.Writer
}

func (stdStream) Close() error { return nil }

func (p *Process) stat(_ context.Context, name string, follow bool) (fs.FileInfo, error) {
	if !follow {
		return p.FS.Lstat(name)
	}
	return p.FS.Stat(name)
}

func (p *Process) readDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	if !path.IsAbs(name) {
		name = path.Join(interp.HandlerCtx(ctx).Dir, name)
	}
	return p.FS.ReadDir(name)
}

func (p *Process) access(_ context.Context, name string, mode interp.AccessMode) error {
	return p.FS.Access(name, uint32(mode))
}
