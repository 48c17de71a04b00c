package apilist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mutms/mpd-virt-macos"

// isInternal says whether only this module can import a package.
func isInternal(pkg string) bool { return slices.Contains(strings.Split(pkg, "/"), "internal") }

// isPublic says whether strangers are meant to import a package of this module:
// not what is internal, no command, and no example.
func isPublic(pkg, name string) bool {
	return !isInternal(pkg) && name != "main" && !strings.HasPrefix(pkg+"/", module+"/examples/")
}

// listed is what "go list" tells of a package.
type listed struct {
	ImportPath, Name, Export string
	DepOnly                  bool
	IgnoredGoFiles           []string
}

// load has the go command compile the module at root, and reads the types of
// its public packages from what the compiler left.
func load(t *testing.T, root string) []*types.Package {
	t.Helper()
	exports := map[string]string{} // by import path: the compiler's file
	var public []string
	for _, p := range goList(t, root) {
		exports[p.ImportPath] = p.Export
		if p.DepOnly || !isPublic(p.ImportPath, p.Name) {
			continue
		}
		public = append(public, p.ImportPath)
		if len(p.IgnoredGoFiles) > 0 {
			t.Errorf("%s: %v are for some systems only: its API could differ from system to system", p.ImportPath, p.IgnoredGoFiles)
		}
	}
	if len(public) < 5 {
		t.Fatalf("only %v can be imported: this is not the module", public)
	}
	open := func(pkg string) (io.ReadCloser, error) {
		if exports[pkg] == "" {
			return nil, fmt.Errorf("%s was not compiled", pkg)
		}
		return os.Open(exports[pkg])
	}
	from := importer.ForCompiler(token.NewFileSet(), "gc", open)
	var out []*types.Package
	for _, pkg := range public {
		p, err := from.Import(pkg)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func goList(t *testing.T, root string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-export",
		"-json=ImportPath,Name,Export,DepOnly,IgnoredGoFiles", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// check type-checks a package that is written out in a test. It may import what
// package io needs and no more.
func check(t *testing.T, pkg, text string) *types.Package {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	p, err := conf.Check(pkg, fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
