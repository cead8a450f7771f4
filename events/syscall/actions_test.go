// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/events"
	_ "github.com/falcotest/go-falcotest/events/syscall"
)

// upstreamFiles are Falco's own rules files for system calls, in the order in
// which Falco loads them.
var upstreamFiles = []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"}

// testdata returns the directory of the data to test against that the project
// does not hold, or skips the test.
func testdata(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "falco")
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no upstream rules to test against: %v (FALCO_TESTDATA says where they are)", err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// upstreamRule is what the tests need to know of a rule.
type upstreamRule struct {
	File    string
	Rule    string
	Enabled *bool
	Tags    []string
}

func upstreamRules(t testing.TB) []upstreamRule {
	t.Helper()
	dir := testdata(t)
	var rules []upstreamRule
	for _, file := range upstreamFiles {
		b, err := os.ReadFile(filepath.Join(dir, "rules", file))
		if err != nil {
			t.Fatal(err)
		}
		var items []upstreamRule
		if err := yaml.Unmarshal(b, &items); err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		for _, item := range items {
			if item.Rule != "" {
				item.File = file
				rules = append(rules, item)
			}
		}
	}
	return rules
}

func TestEachRuleHasOneAction(t *testing.T) {
	rules := upstreamRules(t)
	if len(rules) != 93 {
		t.Errorf("%d rules upstream, want 93", len(rules))
	}
	actions := events.ByPackage("syscall")
	for _, rule := range rules {
		var names []string
		for name := range actions {
			if events.MatchRule(name, rule.Rule) {
				names = append(names, name)
			}
		}
		if len(names) != 1 {
			t.Errorf("rule %q has the actions %q, want one", rule.Rule, names)
			continue
		}
		want := rule.File != upstreamFiles[0] || rule.Enabled != nil && !*rule.Enabled
		if got := events.Disabled(names[0]); got != want {
			t.Errorf("%s is registered as disabled: %t, want %t", names[0], got, want)
		}
		delete(actions, names[0])
	}
	for name := range actions {
		t.Errorf("%s is named after no rule", name)
	}
}

// TestEachActionIsDocumented reads this package's source: an action's file is
// named after its rule, and its comment says what a reader must know.
func TestEachActionIsDocumented(t *testing.T) {
	rules := upstreamRules(t)
	exported := exportedFunctions(t)
	if got, want := len(exported), len(events.ByPackage("syscall")); got != want {
		t.Errorf("%d exported functions and %d actions: only actions are exported", got, want)
	}
	for _, rule := range rules {
		i := slices.IndexFunc(exported, func(f function) bool { return events.MatchRule("syscall."+f.name, rule.Rule) })
		if i < 0 {
			t.Errorf("no function for the rule %q", rule.Rule)
			continue
		}
		f := exported[i]
		if want := underscored(rule.Rule) + ".go"; f.file != want {
			t.Errorf("%s is in %s, want %s", f.name, f.file, want)
		}
		words := strings.Join(strings.Fields(f.doc), " ")
		for _, want := range []string{f.name + " ", "Rule: ", "Needs: ", "ATT&CK: "} {
			if !strings.Contains(words, want) {
				t.Errorf("the comment of %s does not have %q:\n%s", f.name, want, f.doc)
			}
		}
		_, technique, _ := strings.Cut(words, "ATT&CK: ")
		technique, _, _ = strings.Cut(technique, ",")
		if !slices.Contains(rule.Tags, technique) {
			t.Errorf("the comment of %s names the technique %q, which is none of the rule's tags %q", f.name, technique, rule.Tags)
		}
	}
}

type function struct{ name, file, doc string }

func exportedFunctions(t *testing.T) []function {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var list []function
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range src.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.IsExported() {
					list = append(list, function{decl.Name.Name, file, decl.Doc.Text()})
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if names := exportedNames(spec); len(names) > 0 {
						t.Errorf("%s exports %q, which are no actions", file, names)
					}
				}
			}
		}
	}
	return list
}

func exportedNames(spec ast.Spec) (names []string) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() {
			names = append(names, spec.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

var notAlphanumeric = regexp.MustCompile(`[^a-z0-9]+`)

// underscored turns a rule's name into a file's.
func underscored(rule string) string {
	return strings.Trim(notAlphanumeric.ReplaceAllString(strings.ToLower(rule), "_"), "_")
}

func TestUnderscored(t *testing.T) {
	for rule, want := range map[string]string{
		"Write below etc":                               "write_below_etc",
		"Container Drift Detected (open+create)":        "container_drift_detected_open_create",
		"Read environment variable from /proc files":    "read_environment_variable_from_proc_files",
		"Backdoored library loaded into SSHD (CVE-1-2)": "backdoored_library_loaded_into_sshd_cve_1_2",
	} {
		if diff := cmp.Diff(want, underscored(rule)); diff != "" {
			t.Errorf("underscored(%q) (-want +got):\n%s", rule, diff)
		}
	}
}
