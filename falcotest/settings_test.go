// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/correlate"
)

func TestEnvironmentOverrides(t *testing.T) {
	t.Setenv("FALCOTEST_FALCO", "exec:")
	t.Setenv("FALCOTEST_TIMEOUT", "3s")
	t.Setenv("FALCOTEST_ACTIONS", "a,b")
	t.Setenv("FALCOTEST_FALCO_RULES", "added.yaml")
	t.Setenv("FALCOTEST_CREATE_NAMESPACE", "1")
	t.Setenv("FALCOTEST_NAMESPACE", "there")
	got, err := newSettings([]Option{WithFalco("builtin:"), WithActions("c"), WithRetries(7), WithStrict(), WithParallel(3),
		WithExec(Exec{Rules: []string{"own.yaml"}}), WithKubernetes(Kubernetes{Namespace: "here", Keep: true})})
	if err != nil {
		t.Fatal(err)
	}
	want := &settings{Settings: config.Settings{
		Falco: "exec:", Actions: []string{"a", "b"}, Timeout: 3 * time.Second, Deadline: 30 * time.Second, Retries: 7, Parallel: 3,
		Strict: true, Hermetic: true, Terminal: true, Kubernetes: config.Kubernetes{Namespace: "there", CreateNamespace: true, Keep: true},
		Exec: config.Exec{Rules: []string{"own.yaml", "added.yaml"}}, Nodes: config.Nodes{Parallel: 50, Deadline: 10 * time.Minute},
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadSettings(t *testing.T) {
	for _, o := range []Option{WithTimeout(0), WithActionDeadline(-1), WithRetries(-1), WithParallel(0), WithMinCorrelation("luck"), WithContainerEngine("lxc")} {
		if _, err := newSettings([]Option{o}); err == nil || !strings.Contains(err.Error(), "want ") {
			t.Errorf("got error %v", err)
		}
	}
	t.Setenv("FALCOTEST_STRCT", "1")
	if _, err := newSettings(nil); err == nil || !strings.Contains(err.Error(), "did you mean FALCOTEST_STRICT?") {
		t.Errorf("got error %v", err)
	}
}

// Each name of a correlation that may be set is one.
func TestMinCorrelation(t *testing.T) {
	for _, name := range []string{"environment", "process", "text", "time"} {
		c, err := newSettings([]Option{WithMinCorrelation(name)})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := correlate.ParseStrength(c.MinCorrelation); err != nil || s.String() != name {
			t.Errorf("%s is %s, %v", name, s, err)
		}
	}
}

// Every option has a variable, and every variable an option.
func TestEverySettingHasAnOption(t *testing.T) {
	options := map[string]bool{}
	for _, file := range parseFiles(t) {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Type.Results == nil || d.Recv != nil || !d.Name.IsExported() {
					continue
				}
				if r, ok := d.Type.Results.List[0].Type.(*ast.Ident); ok && r.Name == "Option" {
					options[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && (ts.Name.Name == "Kubernetes" || ts.Name.Name == "Exec" || ts.Name.Name == "Nodes") {
						for _, field := range ts.Type.(*ast.StructType).Fields.List {
							for _, name := range field.Names {
								options[ts.Name.Name+"."+name.Name] = true
							}
						}
					}
				}
			}
		}
	}
	delete(options, "WithKubernetes")  // its fields are
	delete(options, "WithExec")        // likewise
	delete(options, "WithNodes")       // likewise
	delete(options, "WithExpectation") // is of one action, and a variable cannot say it
	settings := map[string]bool{}
	for _, s := range config.All() {
		settings[s.Option] = true
	}
	if diff := cmp.Diff(options, settings); diff != "" {
		t.Errorf("(-options of this package +in internal/config):\n%s", diff)
	}
}

func parseFiles(t *testing.T) []*ast.File {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// The table in the package's documentation is made from the settings; -update
// writes it.
func TestSettingsAreDocumented(t *testing.T) {
	const file, first = "doc.go", "//\tFALCOTEST_"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	start := bytes.Index(data, []byte(first))
	length := bytes.Index(data[max(start, 0):], []byte("\n//\n")) + 1
	if start < 0 || length == 0 {
		t.Fatalf("there is no table in %s", file)
	}
	var want strings.Builder
	for line := range strings.Lines(config.Table()) {
		want.WriteString("//\t" + line)
	}
	if flag.Lookup("update").Value.String() == "true" {
		data = []byte(string(data[:start]) + want.String() + string(data[start+length:]))
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), string(data[start:start+length])); diff != "" {
		t.Errorf("%s (run this test with -update; -want +got):\n%s", file, diff)
	}
}
