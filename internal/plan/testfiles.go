// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/spelling"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// testFiles expands the patterns of test files, or finds those beside the rules.
func testFiles(asked Asked, rulesFiles []string) ([]string, error) {
	if len(asked.TestFiles) == 0 {
		var found []string
		for _, file := range rulesFiles {
			beside, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"+rules.TestFileSuffix))
			if err != nil {
				return nil, fmt.Errorf("finding test files beside %s: %w", file, err)
			}
			for _, name := range beside {
				if !slices.Contains(found, name) {
					found = append(found, name)
				}
			}
		}
		if len(found) == 0 && asked.OnlyFiles {
			return nil, fmt.Errorf("finding test files: there is no *%s beside the rules under test: name the files", rules.TestFileSuffix)
		}
		return found, nil
	}
	var found []string
	for _, glob := range asked.TestFiles {
		names, err := filepath.Glob(glob)
		if err != nil {
			return nil, fmt.Errorf("finding test files %q: %w", glob, err)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("finding test files: no file matches %q", glob)
		}
		for _, name := range names {
			if !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	return found, nil
}

// loadTests reads the test files, and pairs their tests with the rules under
// test.
func (p *Plan) loadTests(asked Asked) ([]*Action, error) {
	names, err := testFiles(asked, p.Files)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	p.tests = names
	// What is wrong with the files is told together with what does not fit the
	// rules under test.
	var problems testfile.Problems
	files, err := testfile.Load(names...)
	if err != nil && !errors.As(err, &problems) {
		return nil, err
	}
	var chosen []*Action
	check := func(err *testfile.Problem) {
		if err != nil && !slices.ContainsFunc(problems, func(known *testfile.Problem) bool { return *known == *err }) {
			problems = append(problems, err)
		}
	}
	for _, f := range files {
		for _, q := range f.Quiet {
			_, err := p.ruleOf(q.Rule, q.Pos)
			check(err)
		}
		for _, t := range f.Tests {
			p.tests = append(p.tests, t.Named...)
			sel := Case(t)
			for _, q := range f.Quiet {
				if q.Rule != t.Rule {
					sel.Quiet = append(sel.Quiet, q)
				}
			}
			if t.Rule != "" {
				rule, err := p.ruleOf(t.Rule, t.RulePos)
				check(err)
				sel.Rule, sel.Expect = rule, &t.Expect
				check(p.checkFields(t, rule))
			}
			check(checkAction(sel))
			chosen = append(chosen, sel)
		}
	}
	if len(problems) > 0 {
		return nil, problems.Tidy()
	}
	group(chosen)
	return chosen, nil
}

// group puts tests of the same rule side by side, and cases of the same test: each
// is one subtest, in the order in which the files name them first.
func group(chosen []*Action) {
	first := map[[2]string]int{}
	for i, sel := range chosen {
		for _, key := range [][2]string{{sel.Test.Rule}, {sel.Test.Rule, sel.Test.Template}} {
			if _, seen := first[key]; !seen {
				first[key] = i
			}
		}
	}
	slices.SortStableFunc(chosen, func(a, b *Action) int {
		return cmp.Or(
			cmp.Compare(first[[2]string{a.Test.Rule}], first[[2]string{b.Test.Rule}]),
			cmp.Compare(first[[2]string{a.Test.Rule, a.Test.Template}], first[[2]string{b.Test.Rule, b.Test.Template}]))
	})
}

// ruleOf is the rule of a name, nil when the rules are not known here.
func (p *Plan) ruleOf(name string, pos testfile.Pos) (*rules.Rule, *testfile.Problem) {
	if p.Rules == nil {
		return nil, nil
	}
	var names []string
	for _, r := range p.Rules.Rules {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	hint := fmt.Sprintf("%d rules are loaded from %s", len(names), strings.Join(p.Files, ", "))
	if near := spelling.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return nil, &testfile.Problem{Pos: pos, Text: fmt.Sprintf("there is no rule %q among the rules under test", name), Hint: hint}
}

// checkFields checks the names of the fields that a test compares.
func (p *Plan) checkFields(t *testfile.Test, rule *rules.Rule) *testfile.Problem {
	for _, name := range t.Expect.FieldNames() {
		if err := p.comparable([]string{name}, rule); err != nil {
			return &testfile.Problem{Pos: t.FieldPos[name], Text: err.Error()}
		}
	}
	return nil
}

// comparable tells which of the fields no alert of a rule can have.
func (p *Plan) comparable(fields []string, rule *rules.Rule) error {
	if rule == nil {
		return nil
	}
	for _, source := range p.Sources {
		if source.Name() != rule.Source {
			continue
		}
		for _, name := range fields {
			if err := checkField(source, name); err != nil {
				return fmt.Errorf("the output field %q cannot be compared: %w", name, err)
			}
		}
	}
	return nil
}

// checkField tells what is wrong with the name of a field.
func checkField(source filter.Source, name string) error {
	parts, err := filter.ParseFormat(source, "%"+name)
	if err == nil && (len(parts) != 1 || parts[0].Operand == nil) {
		err = errors.New("it is no field")
	}
	return err
}

// checkAction checks that the action of a step is registered.
func checkAction(sel *Action) *testfile.Problem {
	if sel.Test == nil || sel.Test.Scenario == nil {
		return nil
	}
	for _, step := range sel.Test.Scenario.Steps {
		if step.Action == "" {
			continue
		}
		if _, ok := events.All()[step.Action]; !ok {
			names := slices.Sorted(maps.Keys(events.All()))
			hint := "the test imports their package, such as _ \"github.com/falcotest/go-falcotest/events/syscall\""
			if near := spelling.Nearest(step.Action, names); near != "" {
				hint = "did you mean " + near + "?"
			}
			return &testfile.Problem{Pos: sel.Test.ActionPos, Text: fmt.Sprintf("no action %q is registered", step.Action), Hint: hint}
		}
	}
	return nil
}

// segment is one level of a subtest's name. A slash would begin another.
func segment(s string) string {
	const longest = 120
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest-1]) + "…"
	}
	return strings.ReplaceAll(s, "/", ".")
}

// Subtest is the name of its subtest, level by level.
func (a *Action) Subtest() []string {
	if a.Test == nil {
		return []string{a.Name}
	}
	rule := a.Test.Rule
	if rule == "" {
		rule = "no rule"
	}
	levels := []string{segment(rule), segment(a.Test.Template)}
	if c := a.Test.Case(); c != "" {
		levels = append(levels, segment(c))
	}
	return levels
}
