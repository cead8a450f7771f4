// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	goast "go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/internal/rules"
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

// write writes a file, and tells whether that was there already.
func (s *scaffold) write(name, content string) (kept bool, err error) {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, fmt.Errorf("writing %s: %w", name, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		fmt.Fprintf(s.out, "kept   %s\n", name)
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("writing %s: %w", name, err)
	}
	fmt.Fprintf(s.out, "wrote  %s\n", name)
	return false, nil
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
	// Whatever is wrong is told before anything is written.
	repo, err := lookAround(s.dir)
	if err != nil {
		return err
	}
	patterns := repo.patterns()
	found, err := rules.Find(patterns...)
	if err != nil {
		return err
	}
	set, err := rules.Load(context.Background(), found.Names, rules.Options{Sources: source.Fields()})
	if err != nil {
		return err
	}
	tested, err := testedRules(found.Names)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(s.dir)
	if err != nil {
		return err
	}
	type file struct{ name, content string }
	files := []file{{"go.mod", goMod(filepath.Base(abs))}}
	if repo.module != "" {
		files = nil
		fmt.Fprintf(out, "kept   %s\n", repo.module)
	}
	test := filepath.Join(repo.testFolder, "rules_test.go")
	if repo.test == "" {
		files = append(files, file{test, fmt.Sprintf(rulesTest, repo.testPackage, repo.arguments(s.dir))})
	} else {
		fmt.Fprintf(out, "kept   %s\n", repo.test)
	}
	files = append(files,
		file{".github/workflows/falcotest.yml", githubWorkflow},
		file{".gitlab/falcotest.yml", gitlabJob},
		file{".gitlab-ci.yml", gitlabInclude})
	var next []string
	for _, f := range files {
		kept, err := s.write(f.name, f.content)
		if err != nil {
			return err
		}
		// What was there may need a hand.
		data, _ := os.ReadFile(filepath.Join(s.dir, f.name))
		switch {
		case kept && f.name == test && !strings.Contains(string(data), module):
			next = append(next, test+" is yours: call falcotest.Run in a test of it")
		case kept && f.name == ".gitlab-ci.yml" && !strings.Contains(string(data), ".gitlab/falcotest.yml"):
			next = append(next, ".gitlab-ci.yml is yours: add to it include: {local: .gitlab/falcotest.yml}")
		}
	}
	used := map[string]bool{}
	drafts := 0
	for _, r := range set.Rules {
		if tested[r.Name] || hasAction(r.Name) {
			continue
		}
		name := fileName(r.Name)
		for n := 2; used[name]; n++ {
			name = fmt.Sprintf("%s_%d", fileName(r.Name), n)
		}
		used[name] = true
		folder, err := filepath.Rel(s.dir, filepath.Dir(r.Pos.File))
		if err != nil {
			return err
		}
		kept, err := s.write(filepath.Join(folder, name+rules.TestFileSuffix), draft(r, name))
		if err != nil {
			return err
		}
		if !kept {
			drafts++
		}
	}
	if data, err := os.ReadFile(filepath.Join(s.dir, repo.module)); repo.module != "" && err == nil && !strings.Contains(string(data), module+"/falcotest/cmd") {
		next = append(next, "go get -tool "+module+"/falcotest/cmd/falcotest@latest")
	}
	next = append(next, "go mod tidy && go test -v ./...")
	fmt.Fprintf(out, "\nnext: %s\n", strings.Join(next, "\n      "))
	if drafts > 0 {
		fmt.Fprintf(out, "      the drafts fail until they are completed: each says how (%d)\n", drafts)
	}
	return nil
}

// repository is what a folder has already.
type repository struct {
	module      string   // the go.mod that it is in, "" for none
	folders     []string // with rules files alone
	files       []string // rules files in folders with other YAML
	test        string   // the file of tests that runs falcotest, "" for none
	testPackage string   // of one to be written
	testFolder  string
}

// rulesKey is how a rules file begins some line.
var rulesKey = regexp.MustCompile(`(?m)^\s*-\s+(rule|macro|list|required_engine_version|required_plugin_versions)\s*:`)

// lookAround finds the rules files below a folder, and the Go that is there.
func lookAround(dir string) (*repository, error) {
	r := &repository{testPackage: "rules_test"}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != dir && (strings.HasPrefix(name, ".") || name == "testdata" || name == "vendor" || name == "node_modules") {
			return filepath.SkipDir
		}
		var files, others []string
		for _, ext := range []string{"*.yaml", "*.yml"} {
			names, _ := filepath.Glob(filepath.Join(quoteGlob(path), ext))
			for _, name := range names {
				if rules.IsTestFile(name) {
					continue
				}
				data, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				if rulesKey.Match(data) {
					files = append(files, name)
				} else {
					others = append(others, name)
				}
			}
		}
		switch {
		case len(files) > 0 && len(others) == 0:
			r.folders = append(r.folders, path)
		default:
			r.files = append(r.files, files...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for rules files: %w", err)
	}
	if len(r.folders)+len(r.files) == 0 {
		return nil, fmt.Errorf("there are no rules files *.yaml in %s or below it", dir)
	}
	r.module, err = moduleFile(dir)
	if err != nil {
		return nil, err
	}
	return r, r.lookAtGo(dir)
}

// lookAtGo says where a test fits in beside the Go files of a folder.
func (r *repository) lookAtGo(dir string) error {
	names, _ := filepath.Glob(filepath.Join(quoteGlob(dir), "*.go"))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, "_test.go") && strings.Contains(string(data), module) && strings.Contains(string(data), "falcotest.Run") {
			r.test = filepath.Base(name)
			return nil
		}
	}
	for _, name := range names {
		if filepath.Base(name) == "rules_test.go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("reading the Go files: %w", err)
		}
		r.testPackage = strings.TrimSuffix(f.Name.Name, "_test") + "_test"
		for _, d := range f.Decls {
			if fn, ok := d.(*goast.FuncDecl); ok && strings.HasSuffix(name, "_test.go") && (fn.Name.Name == "TestMain" || fn.Name.Name == "TestRules") {
				r.testFolder, r.testPackage = "falcotest", "rules_test"
				return nil
			}
		}
	}
	return nil
}

// moduleFile is the go.mod of a folder, or of the repository that it is in.
func moduleFile(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := abs; ; at = filepath.Dir(at) {
		name := filepath.Join(at, "go.mod")
		if _, err := os.Stat(name); err == nil {
			return filepath.Rel(abs, name)
		}
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil || at == filepath.Dir(at) {
			return "", nil
		}
	}
}

// quoteGlob is the pattern that matches just that path.
func quoteGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// patterns are what the rules files are found by, from here.
func (r *repository) patterns() []string { return append(slices.Clone(r.folders), r.files...) }

// arguments are the patterns as Go writes them, from the folder of the test.
func (r *repository) arguments(dir string) string {
	var quoted []string
	for _, p := range r.patterns() {
		if rel, err := filepath.Rel(filepath.Join(dir, r.testFolder), p); err == nil {
			p = rel
		}
		quoted = append(quoted, strconv.Quote(filepath.ToSlash(p)))
	}
	return strings.Join(quoted, ", ")
}

func hasAction(rule string) bool {
	for name := range events.All() {
		if events.MatchRule(name, rule) {
			return true
		}
	}
	return false
}

// testedRules are the rules that have tests in files beside the rules already.
func testedRules(rulesFiles []string) (map[string]bool, error) {
	var names []string
	for _, file := range rulesFiles {
		beside, err := filepath.Glob(filepath.Join(quoteGlob(filepath.Dir(file)), "*"+rules.TestFileSuffix))
		if err != nil {
			return nil, err
		}
		for _, name := range beside {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
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

const rulesTest = `package %s

import (
	"testing"

	_ "github.com/falcotest/go-falcotest/events/k8saudit"
	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

// TestRules runs an action for each rule that has one, and the tests in the
// files *_falcotest.yaml beside the rules.
func TestRules(t *testing.T) { falcotest.Run(t, falcotest.WithRules(%s)) }
`

const githubWorkflow = `name: Falco rules
on:
  push:
    branches: [main, master]
  pull_request:
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with: {persist-credentials: false}
      - uses: actions/setup-go@d35c59abb061a4a6fb18e82ac0862c26744d6ab5 # v5.5.0
        with: {go-version-file: go.mod}
      # What was found is annotated at the rules' lines, and in the job's summary.
      - run: go test -count=1 ./...
        env: {CGO_ENABLED: "0"}
`

const gitlabJob = `falco-rules:
  image: golang:1.26
  timeout: 15m
  variables:
    CGO_ENABLED: "0"
    FALCOTEST_REPORT: falco.xml
  script:
    - go test -count=1 -v ./...
  artifacts:
    when: always
    reports:
      junit: ["**/falco.xml"]
`

const gitlabInclude = `include:
  - local: /.gitlab/falcotest.yml
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
	if name = strings.Trim(name, "_"); name == "" {
		return "rule"
	}
	return name
}
