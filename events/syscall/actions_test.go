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

// A ruleSet is a set of rules files with one rule for each action.
type ruleSet struct {
	name  string
	files []string // the stable rules, the incubating ones, the sandbox
}

// ownRules are in testdata: they say in as few clauses as will do what each
// action does.
var ownRules = ruleSet{"own", []string{
	filepath.Join("testdata", "rules", "stable_rules.yaml"),
	filepath.Join("testdata", "rules", "incubating_rules.yaml"),
	filepath.Join("testdata", "rules", "sandbox_rules.yaml"),
}}

// ruleSets returns our own rules and, where FALCO_TESTDATA has them, those that
// Falco ships, which are the stricter test.
func ruleSets(t testing.TB) []ruleSet {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "falco")
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Logf("without the rules that Falco ships: %v (FALCO_TESTDATA says where they are)", err)
		return []ruleSet{ownRules}
	}
	upstream := ruleSet{name: "upstream"}
	for _, file := range []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"} {
		upstream.files = append(upstream.files, filepath.Join(dir, "rules", file))
	}
	return []ruleSet{ownRules, upstream}
}

// strictest returns the last of [ruleSets].
func strictest(t testing.TB) ruleSet {
	t.Helper()
	sets := ruleSets(t)
	return sets[len(sets)-1]
}

// maturities are those of the files of a rule set, in their order.
var maturities = []string{"stable", "incubating", "sandbox"}

// rule is what the tests need to know of a rule.
type rule struct {
	Maturity string `yaml:"-"`
	Rule     string
	Enabled  *bool
	Tags     []string
}

// rules reads the rules of a set in the order of its files.
func (set ruleSet) rules(t testing.TB) []rule {
	t.Helper()
	var rules []rule
	for i, file := range set.files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var items []rule
		if err := yaml.Unmarshal(b, &items); err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		for _, item := range items {
			if item.Rule != "" {
				item.Maturity = maturities[i]
				rules = append(rules, item)
			}
		}
	}
	return rules
}

// eachSet runs a test with each rule set.
func eachSet(t *testing.T, test func(t *testing.T, set ruleSet)) {
	for _, set := range ruleSets(t) {
		t.Run(set.name, func(t *testing.T) { test(t, set) })
	}
}

func TestEachRuleHasOneAction(t *testing.T) { eachSet(t, eachRuleHasOneAction) }

func eachRuleHasOneAction(t *testing.T, set ruleSet) {
	rules := set.rules(t)
	if len(rules) != 93 {
		t.Errorf("%d rules, want 93", len(rules))
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
		want := rule.Maturity != "stable" || rule.Enabled != nil && !*rule.Enabled
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
func TestEachActionIsDocumented(t *testing.T) { eachSet(t, eachActionIsDocumented) }

func eachActionIsDocumented(t *testing.T, set ruleSet) {
	rules := set.rules(t)
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
