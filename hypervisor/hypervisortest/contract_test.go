package hypervisortest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The sentences of the interfaces' comments that no case checks, and why.
func notChecked() map[string]string {
	return map[string]string{
		`ErrLicense: the licence or the edition does not allow it.`:                                      "what a licence allows is a matter of the hypervisor",
		`ErrNetwork: the network in which the VMs get their addresses is missing or not as it must be.`:  "how it must be is a matter of the hypervisor",
		`ErrState: the VM is in a state, perhaps one that is not known, in which the action is refused.`: "the sentences of Lifecycle and Creator are; which known states are refused is a matter of the hypervisor",
		`Hypervisor is what every backend can do.`:                                                       "a heading",
		`Creator is a backend that makes a VM from nothing but a disk with an installed system and a seed, the small second disk from which the system's first boot learns who it is.`: "a heading",
		`The guest sees both disks without more than Debian's kernel for clouds has: virtio.`:                                                                                          "what a guest sees only a guest can tell",
		`Cloner is a backend that makes a VM from a template.`:                                                                                                                         "a heading",
		`Lifecycle is a backend that turns VMs on and off and destroys them.`:                                                                                                          "a heading",
		`Resizer is a Cloner that sets the sizes of a VM also when it was made before, by a Clone that was interrupted.`:                                                               "a heading",
		`progress is as with Clone.`: "the cases of Clone stand for it",
		`Addresser is a backend that can say which VMs have an address: two can, if their system was copied with it.`:                 "a heading",
		`Versioner is a backend that can say which release of its hypervisor is installed.`:                                           "a heading",
		`Version returns the release, fit to be shown: "26.4.1". It does not start the hypervisor.`:                                   "releases are a matter of the hypervisor",
		`Rehearser is a backend that can say what its methods would do, for those who want to see the plan of a verb before it runs.`: "a heading",
		`It is good for one course of actions on one VM, and is then dropped.`:                                                        "a promise of the caller",
		`Inspector is a backend that looks for what may go wrong later.`:                                                              "a heading",
		`Inspect returns what should be changed, none if all is well.`:                                                                "what should be changed is a matter of the hypervisor",
		`It changes nothing.`:    "there is no telling what a change would be",
		`It may restart the VM.`: "a permission",
		`Two clones of one template must not run at the same time: the caller sees to that.`: "a promise of the caller",
	}
}

// folded is a text with one space between words.
func folded(text string) string { return strings.Join(strings.Fields(text), " ") }

// parsed is the files of a package, without its tests.
func parsed(t *testing.T, dir string) (out []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}

// sentences are the constants of sentences.go, by name.
func sentences(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "sentences.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out[v.Names[0].Name] = text
		}
		return true
	})
	if len(out) < 40 {
		t.Fatalf("only %d sentences found", len(out))
	}
	return out
}

// What the suite quotes stands in the contract, and some case checks it.
func TestSentencesStand(t *testing.T) {
	var comments strings.Builder
	for _, file := range parsed(t, "..") {
		for _, group := range file.Comments {
			comments.WriteString(folded(group.Text()) + "\n")
		}
	}
	uses := map[string]int{}
	for _, file := range parsed(t, ".") {
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				uses[id.Name]++
			}
			return true
		})
	}
	for name, text := range sentences(t) {
		if !strings.Contains(comments.String(), text) {
			t.Errorf("%s: no comment of package hypervisor says %q", name, text)
		}
		if uses[name] < 2 {
			t.Errorf("%s is checked by no case", name)
		}
	}
}

// The interfaces that a rehearsal must share are all that there are.
func TestCapabilities(t *testing.T) {
	var want, got []string
	for _, file := range parsed(t, "..") {
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if _, ok := spec.Type.(*ast.InterfaceType); ok {
					want = append(want, spec.Name.Name)
				}
			}
			return true
		})
	}
	for _, capability := range capabilities() {
		got = append(got, capability.Name())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("capabilities %q, and package hypervisor has %q", got, want)
	}
}

// What the contract says of interfaces and errors is checked by the suite, or
// stands in the list of what is not: who changes a sentence comes by here.
func TestSentencesAreChecked(t *testing.T) {
	known := slices.Concat(slices.Collect(maps.Values(sentences(t))), slices.Collect(maps.Keys(notChecked())))
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) }) // the longest first
	found := 0
	for _, text := range promises(parsed(t, "..")) {
		found++
		rest := folded(text)
		for _, s := range known {
			rest = strings.ReplaceAll(rest, s, "")
		}
		if rest = strings.TrimSpace(rest); rest != "" {
			t.Errorf("no case checks %q: write one, or say in the list why not", rest)
		}
	}
	if found < 25 {
		t.Errorf("only %d comments found", found)
	}
}

// promises are the comments of the package's interfaces, their methods, and its
// errors.
func promises(files []*ast.File) (out []string) {
	for _, file := range files {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					i, ok := spec.Type.(*ast.InterfaceType)
					if !ok {
						continue
					}
					out = append(out, g.Doc.Text())
					for _, m := range i.Methods.List {
						if len(m.Names) > 0 {
							out = append(out, m.Doc.Text())
						}
					}
				case *ast.ValueSpec:
					if g.Tok == token.VAR {
						out = append(out, spec.Doc.Text())
					}
				}
			}
			if g.Tok == token.VAR {
				out = append(out, g.Doc.Text())
			}
		}
	}
	return out
}
