package structure

import (
	"go/ast"
	"go/token"
	"strings"
)

// tables are the variables of packages that only look like state: written once,
// where they stand, and never again (which is checked).
var tables = map[string]string{
	"cmd/mpd-virt/internal/cli.running":             "a mark; Go has no constant structs",
	"internal/bootstrap.pipeline":                   "the list of steps",
	"internal/command.knownDirs":                    "a list of folders; Go has no constant arrays",
	"internal/guest.agentFlags":                     "a table of the SSH agent protocol",
	"internal/guest.hostKeyTypes":                   "a list of key types",
	"internal/identity.caRules":                     "the list of what a CA certificate must be",
	"internal/identity.keyEncoding":                 "an encoding, which has no state; made by a call",
	"internal/probe.noAddress":                      "an answer; Go has no constant structs",
	"internal/probe.sends":                          "a list of times; Go has no constant arrays",
	"internal/sshconfig.containers":                 "a list of names; Go has no constant arrays",
	"internal/statefile.errEnvFull":                 "an error whose text holds a constant",
	"internal/statefile.realDisk":                   "the system's calls; tests make a value of their own",
	"cmd/mpd-virt/internal/cli.phases":              "a list of constants",
	"mpdvirt/mpdvirttest.Epoch":                     "a time; Go has no constant times",
	"mpdvirt/mpdvirttest.curlStatus":                "a table of exit statuses",
	"mpdvirt/mpdvirttest.defaultIdentities":         "a list of file names",
	"mpdvirt/mpdvirttest.macAddrs":                  "a list of addresses",
	"mpdvirt/mpdvirttest.macEnd":                    "an address; Go has no constant addresses",
	"mpdvirt/mpdvirttest.nameServerAddr":            "an address; Go has no constant addresses",
	"mpdvirt/mpdvirttest.platformPackages":          "a list of packages",
	"mpdvirt/mpdvirttest.scripts":                   "the texts of the played scripts",
	"mpdvirt/mpdvirttest.tunnelNets":                "a list of networks",
	"mpdvirt/mpdvirttest.vmEnd":                     "an address; Go has no constant addresses",
	"mpdvirt/mpdvirttest.webMessages":               "a table of messages",
	"mpdvirt/mpdvirttest.wgetStatus":                "a table of exit statuses",
	"mpdvirt.ownChecks":                             "the list of checks",
	"mpdvirt/mpdvirttest/internal/debian.dateForms": "a table of date's formats",
	"mpdvirt/mpdvirttest/internal/debian.internals": "the table of a shell's built-ins",
	"mpdvirt/mpdvirttest/internal/memfs.special":    "a table of mode bits",
}

func findVariables(t tree) (out []finding) {
	t = t.shipped()
	used := map[string]bool{}
	for _, s := range t {
		s.declarations(token.VAR, func(d *ast.GenDecl) {
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				for i, name := range v.Names {
					key := s.dir() + "." + name.Name
					used[key] = true
					if !s.constant(d, v, i) && tables[key] == "" {
						out = append(out, finding{s.at(name), name.Name + " is a variable of the package"})
					}
				}
			}
		})
	}
	for key := range tables {
		if !used[key] {
			out = append(out, finding{key, "is in the list of tables, but is no variable any more"})
		}
	}
	return append(out, findAssignments(t, used)...)
}

// constant says whether the i-th variable of v can hold no state.
func (s *source) constant(d *ast.GenDecl, v *ast.ValueSpec, i int) bool {
	if v.Names[i].Name == "_" || embedded(d.Doc) || embedded(v.Doc) {
		return true
	}
	if len(v.Values) != len(v.Names) {
		return false
	}
	switch value := v.Values[i].(type) {
	case *ast.CallExpr:
		return s.isUse(value.Fun, "errors.New") || s.isUse(value.Fun, "regexp.MustCompile")
	case *ast.SelectorExpr: // an error of another package under a name of ours
		return strings.HasPrefix(v.Names[i].Name, "Err") && strings.HasPrefix(value.Sel.Name, "Err")
	}
	return false
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// findAssignments finds where a variable of a package gets another value or
// another element, or where its address is taken.
func findAssignments(t tree, variables map[string]bool) (out []finding) {
	for _, s := range t {
		check := func(e ast.Expr, at ast.Node) {
			if key := s.variable(e); variables[key] {
				out = append(out, finding{s.at(at), key + " is changed"})
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, left := range n.Lhs {
						check(left, n)
					}
				}
			case *ast.IncDecStmt:
				check(n.X, n)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					check(n.X, n)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
					check(n.Args[0], n)
				}
			}
			return true
		})
	}
	return out
}

// variable is the variable of a package at the start of x, x.f, x[i], *x and
// the same with the package's name before it; "" if it is none of this module.
func (s *source) variable(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		if e.Name != "_" && !s.local(e) {
			return s.dir() + "." + e.Name
		}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok && x.Obj == nil && s.names[x.Name] != "" {
			dir, _ := inModule(s.names[x.Name])
			return dir + "." + e.Sel.Name
		}
		return s.variable(e.X)
	case *ast.IndexExpr:
		return s.variable(e.X)
	case *ast.ParenExpr:
		return s.variable(e.X)
	case *ast.StarExpr:
		return s.variable(e.X)
	}
	return ""
}

// local says whether a name stands for something of a function. The parser
// resolves what is declared in the same file; what it leaves open is of the
// package.
func (s *source) local(name *ast.Ident) bool {
	return name.Obj != nil && s.file.Scope.Lookup(name.Name) != name.Obj
}
