package apilist

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// listing is what p exports, sorted.
func listing(p *types.Package) string {
	l := &lister{pkg: p}
	for _, name := range p.Scope().Names() {
		if obj := p.Scope().Lookup(name); obj.Exported() {
			l.object(obj)
		}
	}
	slices.Sort(l.lines)
	return fmt.Sprintf("package %s // import %s\n\n%s\n", p.Name(), p.Path(), strings.Join(slices.Compact(l.lines), "\n"))
}

type lister struct {
	pkg   *types.Package
	lines []string
}

func (l *lister) add(format string, args ...any) {
	l.lines = append(l.lines, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// text is a type as the package's own source would name it.
func (l *lister) text(t types.Type) string { return types.TypeString(t, l.qualify) }

func (l *lister) qualify(p *types.Package) string {
	if p == l.pkg {
		return ""
	}
	return p.Name()
}

// signature is a function's type without the word func.
func (l *lister) signature(t types.Type) string { return strings.TrimPrefix(l.text(t), "func") }

func (l *lister) object(obj types.Object) {
	switch obj := obj.(type) {
	case *types.Const:
		typ := ""
		if b, ok := obj.Type().(*types.Basic); !ok || b.Info()&types.IsUntyped == 0 {
			typ = " " + l.text(obj.Type())
		}
		l.add("const %s%s = %s", obj.Name(), typ, obj.Val().ExactString())
	case *types.Var:
		l.add("var %s %s", obj.Name(), l.text(obj.Type()))
	case *types.Func:
		l.add("func %s%s", obj.Name(), l.signature(obj.Type()))
	case *types.TypeName:
		l.typeName(obj)
	}
}

func (l *lister) typeName(obj *types.TypeName) {
	if !obj.IsAlias() {
		l.contents(l.declared(obj.Type()), obj.Type())
		return
	}
	target := types.Unalias(obj.Type())
	l.add("type %s = %s", obj.Name(), l.text(target))
	if named, ok := target.(*types.Named); ok && named.Obj().Pkg() != nil && isInternal(named.Obj().Pkg().Path()) {
		l.contents(obj.Name(), target) // nobody could look it up there
	}
}

// declared is a type's name with its type parameters.
func (l *lister) declared(t types.Type) string {
	named, ok := t.(*types.Named)
	if !ok || named.TypeParams().Len() == 0 {
		return l.text(t)
	}
	var params []string
	for p := range named.TypeParams().TypeParams() {
		params = append(params, p.Obj().Name()+" "+l.text(p.Constraint()))
	}
	return named.Obj().Name() + "[" + strings.Join(params, ", ") + "]"
}

// contents lists a type that is called name: its fields and its methods.
func (l *lister) contents(name string, t types.Type) {
	switch u := t.Underlying().(type) {
	case *types.Struct:
		l.add("type %s struct", name)
		l.fields(name, u)
	case *types.Interface:
		l.add("type %s interface", name)
		l.interfaceMethods(name, u)
		return
	default:
		l.add("type %s %s", name, l.text(u))
	}
	bare, _, _ := strings.Cut(name, "[")
	l.methods(bare, t)
}

func (l *lister) fields(name string, s *types.Struct) {
	for i := range s.NumFields() {
		f, tag, embedded := s.Field(i), "", ""
		if !f.Exported() {
			l.add("type %s struct, fields of its own package only", name)
			continue
		}
		if s.Tag(i) != "" {
			tag = " `" + s.Tag(i) + "`"
		}
		if f.Embedded() {
			embedded = "embedded "
		}
		l.add("type %s struct, %s%s %s%s", name, embedded, f.Name(), l.text(f.Type()), tag)
	}
}

func (l *lister) interfaceMethods(name string, i *types.Interface) {
	for m := range i.Methods() {
		if !m.Exported() {
			// Nobody else can implement it.
			l.add("type %s interface, methods of its own package only", name)
			continue
		}
		l.add("type %s interface, %s%s", name, m.Name(), l.signature(m.Type()))
	}
}

// methods lists what can be called on a value and on a pointer, promoted
// methods included.
func (l *lister) methods(name string, t types.Type) {
	ofValue := types.NewMethodSet(t)
	for m := range types.NewMethodSet(types.NewPointer(t)).Methods() {
		f := m.Obj().(*types.Func)
		if !f.Exported() {
			continue
		}
		star := "*"
		if ofValue.Lookup(f.Pkg(), f.Name()) != nil {
			star = ""
		}
		l.add("method (%s%s) %s%s", star, l.receiver(name, t), f.Name(), l.signature(m.Type()))
	}
}

// receiver is a type's name with the names of its type parameters.
func (l *lister) receiver(name string, t types.Type) string {
	named, ok := t.(*types.Named)
	if !ok || named.TypeParams().Len() == 0 {
		return name
	}
	var params []string
	for p := range named.TypeParams().TypeParams() {
		params = append(params, p.Obj().Name())
	}
	return name + "[" + strings.Join(params, ", ") + "]"
}
