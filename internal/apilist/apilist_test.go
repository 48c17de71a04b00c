package apilist

import (
	"flag"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the listings in docs/api again")

const docs = "../../docs/api"

// fileOf is the listing of a package.
func fileOf(pkg string) string { return path.Base(pkg) + ".txt" }

func TestAPI(t *testing.T) {
	packages := load(t, "../..")
	want := map[string]bool{}
	for _, p := range packages {
		name := fileOf(p.Path())
		if want[name] {
			t.Fatalf("two packages are called %s: their listings need names of their own", name)
		}
		want[name] = true
		t.Run(path.Base(p.Path()), func(t *testing.T) { compare(t, filepath.Join(docs, name), listing(p)) })
	}
	files, err := os.ReadDir(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if want[f.Name()] {
			continue
		}
		if *update {
			if err := os.Remove(filepath.Join(docs, f.Name())); err != nil {
				t.Error(err)
			}
			continue
		}
		t.Errorf("docs/api/%s lists a package that is no more", f.Name())
	}
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (make api)", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the API is not the one in %s; if that is meant, \"make api\" (-file +code):\n%s", file, diff)
	}
}

// The kinds of lines, by a package written out.
func TestListing(t *testing.T) {
	const text = `package p
		import "io"
		const A, b = 1, 2
		const S Kind = "a\"b"
		var ErrX, _ error
		var hidden int
		type Kind string
		func (k Kind) String() string { return "" }
		func (k *Kind) Set(s string) error { return nil }
		func (k Kind) own() {}
		type private struct{ Seen int }
		func (private) Promoted() {}
		type T struct { private; io.Reader; N, m int ` + "`json:\"n\"`" + `; F func(a ...int) (n int, err error) }
		type G[V any] struct { V V }
		func (G[V]) Do(v V) V { return v }
		type I interface { io.Closer; M(x int); secret() }
		type Alias = io.Reader
		type Func func(io.Reader) Kind
		func New(t *T, more ...string) (*T, error) { return nil, nil }
		func Map[K comparable, V any](m map[K]V) []K { return nil }
	`
	want := []string{
		"package p // import example.test/p",
		"",
		"const A = 1",
		`const S Kind = "a\"b"`,
		"func Map[K comparable, V any](m map[K]V) []K",
		"func New(t *T, more ...string) (*T, error)",
		"method (*Kind) Set(s string) error",
		"method (G[V]) Do(v V) V",
		"method (Kind) String() string",
		"method (T) Promoted()",
		"method (T) Read(p []byte) (n int, err error)",
		"type Alias = io.Reader",
		"type Func func(io.Reader) Kind",
		"type G[V any] struct",
		"type G[V any] struct, V V",
		"type I interface",
		"type I interface, Close() error",
		"type I interface, M(x int)",
		"type I interface, methods of its own package only",
		"type Kind string",
		"type T struct",
		"type T struct, F func(a ...int) (n int, err error)",
		"type T struct, N int `json:\"n\"`",
		"type T struct, embedded Reader io.Reader",
		"type T struct, fields of its own package only",
		"var ErrX error",
		"",
	}
	got := strings.Split(listing(check(t, "example.test/p", text)), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What strangers cannot import but can reach is listed where they reach it.
func TestListingInternal(t *testing.T) {
	lock := types.NewPackage(module+"/internal/lock", "lock")
	held := types.NewTypeName(0, lock, "Held", nil)
	named := types.NewNamed(held, types.NewStruct([]*types.Var{types.NewField(0, lock, "PID", types.Typ[types.Int], false)}, nil), nil)
	p := types.NewPackage(module+"/p", "p")
	p.Scope().Insert(types.NewTypeName(0, p, "LockedError", types.NewAlias(types.NewTypeName(0, p, "LockedError", nil), named)))
	for _, want := range []string{"type LockedError = lock.Held\n", "type LockedError struct, PID int\n"} {
		if got := listing(p); !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}
