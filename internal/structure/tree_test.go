package structure

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mutms/mpd-virt-macos"

// source is one Go file of the module.
type source struct {
	path string // from the module's root, with slashes
	test bool   // a _test file
	file *ast.File
	fset *token.FileSet
	// names are the imports by the names that they have in the file.
	names map[string]string
}

// dir is the folder of the file, and so its package; "." is the root.
func (s *source) dir() string { return path.Dir(s.path) }

// within says whether the file is in one of the folders or below it.
func (s *source) within(folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return below(s.dir(), f) })
}

func below(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }

func (s *source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

func (s *source) lines() int { return s.fset.File(s.file.FileStart).LineCount() }

// imports are the paths that the file imports, with the place of each.
func (s *source) imports(visit func(path string, at ast.Node)) {
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		visit(p, spec)
	}
}

// uses calls visit for each use of a name of another package, as "os.Exit".
func (s *source) uses(visit func(name string, at ast.Node)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		// An identifier with an object is a variable that hides the import.
		if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil {
			if p, imported := s.names[x.Name]; imported {
				visit(p+"."+sel.Sel.Name, sel)
			}
		}
		return true
	})
}

// tree is all Go files of a module.
type tree []*source

// finding is one break of a rule: where, and what.
type finding struct{ at, text string }

func (t *tree) add(fset *token.FileSet, name string, text []byte) error {
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	s := &source{path: name, test: strings.HasSuffix(name, "_test.go"), file: file, fset: fset, names: map[string]string{}}
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		local := path.Base(p)
		if major := strings.TrimLeft(local, "v0123456789"); major == "" {
			local = path.Base(path.Dir(p)) // .../v2
		}
		if spec.Name != nil {
			local = spec.Name.Name
		}
		s.names[local] = p
	}
	*t = append(*t, s)
	return nil
}

// load reads the module at root: no hidden folders, no test data, no modules
// of their own below it.
func load(t *testing.T, root string) tree {
	t.Helper()
	var all tree
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, mod := os.Stat(filepath.Join(name, "go.mod"))
			if name != root && (mod == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		short, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return all.add(fset, filepath.ToSlash(short), text)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d files found: this is not the module", len(all))
	}
	return all
}

// shipped is the files that are no tests.
func (t tree) shipped() tree {
	return slices.DeleteFunc(slices.Clone(t), func(s *source) bool { return s.test })
}

// inModule is the folder of an import path of this module.
func inModule(p string) (dir string, ok bool) {
	if p == module {
		return ".", true
	}
	return strings.CutPrefix(p, module+"/")
}
