// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/spelling"
	"github.com/falcotest/go-falcotest/internal/testfile"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// RunFiles runs the tests of files, in the language of event-generator's suite
// and its additions (see TESTFILES.md), as subtests of t, and fails those whose
// rule did not do what they expect. The globs are relative to the test's folder;
// without any, it runs the files *_falcotest.yaml beside the rules under test.
//
// The subtests are named rule/test/case: "Clear Log Activities/clear_open/
// target=.var.log.syslog", where a dot stands for a slash. What go test -run does
// not select does not run. Every error of every file is told, with its place,
// before anything runs.
//
// Rules and judge are as in [Run], which takes the same files by
// [WithTestFiles], with the options that it takes.
func RunFiles(t *testing.T, globs ...string) {
	t.Helper()
	runSubtests(t, WithTestFiles(globs...), func(c *settings) { c.onlyFiles = true })
}

// testFileSuffix is what the names of test files beside rules end in.
const testFileSuffix = rules.TestFileSuffix

// testFiles expands the patterns of test files, or finds those beside the rules.
func (c *settings) testFilesOf(rulesFiles []string) ([]string, error) {
	if len(c.testFiles) == 0 {
		var found []string
		for _, file := range rulesFiles {
			beside, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"+testFileSuffix))
			if err != nil {
				return nil, fmt.Errorf("finding test files beside %s: %w", file, err)
			}
			for _, name := range beside {
				if !slices.Contains(found, name) {
					found = append(found, name)
				}
			}
		}
		if len(found) == 0 && c.onlyFiles {
			return nil, fmt.Errorf("finding test files: there is no *%s beside the rules under test: name the files", testFileSuffix)
		}
		return found, nil
	}
	var found []string
	for _, glob := range c.testFiles {
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
func (s *Session) loadTests() ([]*plan.Action, error) {
	names, err := s.cfg.testFilesOf(s.files)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	// What is wrong with the files is told together with what does not fit the
	// rules under test.
	var problems testfile.Problems
	files, err := testfile.Load(names...)
	if err != nil && !errors.As(err, &problems) {
		return nil, err
	}
	var chosen []*plan.Action
	check := func(err *testfile.Problem) {
		if err != nil && !slices.ContainsFunc(problems, func(p *testfile.Problem) bool { return *p == *err }) {
			problems = append(problems, err)
		}
	}
	for _, f := range files {
		for _, q := range f.Quiet {
			_, err := s.ruleOf(q.Rule, q.Pos)
			check(err)
		}
		for _, t := range f.Tests {
			sel := plan.Case(t)
			for _, q := range f.Quiet {
				if q.Rule != t.Rule {
					sel.Quiet = append(sel.Quiet, q)
				}
			}
			if t.Rule != "" {
				rule, err := s.ruleOf(t.Rule, t.RulePos)
				check(err)
				sel.Rule, sel.Expect = rule, &t.Expect
				check(s.checkFields(t, rule))
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
func group(chosen []*plan.Action) {
	first := map[[2]string]int{}
	for i, sel := range chosen {
		for _, key := range [][2]string{{sel.Test.Rule}, {sel.Test.Rule, sel.Test.Template}} {
			if _, seen := first[key]; !seen {
				first[key] = i
			}
		}
	}
	slices.SortStableFunc(chosen, func(a, b *plan.Action) int {
		return cmp.Or(
			cmp.Compare(first[[2]string{a.Test.Rule}], first[[2]string{b.Test.Rule}]),
			cmp.Compare(first[[2]string{a.Test.Rule, a.Test.Template}], first[[2]string{b.Test.Rule, b.Test.Template}]))
	})
}

// ruleOf is the rule of a name, nil when the rules are not known here.
func (s *Session) ruleOf(name string, pos testfile.Pos) (*rules.Rule, *testfile.Problem) {
	if s.set == nil {
		return nil, nil
	}
	var names []string
	for _, r := range s.set.Rules {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	hint := fmt.Sprintf("%d rules are loaded from %s", len(names), strings.Join(s.files, ", "))
	if near := spelling.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return nil, &testfile.Problem{Pos: pos, Text: fmt.Sprintf("there is no rule %q among the rules under test", name), Hint: hint}
}

// checkFields checks the names of the fields that a test compares.
func (s *Session) checkFields(t *testfile.Test, rule *rules.Rule) *testfile.Problem {
	if rule == nil {
		return nil
	}
	for _, source := range s.sources {
		if source.Name() != rule.Source {
			continue
		}
		for _, name := range t.Expect.FieldNames() {
			if err := checkField(source, name); err != nil {
				return &testfile.Problem{Pos: t.FieldPos[name], Text: fmt.Sprintf("the output field %q cannot be compared: %v", name, err)}
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
func checkAction(sel *plan.Action) *testfile.Problem {
	if sel.Test == nil || sel.Test.Scenario == nil {
		return nil
	}
	for _, step := range sel.Test.Scenario.Steps {
		if step.Action == "" {
			continue
		}
		if _, ok := events.All()[step.Action]; !ok {
			return &testfile.Problem{Pos: sel.Test.Pos, Text: fmt.Sprintf("no action %q is registered%s", step.Action, nearest(step.Action, sortedKeys(events.All())))}
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

// path is the name of a test's subtest, level by level.
func subtestPath(sel *plan.Action) []string {
	if sel.Test == nil {
		return []string{sel.Name}
	}
	rule := sel.Test.Rule
	if rule == "" {
		rule = "no rule"
	}
	levels := []string{segment(rule), segment(sel.Test.Template)}
	if c := sel.Test.Case(); c != "" {
		levels = append(levels, segment(c))
	}
	return levels
}

// recorded judges a test's recorded events, without a run.
func (s *Session) recorded(ctx context.Context, sel *plan.Action, r *Result) {
	if sel.Rule != nil {
		r.Position = Position{File: sel.Rule.Pos.File, Line: sel.Rule.Pos.Line}
		r.Priority = sel.Rule.Priority.String()
	}
	r.Judge = builtinName()
	alerts, why, err := s.judgeEvents(ctx, sel)
	if err != nil {
		r.Outcome, r.Reason = TriggerFailed, err.Error()
		return
	}
	if why != nil && why.Status != engine.Evaluated.String() {
		r.Outcome, r.Reason = Skipped, why.String()
		return
	}
	r.alerts = alerts
	s.meet(r, sel, true)
	if r.Outcome == Missed {
		r.why = why
	}
}

// meet compares a result's alerts with what is expected. It is final when no
// more alerts come.
func (s *Session) meet(r *Result, sel *plan.Action, final bool) {
	for _, q := range sel.Quiet {
		for _, a := range r.alerts {
			if a.Rule == q.Rule {
				r.Outcome = Unexpected
				r.Reason = fmt.Sprintf("the rule %q fired, which %s says must stay quiet", q.Rule, q.Pos)
				r.Difference = append(r.Difference, a.Priority.String()+"  "+shorten(oneLine(bareOutput(a)), 160))
				return
			}
		}
	}
	if sel.Expect == nil || sel.Expect.Rule == "" {
		if sel.Test != nil && sel.Rule == nil && final {
			r.Outcome = Silent
			r.Reason = "it ran to its end, and expects nothing of a rule"
		}
		return
	}
	mismatch := sel.Expect.Check(r.alerts)
	switch {
	case mismatch == nil && sel.Expect.Silent:
		r.Outcome = Silent
	case mismatch == nil:
		r.Outcome = Detected
	case len(mismatch.Matching)+len(mismatch.Other) == 0 || sel.Expect.Silent && len(mismatch.Matching) == 0:
		r.Outcome = Missed
	default:
		r.Outcome, r.Reason, r.Difference = Unexpected, mismatch.Headline(), mismatch.Lines()
	}
}

// decided makes a result of a verdict where a test says what is expected.
func (s *Session) decided(ctx context.Context, r *Result, sel *plan.Action, v verdict.Verdict, w watcher) {
	if v.Outcome == verdict.Inconclusive || r.Outcome == Skipped || r.Outcome == Inconclusive {
		return // of what cannot be known, nothing can be expected
	}
	s.meet(r, sel, true)
	if r.Outcome == Unexpected && (s.containerUnknown(sel, r, w) || s.contradicted(r, sel, w)) {
		r.Difference = nil
	}
	if sel.Expect != nil && sel.Expect.Silent && r.Outcome == Silent {
		if err := s.notEvaluated(sel, w); err != nil {
			r.Outcome, r.Reason = Inconclusive, err.Error()
		} else if !v.Reached {
			r.Outcome, r.Hint = Inconclusive, standsStill
			r.Reason = fmt.Sprintf("this Falco sent no alert of any event after the action's end within %s: whether it has judged the action is not known, and so its silence proves nothing", s.cfg.timeout)
		} else if w == nil && s.liveOf(sel) == nil && mayNotKnow(sel.Rule, r.alerts) {
			s.doubtSilence(ctx, r, sel)
		}
	}
}

// makeUsers makes the users of tests who do not exist on this machine, for a
// real Falco, which reads their names from the machine's /etc/passwd. For others
// they are made in the test's own.
func (s *Session) makeUsers() (err error) {
	if strings.HasPrefix(s.cfg.falco, "builtin:") || strings.HasPrefix(s.cfg.falco, "replay:") || os.Geteuid() != 0 {
		return nil
	}
	missing := map[string]bool{}
	for _, sel := range s.chosen {
		sc := sel.Scenario
		if sc == nil || sc.Container != nil || sel.Test.Skip != "" {
			continue
		}
		for _, p := range sc.Processes {
			if p.User != "" {
				if u, err := user.Lookup(p.User); errors.As(err, new(user.UnknownUserError)) || err == nil && strings.HasPrefix(u.Name, journal.Temporary) {
					missing[p.User] = true
				}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if s.users, err = journal.CreatePrivate("", "users-"+rand.Text()[:12]); err != nil {
		return err
	}
	return s.users.AddUsers(slices.Sorted(maps.Keys(missing))...)
}

// removeUsers removes the users that makeUsers made.
func (s *Session) removeUsers() error {
	if s.users == nil {
		return nil
	}
	_, err := s.users.Close()
	return err
}
