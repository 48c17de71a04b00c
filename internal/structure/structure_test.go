package structure

import (
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	all := load(t, "../..")
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.find(all) {
				t.Errorf("%s: %s (rule: %s)", f.at, f.text, r.text)
			}
		})
	}
}

// parse makes a tree of files written out in a test.
func parse(t *testing.T, files map[string]string) tree {
	t.Helper()
	var out tree
	fset := token.NewFileSet()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := out.add(fset, name, []byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestRulesFind breaks each rule, and what is near to a break but none.
func TestRulesFind(t *testing.T) {
	const ours = `"` + module
	tests := []struct {
		rule, name, path, text string
		found                  bool
	}{
		{"processes", "import", "internal/x/x.go", `import "os/exec"; var _ = exec.Command`, true},
		{"processes", "exec", "mpdvirt/x.go", `import "syscall"; func f() { syscall.Exec("", nil, nil) }`, true},
		{"processes", "start", "cmd/x/x.go", `import "os"; func f() { os.StartProcess("", nil, nil) }`, true},
		{"processes", "example", "examples/x/x.go", `import "os/exec"; var _ = exec.Command`, true},
		{"processes", "where it belongs", "internal/command/x.go", `import "os/exec"`, false},
		{"processes", "test", "internal/x/x_test.go", `import "os/exec"`, false},

		{"environment", "below", "internal/x/x.go", `import "os"; func New() { os.Getenv("A") }`, true},
		{"environment", "renamed", "internal/x/x.go", `import sys "os"; func f() { sys.Environ() }`, true},
		{"environment", "as a value", "internal/x/x.go", `import "os"; func f() { _ = os.LookupEnv }`, true},
		{"environment", "in New", "mpdvirt/x.go", `import "os"; func New() { os.Getenv("A") }`, false},
		{"environment", "beside New", "mpdvirt/x.go", `import "os"; func f() { os.Getenv("A") }`, true},
		{"environment", "in the played world", "mpdvirt/mpdvirttest/x.go", `import "os"; func New() { os.UserHomeDir() }`, true},
		{"environment", "in cmd", "cmd/x/x.go", `import "os"; func f() { os.Environ() }`, false},
		{"environment", "a variable named os", "internal/x/x.go", `func f() { var os struct{ Getenv func() }; os.Getenv() }`, false},

		{"terminal", "stream", "internal/x/x.go", `import "os"; func f() { _ = os.Stdout }`, true},
		{"terminal", "print", "mpdvirt/x.go", `import "fmt"; func f() { fmt.Println() }`, true},
		{"terminal", "built-in", "mpdvirt/x.go", `func f() { println() }`, true},
		{"terminal", "own println", "mpdvirt/x.go", `func println() {}; func f() { println() }`, false},
		{"terminal", "logger", "hypervisor/x/x.go", `import "log/slog"`, true},
		{"terminal", "to a writer", "mpdvirt/x.go", `import "fmt"; func f() { fmt.Fprintln(nil) }`, false},
		{"terminal", "in cmd", "cmd/x/x.go", `import "os"; func f() { _ = os.Stderr }`, false},

		{"exit and flags", "exit", "mpdvirt/x.go", `import "os"; func f() { os.Exit(1) }`, true},
		{"exit and flags", "flags", "internal/x/x.go", `import "flag"`, true},
		{"exit and flags", "in an example", "examples/x/x.go", `import ("flag"; "os"); func f() { os.Exit(1) }`, false},

		{"sleep", "code", "cmd/x.go", `import "time"; func f() { time.Sleep(1) }`, true},
		{"sleep", "test", "cmd/x_test.go", `import "time"; func f() { time.Sleep(1) }`, true},
		{"sleep", "timer", "cmd/x.go", `import "time"; func f() { time.After(1) }`, false},

		{"import direction", "hypervisor", "hypervisor/x.go", `import ` + ours + `/internal/hint"`, true},
		{"import direction", "backend up", "hypervisor/utm/x.go", `import ` + ours + `/mpdvirt"`, true},
		{"import direction", "backend down", "hypervisor/utm/x.go", `import (` + ours + `/hypervisor"; ` + ours + `/internal/hint")`, false},
		{"import direction", "internal up", "internal/x/x.go", `import ` + ours + `/mpdvirt/mpdvirttest"`, true},
		{"import direction", "internal to a backend", "internal/x/x.go", `import ` + ours + `/hypervisor/utm"`, true},
		{"import direction", "internal to hypervisor", "internal/x/x.go", `import ` + ours + `/hypervisor"`, false},
		{"import direction", "SDK to its tests", "mpdvirt/x.go", `import ` + ours + `/mpdvirt/mpdvirttest"`, true},
		{"import direction", "SDK to cmd", "mpdvirt/x.go", `import ` + ours + `/cmd/mpd-virt/internal/cli"`, true},
		{"import direction", "cmd", "cmd/mpd-virt/main.go", `import ` + ours + `/mpdvirt"`, false},
		{"import direction", "names that only begin alike", "hypervisor/x.go", `import "` + module + `-other/x"`, false},

		{"strangers", "internal", "examples/x/main.go", `import ` + ours + `/internal/hint"`, true},
		{"strangers", "public", "examples/x/main.go", `import ` + ours + `/mpdvirt"`, false},

		{"no cgo", "cgo", "internal/x/x.go", `import "C"`, true},

		{"drafts", "a write", "mpdvirt/x.go", `import "github.com/mutms/mpd-virt-macos/internal/statefile"; func f() { statefile.Write("", nil, 0) }`, true},
		{"drafts", "a removal", "internal/identity/x.go", `import "os"; func f() { os.Remove("") }`, true},
		{"drafts", "through files", "mpdvirt/x.go", `import "github.com/mutms/mpd-virt-macos/internal/statefile"; func f(in *statefile.Files) { in.Write("", nil, 0) }`, false},
		{"drafts", "a download", "internal/image/x.go", `import "os"; func f() { os.Remove("") }`, false},
		{"writes", "write", "mpdvirt/x.go", `import "os"; func f() { os.WriteFile("", nil, 0) }`, true},
		{"writes", "rename", "cmd/mpd-virt/internal/cli/x.go", `import "os"; func f() { os.Rename("", "") }`, true},
		{"writes", "open to write", "mpdvirt/x.go", `import "os"; func f() { os.OpenFile("", os.O_RDONLY|os.O_CREATE, 0) }`, true},
		{"writes", "open with a number", "mpdvirt/x.go", `import "os"; func f() { os.OpenFile("", 1, 0) }`, true},
		{"writes", "open with a variable", "mpdvirt/x.go", `import "os"; func f(n int) { os.OpenFile("", os.O_RDONLY|n, 0) }`, true},
		{"writes", "open to read", "mpdvirt/x.go", `import ("os"; "syscall"); func f() { os.OpenFile("", os.O_RDONLY|syscall.O_NOFOLLOW, 0) }`, false},
		{"writes", "where it belongs", "internal/statefile/x.go", `import "os"; func f() { os.WriteFile("", nil, 0) }`, false},
		{"writes", "in the played world", "mpdvirt/mpdvirttest/x.go", `import "os"; func f() { os.WriteFile("", nil, 0) }`, false},

		{"comments", "function", "internal/x/x.go", `func F() {}`, true},
		{"comments", "other name", "internal/x/x.go", "// Does it.\nfunc F() {}", true},
		{"comments", "longer name", "internal/x/x.go", "// Foo does it.\nfunc F() {}", true},
		{"comments", "good function", "internal/x/x.go", "// F does it.\nfunc F() {}", false},
		{"comments", "method", "internal/x/x.go", "// T is.\ntype T int\n\nfunc (t *T) M() {}", true},
		{"comments", "method of a generic type", "internal/x/x.go", "// T is.\ntype T[A any] int\n\nfunc (t *T[A]) M() {}", true},
		{"comments", "method that nobody sees", "internal/x/x.go", "type t int\n\nfunc (t) M() {}", false},
		{"comments", "method of an error", "internal/x/x.go", "// T is.\ntype T int\n\nfunc (t T) Error() string { return \"\" }", false},
		{"comments", "type in a group", "internal/x/x.go", "// Types.\ntype (\n\tT int\n)", true},
		{"comments", "constants", "internal/x/x.go", "const (\n\tA = 1\n)", true},
		{"comments", "constants of a group", "internal/x/x.go", "// The letters.\nconst (\n\tA, B = 1, 2\n\tC = 3\n)", false},
		{"comments", "comment behind", "internal/x/x.go", "const (\n\tA = 1 // the first\n)", false},
		{"comments", "single constant", "internal/x/x.go", "// The letter.\nconst A = 1", true},

		{"file length", "long", "internal/x/x.go", strings.Repeat("//\n", 400), true},
		{"file length", "long test", "internal/x/x_test.go", strings.Repeat("//\n", 400), false},

		{"variables", "state", "internal/x/x.go", `var count int`, true},
		{"variables", "map", "internal/x/x.go", `var m = map[string]int{}`, true},
		{"variables", "once", "internal/x/x.go", `import "sync"; var once sync.Once`, true},
		{"variables", "error", "internal/x/x.go", `import "errors"; var ErrX, errY = errors.New(""), errors.New("")`, false},
		{"variables", "error of another", "internal/x/x.go", `import "io/fs"; var ErrX = fs.ErrExist`, false},
		{"variables", "expression", "internal/x/x.go", `import "regexp"; var r = regexp.MustCompile("")`, false},
		{"variables", "interface check", "internal/x/x.go", `import "io"; var _ io.Reader = nil`, false},
		{"variables", "embedded", "internal/x/x.go", "import _ \"embed\"\n\n//go:embed x\nvar x string", false},
		{"variables", "of a function", "internal/x/x.go", `func f() { var x int; x = 1; _ = x }`, false},
		{"variables", "changed error", "internal/x/x.go", `import "errors"; var ErrX = errors.New(""); func f() { ErrX = nil }`, true},
		{"variables", "address", "internal/x/x.go", `import "errors"; var ErrX = errors.New(""); func f() { g(&ErrX) }`, true},
		{"variables", "changed element", "internal/sshconfig/x.go", `var containers = [1]string{}; func f() { containers[0] = "" }`, true},
		{"variables", "hidden by a local", "internal/x/x.go", `import "errors"; var ErrX = errors.New(""); func f() { var ErrX error; ErrX = nil }`, false},
	}
	for _, tt := range tests {
		t.Run(tt.rule+"/"+tt.name, func(t *testing.T) {
			i := slices.IndexFunc(rules, func(r rule) bool { return r.name == tt.rule })
			if i < 0 {
				t.Fatal("no such rule")
			}
			// Without the unused lines of the list of tables, which are findings too.
			found := slices.DeleteFunc(rules[i].find(parse(t, map[string]string{tt.path: "// Package x is one.\npackage x\n\n" + tt.text})), func(f finding) bool {
				return tables[f.at] != ""
			})
			if (len(found) > 0) != tt.found {
				t.Errorf("in %s\n%s\nfound %v", tt.path, tt.text, found)
			}
		})
	}
}

func TestShippedTestsAreFound(t *testing.T) {
	clean := map[string]string{
		"cmd/mpd-virt/main.go":      `package main; import _ "` + module + `/mpdvirt"`,
		"cmd/mpd-virt/main_test.go": `package main; import _ "testing"`,
		"mpdvirt/x.go":              `package mpdvirt; import _ "` + module + `/internal/x"`,
		"internal/x/x.go":           `package x; import _ "time"`,
	}
	for name, add := range map[string]string{
		"": "", "testing": "testing", "testing/fstest": "testing/fstest", "played world": module + "/mpdvirt/mpdvirttest",
		"conformance suite": module + "/hypervisor/hypervisortest", "in-memory network": module + "/internal/memnet",
		"emulator": module + "/internal/prlemu",
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(clean)
			if add != "" {
				files["internal/x/y.go"] = `package x; import _ "` + add + `"`
			}
			found := findShippedTests(parse(t, files))
			if (len(found) > 0) != (add != "") {
				t.Errorf("found %v", found)
			}
			for _, f := range found {
				if want := "cmd/mpd-virt > mpdvirt > internal/x imports " + add; f.text != want {
					t.Errorf("%q, want %q", f.text, want)
				}
			}
		})
	}
}
