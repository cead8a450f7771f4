// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Everything that is exported stands in an example that is run.
func TestExportedNamesHaveExamples(t *testing.T) {
	for _, dir := range []string{".", "suite", "../events", "../helper"} {
		shown := map[string]bool{}
		exported := map[string]token.Position{}
		fset := token.NewFileSet()
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			switch base := filepath.Base(name); {
			case strings.HasPrefix(base, "example") && strings.HasSuffix(base, "_test.go"):
				noteExamples(t, fset, f, shown)
			case !strings.HasSuffix(base, "_test.go"):
				for _, decl := range f.Decls {
					for _, id := range declared(decl) {
						if id.IsExported() {
							exported[id.Name] = fset.Position(id.Pos())
						}
					}
				}
			}
		}
		if len(exported) == 0 {
			t.Errorf("%s exports nothing", dir)
		}
		for name, pos := range exported {
			if !shown[name] {
				t.Errorf("%s: no example shows %s", pos, name)
			}
		}
	}
}

// declared are the functions, methods and types that a declaration declares.
func declared(decl ast.Decl) (ids []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || ofExported(d.Recv.List[0].Type) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok {
				ids = append(ids, s.Name)
			}
		}
	}
	return ids
}

func ofExported(receiver ast.Expr) bool {
	if p, ok := receiver.(*ast.StarExpr); ok {
		receiver = p.X
	}
	id, ok := receiver.(*ast.Ident)
	return ok && id.IsExported()
}

// noteExamples notes the names that stand in a file's examples, all of which must say
// what they print, so that go test runs them.
func noteExamples(t *testing.T, fset *token.FileSet, f *ast.File, shown map[string]bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			shown[id.Name] = true
		}
		return true
	})
	for _, decl := range f.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(d.Name.Name, "Example") {
			continue
		}
		runs := false
		for _, c := range f.Comments {
			runs = runs || c.Pos() > d.Pos() && c.End() < d.End() && strings.HasPrefix(c.Text(), "Output:")
		}
		if !runs {
			t.Errorf("%s: %s does not say what it prints, and is not run", fset.Position(d.Pos()), d.Name.Name)
		}
		// A name of its own shows what it is named after.
		_, name, _ := strings.Cut(d.Name.Name, "Example")
		for _, part := range strings.Split(name, "_") {
			shown[part] = true
		}
	}
}
