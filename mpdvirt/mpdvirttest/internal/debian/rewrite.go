package debian

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// tame changes what the interpreter would do outside of the machine: it makes
// named pipes for process substitutions, and asks the real system for file
// owners.
func (p *Process) tame(file *syntax.File) error {
	var err error
	syntax.Walk(file, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.Word:
			for i, part := range n.Parts {
				if subst, ok := part.(*syntax.ProcSubst); ok {
					n.Parts[i] = p.substitute(subst)
				}
			}
		case *syntax.UnaryTest:
			if n.Op == syntax.TsUsrOwn || n.Op == syntax.TsGrpOwn {
				err = errors.New("[[ -O ]] and [[ -G ]] are not played by mpdvirttest")
			}
		}
		return true
	})
	return err
}

// substitute turns <(…) into a command substitution that runs the commands,
// keeps their output in a file and gives its path. As with the real thing,
// nobody learns their exit status.
func (p *Process) substitute(subst *syntax.ProcSubst) syntax.WordPart {
	name := "/dev/fd/" + strconv.FormatInt(62+p.Sys.substs.Add(1), 10)
	text := fmt.Sprintf("$( (:) >%s || :; echo %[1]s)", name)
	var form *syntax.CmdSubst
	for w, err := range syntax.NewParser().WordsSeq(strings.NewReader(text)) {
		if err == nil {
			form = w.Parts[0].(*syntax.CmdSubst)
		}
		break // there is only one
	}
	if form == nil || subst.Op != syntax.CmdIn {
		return &syntax.Lit{Value: "/dev/null"}
	}
	or := form.Stmts[0].Cmd.(*syntax.BinaryCmd)
	or.X.Cmd.(*syntax.Subshell).Stmts = subst.Stmts
	return form
}

// call changes the arguments of a command where the interpreter's own builtin
// would look outside, or lacks what scripts commonly use.
func (p *Process) call(in *input) interp.CallHandlerFunc {
	return func(ctx context.Context, args []string) ([]string, error) {
		for len(args) > 1 && (args[0] == "builtin" || args[0] == "command") && !strings.HasPrefix(args[1], "-") {
			args = args[1:]
		}
		switch args[0] {
		case "command", "type", "hash", "which":
			if len(args) > 1 {
				return append([]string{"mpdvirttest-lookup"}, args...), nil
			}
		case "umask":
			return append([]string{"mpdvirttest-umask"}, args[1:]...), nil
		case "pwd":
			return []string{"pwd"}, nil
		case "read", "mapfile", "readarray":
			hc := interp.HandlerCtx(ctx)
			if in.isOwn(hc.Stdin) {
				in.pump()
			}
			await(ctx, hc.Stdin, args[0] != "read")
		case "test", "[":
			return p.ownerTest(args), nil
		case "trap":
			return exitTrap(args), nil
		case ".", "source":
			if len(args) > 1 {
				return p.source(interp.HandlerCtx(ctx).Dir, args), nil
			}
		}
		return args, nil
	}
}

// source names a file that is read into the shell so that the interpreter
// finds none outside and asks the open handler.
func (p *Process) source(dir string, args []string) []string {
	name := args[1]
	if !strings.Contains(name, "/") {
		if _, err := p.FS.Stat(path.Join(dir, name)); err != nil {
			for _, bin := range strings.Split(p.Env["PATH"], ":") {
				if info, err := p.FS.Stat(path.Join(bin, name)); err == nil && info.Mode().IsRegular() {
					dir = bin
					break
				}
			}
		}
	}
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	args = slices.Clone(args)
	args[1] = outside + name
	return args
}

// ownerTest answers test -O and -G, which the interpreter cannot.
func (p *Process) ownerTest(args []string) []string {
	args = slices.Clone(args)
	for i := 1; i+1 < len(args); i++ {
		if args[i] != "-O" && args[i] != "-G" {
			continue
		}
		info, err := p.FS.Stat(p.Path(args[i+1]))
		mine := ""
		if err == nil && info.UID == p.FS.UID() {
			mine = "yes"
		}
		args[i], args[i+1] = "-n", mine
	}
	return args
}

// exitTrap drops from a trap the signals, none of which ever comes.
func exitTrap(args []string) []string {
	rest := slices.DeleteFunc(slices.Clone(args), func(s string) bool {
		name := strings.TrimPrefix(s, "SIG")
		return slices.Contains([]string{"HUP", "INT", "QUIT", "PIPE", "TERM", "1", "2", "3", "13", "15"}, name)
	})
	for i, s := range rest {
		if i > 1 && s == "0" {
			rest[i] = "EXIT"
		}
	}
	if len(rest) < 3 && len(rest) < len(args) {
		return []string{":"}
	}
	return rest
}

// internals are the commands that call puts in the place of builtins. shell is
// the shell itself, p the child.
var internals = map[string]func(shell, p *Process, args []string) int{
	"mpdvirttest-lookup": func(_, p *Process, args []string) int { return p.lookup(args[1], args[2:]) },
	"mpdvirttest-umask":  func(shell, p *Process, args []string) int { return shell.umask(p, args[1:]) },
}

// lookup is command -v, type, hash and which.
func (p *Process) lookup(how string, args []string) int {
	quiet := how == "hash"
	status := 0
	for _, name := range args {
		if strings.HasPrefix(name, "-") {
			continue
		}
		found := p.LookPath(name)
		if how != "which" && interp.IsBuiltin(name) {
			found = name
		}
		switch {
		case found == "":
			status = 1
			if how == "type" || how == "hash" {
				p.Errorf("bash: line 1: %s: %s: not found", how, name)
			}
		case quiet:
		case how == "type":
			p.Printf("%s is %s\n", name, found)
		default:
			p.Printf("%s\n", found)
		}
	}
	return status
}

func (p *Process) umask(child *Process, args []string) int {
	if len(args) == 0 {
		child.Printf("%04o\n", p.Mask)
		return 0
	}
	mask, err := strconv.ParseUint(args[0], 8, 32)
	if err != nil {
		return child.Errorf("bash: line 1: umask: %s: not an octal number", args[0])
	}
	p.Mask = uint32(mask) & 0o777
	return 0
}
