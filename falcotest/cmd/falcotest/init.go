// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/scenario"
	"github.com/falcotest/go-falcotest/internal/source"
	_ "github.com/falcotest/go-falcotest/internal/source/all"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

const module = "github.com/falcotest/go-falcotest"

var initVerb = verb{"init", "[FOLDER]", "set up a rules repository for tests; overwrites nothing", simple(initialise)}

// scaffold writes files that are not there.
type scaffold struct {
	dir string
	out io.Writer
}

func (s *scaffold) write(name, content string) error {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		fmt.Fprintf(s.out, "kept   %s\n", name)
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "wrote  %s\n", name)
	return nil
}

// initialise sets up a rules repository.
func initialise(args []string, out io.Writer) error {
	s := &scaffold{dir: ".", out: out}
	switch len(args) {
	case 0:
	case 1:
		s.dir = args[0]
	default:
		return errors.New("init takes one folder")
	}
	folder, err := rulesFolder(s.dir)
	if err != nil {
		return err
	}
	found, err := rules.Find(filepath.Join(s.dir, folder))
	if err != nil {
		return err
	}
	set, err := rules.Load(context.Background(), found.Names, rules.Options{Sources: source.Fields()})
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(s.dir)
	if err != nil {
		return err
	}
	for _, f := range []struct{ name, content string }{
		{"go.mod", goMod(filepath.Base(abs))},
		{"rules_test.go", fmt.Sprintf(rulesTest, folder)},
		{".github/workflows/falcotest.yml", githubWorkflow},
		{".gitlab/falcotest.yml", gitlabJob},
	} {
		if err := s.write(f.name, f.content); err != nil {
			return err
		}
	}
	tested, err := testedRules(filepath.Join(s.dir, folder))
	if err != nil {
		return err
	}
	for _, r := range set.Rules {
		if tested[r.Name] || hasAction(r.Name) {
			continue
		}
		if err := s.write(filepath.Join(folder, fileName(r.Name)+rules.TestFileSuffix), draft(r)); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nnext: go mod tidy && go test -v ./...\n      drafts fail until they are completed: each says how\n")
	return nil
}

// rulesFolder finds where the rules are: in a folder rules, or right here.
func rulesFolder(dir string) (string, error) {
	for _, folder := range []string{"rules", "."} {
		names, _ := filepath.Glob(filepath.Join(dir, folder, "*.yaml"))
		names = slices.DeleteFunc(names, rules.IsTestFile)
		if len(names) > 0 {
			return folder, nil
		}
	}
	return "", fmt.Errorf("there are no rules files *.yaml in %s or its folder rules", dir)
}

func hasAction(rule string) bool {
	for name := range events.All() {
		if events.MatchRule(name, rule) {
			return true
		}
	}
	return false
}

// testedRules are the rules that have tests in files already.
func testedRules(dir string) (map[string]bool, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+rules.TestFileSuffix))
	if err != nil {
		return nil, err
	}
	files, err := testfile.Load(names...)
	if err != nil {
		return nil, err
	}
	tested := map[string]bool{}
	for _, f := range files {
		for _, t := range f.Tests {
			tested[t.Rule] = true
		}
	}
	return tested, nil
}

func goMod(name string) string {
	name = strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, name), "-.")
	if name == "" {
		name = "rules"
	}
	require := ""
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path == module && strings.HasPrefix(info.Main.Version, "v") {
		require = fmt.Sprintf("\nrequire %s %s\n", module, info.Main.Version)
	}
	return fmt.Sprintf("module %s\n\ngo 1.26\n%s\ntool %s/falcotest/cmd/falcotest\n", name, require, module)
}

const rulesTest = `package rules_test

import (
	"testing"

	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

// TestRules runs an action for each rule that has one, and the tests in the
// files *_falcotest.yaml beside the rules.
func TestRules(t *testing.T) { falcotest.Run(t, falcotest.WithRules("%s")) }
`

const githubWorkflow = `name: Falco rules
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-go@v5
        with: {go-version-file: go.mod}
        # What was found is annotated at the rules' lines, and in the job's summary.
      - run: go test -count=1 ./...
`

const gitlabJob = `# In .gitlab-ci.yml: include: {local: .gitlab/falcotest.yml}
falco-rules:
  image: golang:1.26
  script:
    - go test -count=1 -v ./...
`

// fileName is a rule's name as that of a file.
func fileName(rule string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}, rule)
	for strings.Contains(name, "__") {
		name = strings.ReplaceAll(name, "__", "_")
	}
	return strings.Trim(name, "_")
}

// draft is a first test of a rule, filled from what its condition asks for.
func draft(r *rules.Rule) string {
	asked := map[string][]string{}
	collect(r.Expr, false, asked)
	var b strings.Builder
	fmt.Fprintf(&b, "# A draft, made from the condition of the rule. Complete it, and take the key draft\n# away: until then the test fails. The language: TESTFILES.md of %s.\n#\n# The rule asks for:\n", module)
	for _, field := range sorted(asked) {
		values := asked[field]
		if len(values) > 6 {
			values = append(slices.Clone(values[:6]), "…")
		}
		fmt.Fprintf(&b, "#   %s: %s\n", field, strings.Join(values, ", "))
	}
	fmt.Fprintf(&b, "tests:\n  - name: %s\n    rule: %q\n    draft: say in steps what the rule is to detect\n", fileName(r.Name), r.Name)
	if more := testfile.Draft(r.Source, asked); more != "" {
		return b.String() + more
	}
	name := first(asked["evt.type"], "openat")
	executes := name == "execve" || name == "execveat"
	var chain []string
	for _, field := range []string{"proc.aname", "proc.pname", "proc.name"} {
		names := asked[field]
		if len(names) == 0 {
			continue
		}
		args := ""
		if field == "proc.name" && executes {
			if args = first(asked["proc.args"], first(asked["proc.cmdline"], "")); args != "" {
				args = fmt.Sprintf(", args: %q", args)
			}
		}
		chain = append(chain, fmt.Sprintf("{name: %q%s}", names[0], args))
	}
	if len(asked["proc.name"]) == 0 && len(chain) > 0 {
		chain = append(chain, "{}")
	}
	inside := slices.ContainsFunc(sorted(asked), func(f string) bool { return strings.HasPrefix(f, "container.") })
	if len(chain) > 0 || inside {
		b.WriteString("    context:\n")
		if inside {
			b.WriteString("      container: {}\n")
		}
		if len(chain) > 0 {
			fmt.Fprintf(&b, "      processes: [%s]\n", strings.Join(chain, ", "))
		}
	}
	b.WriteString(draftSteps(name, asked))
	b.WriteString("    expectedOutcome: {}\n")
	return b.String()
}

// draftSteps are resources and steps that cause an event of a type.
func draftSteps(name string, asked map[string][]string) string {
	path := ""
	for _, field := range []string{"fd.name", "fd.filename", "fd.directory", "evt.arg.path", "evt.arg.name"} {
		if path == "" {
			path = first(asked[field], "")
		}
	}
	if path == "" || !strings.HasPrefix(path, "/") {
		path = "/tmp/falcotest-draft/" + strings.Trim(path, "/*")
	}
	if strings.HasSuffix(path, "/") {
		path += "file"
	}
	file := fmt.Sprintf("    resources:\n      - {type: fd, name: target, subtype: file, filePath: %q}\n", path)
	address := "203.0.113.10:" + first(asked["fd.sport"], first(asked["fd.rport"], "80"))
	flags := "O_RDONLY"
	if slices.ContainsFunc(sorted(asked), func(f string) bool { return f == "evt.is_open_write" || f == "evt.is_open_create" }) {
		flags = "O_WRONLY|O_CREAT"
	}
	call := scenario.SyscallByName(name)
	switch {
	case name == "execve", name == "execveat":
		return "" // of the last process, whose start is judged
	case name == "connect":
		return fmt.Sprintf("    resources:\n      - {type: clientServer, name: server, l4Proto: tcp4, address: %q} # the client connects\n", address)
	case call == nil || strings.HasPrefix(name, "open"):
		return file + fmt.Sprintf("    steps:\n      - {type: syscall, name: open, syscall: openat, args: {pathname: %q, flags: %s}}\n", path, flags)
	}
	resources := ""
	var args []string
	for i := range call.Args {
		arg, value := &call.Args[i], ""
		switch arg.Kind {
		case scenario.FD:
			resources, value = file, `"${target.fd}"`
		case scenario.Path:
			value = fmt.Sprintf("%q", path)
		case scenario.Address:
			value = fmt.Sprintf("%q", address)
		case scenario.Number, scenario.Length:
			value = "0"
		case scenario.Text, scenario.Buffer, scenario.Vector, scenario.Message:
			value = "text"
		}
		if arg.Settable() && !arg.Optional && value != "" {
			args = append(args, arg.Name+": "+value)
		}
	}
	return resources + fmt.Sprintf("    steps:\n      - {type: syscall, name: call, syscall: %s, args: {%s}}\n", name, strings.Join(args, ", "))
}

func first(values []string, otherwise string) string {
	if len(values) == 0 {
		return otherwise
	}
	return values[0]
}

func sorted(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// collect gathers the values that checks ask for, by field, leaving out what is
// excluded.
func collect(e *filter.Expr, not bool, into map[string][]string) {
	if e == nil {
		return
	}
	if e.Kind == filter.Not {
		not = !not
	}
	if e.Kind == filter.Check && e.Left != nil && e.Right != nil {
		name := e.Left.String()
		for _, v := range e.Right.Values {
			switch unequal := not != (e.Op == "!="); {
			case name == "container.id" && v == "host":
				if v = "any"; !unequal {
					continue
				}
			case unequal, v == "<NA>":
				continue
			}
			if !slices.Contains(into[name], v) {
				into[name] = append(into[name], v)
			}
		}
	}
	for _, child := range e.Children {
		collect(child, not, into)
	}
}
