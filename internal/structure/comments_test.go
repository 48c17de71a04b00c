package structure

import (
	"go/ast"
	"go/token"
	"strings"
)

// plainMethods need no comment: what they do is said by the interface that
// everybody knows.
var plainMethods = map[string]bool{"Error": true, "Unwrap": true}

func findComments(t tree) (out []finding) {
	packages := map[string]bool{} // by folder: has a comment
	for _, s := range t.shipped() {
		packages[s.dir()] = packages[s.dir()] || s.file.Doc != nil
		out = append(out, s.functionComments()...)
		for _, kind := range []token.Token{token.TYPE, token.CONST, token.VAR} {
			s.declarations(kind, func(d *ast.GenDecl) { out = append(out, s.groupComments(d)...) })
		}
	}
	for dir, has := range packages {
		if !has {
			out = append(out, finding{dir, "the package has no comment"})
		}
	}
	return out
}

func (s *source) functionComments() (out []finding) {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !f.Name.IsExported() || plainMethods[f.Name.Name] && f.Recv != nil {
			continue
		}
		name := f.Name.Name
		if f.Recv != nil {
			of := receiver(f.Recv.List[0].Type)
			if !ast.IsExported(of) {
				continue
			}
			name = of + "." + name
		}
		if !startsWith(f.Doc, f.Name.Name) {
			out = append(out, finding{s.at(f), name + " has no comment that starts with its name"})
		}
	}
	return out
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// groupComments wants a comment for each exported name that starts with it, or
// one for the group.
func (s *source) groupComments(d *ast.GenDecl) (out []finding) {
	grouped := d.Lparen.IsValid() && d.Tok != token.TYPE
	for _, spec := range d.Specs {
		var names []*ast.Ident
		var doc, behind *ast.CommentGroup
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names, doc = []*ast.Ident{spec.Name}, spec.Doc
		case *ast.ValueSpec:
			names, doc, behind = spec.Names, spec.Doc, spec.Comment
		}
		if doc == nil && !d.Lparen.IsValid() {
			doc = d.Doc
		}
		for i, name := range names {
			switch {
			case !name.IsExported(), i == 0 && startsWith(doc, name.Name):
			case grouped && (d.Doc != nil || doc != nil || behind != nil):
			case i > 0 && doc != nil: // one comment for "A, B = ..."
			default:
				out = append(out, finding{s.at(name), name.Name + " has no comment that starts with its name"})
			}
		}
	}
	return out
}

// startsWith says whether a comment starts with a name, an article before it
// allowed.
func startsWith(doc *ast.CommentGroup, name string) bool {
	if doc == nil {
		return false
	}
	text := strings.TrimPrefix(strings.TrimPrefix(doc.Text(), "A "), "An ")
	rest, ok := strings.CutPrefix(text, name)
	return ok && rest != "" && strings.ContainsRune(" \n,:.'(", rune(rest[0]))
}
