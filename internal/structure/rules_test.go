package structure

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// rule is one sentence about the sources, and what finds its breaks.
type rule struct {
	name, text string
	find       func(t tree) []finding
}

// The folders that are programs of their own, and those that play the outside
// world for tests and the demo.
const (
	commands = "cmd"
	examples = "examples"
	played   = "mpdvirt/mpdvirttest"
	demo     = "cmd/mpd-virt/internal/demo"
)

var rules = []rule{
	{"processes", "only internal/command starts programs; who needs one is given a hypervisor.Runner", findProcesses},
	{"environment", "only cmd and mpdvirt.New read the environment: two Managers live in one process", findEnvironment},
	{"terminal", "only cmd and examples write to the terminal: the SDK reports events and values", findTerminal},
	{"exit and flags", "only cmd and examples read flags and end the process", findExit},
	{"sleep", "nobody sleeps: a wait selects on its context, a test uses testing/synctest", findSleep},
	{"import direction", "imports point down: cmd, then mpdvirt, then hypervisor/* and internal/*; hypervisor imports nothing of ours", findDirection},
	{"strangers", "examples import what a stranger can import, no internal package", findStrangers},
	{"no test code is shipped", "cmd/mpd-virt reaches no test code by its imports", findShippedTests},
	{"no cgo", "nothing needs a C compiler", findCgo},
	{"writes", "only internal/statefile writes files: atomically, with the right mode, through no link", findWrites},
	{"drafts", "verbs change files through a statefile.Files, so that a plan can give them a draft", findPastDrafts},
	{"comments", "every exported name has a comment that starts with it, every package one that says what it is for", findComments},
	{"file length", "a file of code has at most 400 lines", findLongFiles},
	{"variables", "packages keep no state: a variable of a package is an error, a regular expression, an interface check or a listed table", findVariables},
}

// usesOf finds the uses of names outside of the places where they belong.
func usesOf(t tree, names []string, allowed func(s *source, at ast.Node) bool) (out []finding) {
	for _, s := range t {
		s.uses(func(name string, at ast.Node) {
			if slices.Contains(names, name) && !allowed(s, at) {
				out = append(out, finding{s.at(at), name})
			}
		})
	}
	return out
}

// importsOf finds the imports of packages outside of the places where they
// belong.
func importsOf(t tree, packages []string, allowed func(s *source) bool) (out []finding) {
	for _, s := range t {
		s.imports(func(p string, at ast.Node) {
			if slices.Contains(packages, p) && !allowed(s) {
				out = append(out, finding{s.at(at), "imports " + p})
			}
		})
	}
	return out
}

func in(folders ...string) func(*source) bool {
	return func(s *source) bool { return s.within(folders...) }
}

func usedIn(folders ...string) func(*source, ast.Node) bool {
	return func(s *source, _ ast.Node) bool { return s.within(folders...) }
}

func findProcesses(t tree) []finding {
	calls := []string{"syscall.Exec", "syscall.ForkExec", "syscall.StartProcess", "os.StartProcess", "golang.org/x/sys/unix.Exec"}
	return append(importsOf(t.shipped(), []string{"os/exec"}, in("internal/command")),
		usesOf(t.shipped(), calls, usedIn("internal/command"))...)
}

func findEnvironment(t tree) []finding {
	reads := []string{
		"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "os.UserHomeDir", "os.UserCacheDir", "os.UserConfigDir",
		"os.Setenv", "os.Unsetenv", "os.Clearenv", "syscall.Getenv", "syscall.Environ",
	}
	return usesOf(t.shipped(), reads, func(s *source, at ast.Node) bool {
		return s.within(commands, examples) || s.dir() == "mpdvirt" && s.function(at) == "New"
	})
}

// function is the name of the function of the file that holds n.
func (s *source) function(n ast.Node) string {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Pos() <= n.Pos() && n.End() <= f.End() {
			return f.Name.Name
		}
	}
	return ""
}

// hands is where a child gets the terminal, which is what
// hypervisor.Command.Terminal asks for.
const hands = "internal/command/run.go"

func findTerminal(t tree) []finding {
	t = t.shipped()
	streams := []string{"os.Stdout", "os.Stderr"}
	prints := []string{"fmt.Print", "fmt.Printf", "fmt.Println"}
	ours := usedIn(commands, examples)
	out := usesOf(t, streams, func(s *source, at ast.Node) bool { return ours(s, at) || s.path == hands })
	out = append(out, usesOf(t, prints, ours)...)
	out = append(out, importsOf(t, []string{"log", "log/slog", "log/syslog"}, in(commands, examples))...)
	for _, s := range t {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); ok && f.Obj == nil && (f.Name == "print" || f.Name == "println") {
				out = append(out, finding{s.at(call), "the built-in " + f.Name})
			}
			return true
		})
	}
	return out
}

func findExit(t tree) []finding {
	t = t.shipped()
	return append(usesOf(t, []string{"os.Exit", "syscall.Exit", "log.Fatal", "log.Fatalf", "runtime.Goexit"}, usedIn(commands, examples)),
		importsOf(t, []string{"flag"}, in(commands, examples))...)
}

func findSleep(t tree) []finding {
	return usesOf(t, []string{"time.Sleep"}, usedIn())
}

func findDirection(t tree) (out []finding) {
	for _, s := range t.shipped() {
		s.imports(func(p string, at ast.Node) {
			to, ours := inModule(p)
			if ours && forbidden(s.dir(), to) {
				out = append(out, finding{s.at(at), s.dir() + " imports " + to})
			}
		})
	}
	return out
}

// forbidden says whether a package of folder from must not import one of
// folder to.
func forbidden(from, to string) bool {
	switch {
	case from == to || below(from, commands) || below(from, examples):
		return below(to, examples) && !below(to, from)
	case below(to, commands) || below(to, examples):
		return true
	case from == "hypervisor":
		return true
	case below(from, "mpdvirt"):
		// Tests and the demo need the played world, the SDK must not.
		return below(to, played) && !below(from, played)
	case below(from, "internal"):
		return below(to, "mpdvirt") || strings.HasPrefix(to, "hypervisor/")
	default: // backends
		return below(to, "mpdvirt")
	}
}

func findStrangers(t tree) (out []finding) {
	for _, s := range t {
		s.imports(func(p string, at ast.Node) {
			if s.within(examples) && slices.Contains(strings.Split(p, "/"), "internal") {
				out = append(out, finding{s.at(at), "imports " + p})
			}
		})
	}
	return out
}

// findShippedTests walks the imports of the command, for all systems at once.
func findShippedTests(t tree) (out []finding) {
	seen := map[string]string{} // folder: by which way
	var walk func(dir, way string)
	walk = func(dir, way string) {
		if _, been := seen[dir]; been {
			return
		}
		seen[dir] = way
		for _, s := range t.shipped() {
			if s.dir() != dir {
				continue
			}
			s.imports(func(p string, at ast.Node) {
				if testCode(p) {
					out = append(out, finding{s.at(at), fmt.Sprintf("%s imports %s", way, p)})
				}
				if to, ours := inModule(p); ours {
					walk(to, way+" > "+to)
				}
			})
		}
	}
	walk("cmd/mpd-virt", "cmd/mpd-virt")
	if len(seen) < 3 {
		out = append(out, finding{"cmd/mpd-virt", "its imports were not found"})
	}
	return out
}

// testCode says whether an import path is that of test code: of ours, memnet,
// what ends in test, and the emulators, which end in emu; testing and its kin of
// everybody.
func testCode(p string) bool {
	dir, ours := inModule(p)
	return slices.ContainsFunc(strings.Split(p, "/"), func(part string) bool { return part == "testing" }) ||
		ours && (strings.HasSuffix(path.Base(dir), "test") || strings.HasSuffix(path.Base(dir), "emu") || below(dir, played) || below(dir, "internal/memnet"))
}

func findCgo(t tree) []finding { return importsOf(t, []string{"C"}, in()) }

// findPastDrafts finds, below the verbs, what would change the disk in a plan, too.
// The image is not among them: a plan does not call what downloads it.
func findPastDrafts(t tree) []finding {
	var functions []string
	for _, name := range []string{"Write", "WriteThrough", "EnsureDir", "RemoveDir", "RemoveTemps", "Tighten", "Acquire"} {
		functions = append(functions, module+"/internal/statefile."+name)
	}
	for _, name := range []string{"Remove", "RemoveAll", "Mkdir", "MkdirAll", "Chmod"} {
		functions = append(functions, "os."+name)
	}
	verbs := in("mpdvirt", "internal/registry", "internal/identity", "internal/sshconfig", "internal/bootstrap", "internal/guest", "internal/cloudinit")
	return usesOf(t.shipped(), functions, func(s *source, at ast.Node) bool {
		// A plan keeps no log, and so removes none.
		return !verbs(s) || s.within(played) || s.path == "mpdvirt/run.go" && s.function(at) == "pruneLogs"
	})
}

func findWrites(t tree) []finding {
	t = t.shipped()
	writes := []string{
		"os.WriteFile", "os.Create", "os.CreateTemp", "os.Rename", "os.Link", "os.Symlink", "os.Truncate", "os.OpenRoot",
		"io/ioutil.WriteFile", "syscall.Rename", "syscall.Open", "golang.org/x/sys/unix.Open", "golang.org/x/sys/unix.Rename",
	}
	allowed := in("internal/statefile", "internal/image", played, demo, examples)
	out := usesOf(t, writes, func(s *source, _ ast.Node) bool { return allowed(s) })
	for _, s := range t {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if ok && !allowed(s) && s.isUse(call.Fun, "os.OpenFile") && !onlyReads(call.Args) {
				out = append(out, finding{s.at(call), "os.OpenFile with flags that write"})
			}
			return true
		})
	}
	return out
}

// isUse says whether e is the given name of another package.
func (s *source) isUse(e ast.Expr, name string) (is bool) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Obj == nil && s.names[x.Name]+"."+sel.Sel.Name == name
}

// onlyReads says whether the flags of an OpenFile are written out and say that
// the file is read.
func onlyReads(args []ast.Expr) bool {
	if len(args) != 3 {
		return false
	}
	var names []string
	ast.Inspect(args[1], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			names = append(names, n.Sel.Name)
			return false
		case *ast.Ident, *ast.BasicLit, *ast.CallExpr:
			names = append(names, "?")
		}
		return true
	})
	harmless := []string{"O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC"}
	return slices.Contains(names, "O_RDONLY") &&
		!slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(harmless, n) })
}

func findLongFiles(t tree) (out []finding) {
	for _, s := range t.shipped() {
		if n := s.lines(); n > 400 {
			out = append(out, finding{s.path, fmt.Sprintf("%d lines", n)})
		}
	}
	return out
}

// declarations calls visit for each declaration of constants, variables or
// types of the file's package.
func (s *source) declarations(kind token.Token, visit func(d *ast.GenDecl)) {
	for _, d := range s.file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == kind {
			visit(g)
		}
	}
}
