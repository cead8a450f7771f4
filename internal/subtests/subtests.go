// SPDX-License-Identifier: Apache-2.0

// Package subtests turns the results of a run into what go test shows: a subtest for
// each, a table at the end, and what the gate and the reports make of all of them.
//
// Pending results enter, from whoever runs the actions ([Ran]); it does not matter where
// that is. The package imports internal/gate, internal/report and internal/terminal, and
// internal/plan for what was to run. It runs and judges nothing.
package subtests

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/gate"
	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/terminal"
)

// Ran says who runs the actions and has them judged.
type Ran interface {
	// Describe says who judges.
	Describe() string
	// Advice says what would have the judge do better, or "".
	Advice() string
}

// Run is one run of a test.
type Run struct {
	Settings *config.Settings
	Plan     *plan.Plan
	Gate     *gate.Gate
	Started  time.Time

	told sync.Map // needs that were told of, with the first action that had them
}

// Selected are the actions to run: those whose rules changed, where that is asked for.
func (run *Run) Selected() []*plan.Action {
	return slices.DeleteFunc(slices.Clone(run.Plan.Actions), func(a *plan.Action) bool { return !run.Gate.Selects(a.RuleName()) })
}

// Wanted tells whether go test's -run and -skip select the subtest of an action.
func (run *Run) Wanted(t *testing.T) func(subtest []string) bool {
	filter := gotest.NewFilter()
	return func(subtest []string) bool { return filter.Selects(t.Name(), strings.Join(subtest, "/")) }
}

// Report makes each result a subtest of t, and judges and reports the whole.
func (run *Run) Report(t *testing.T, by Ran, pending []result.Pending, progress *terminal.Terminal) {
	t.Helper()
	c := run.collect()
	var rep *report.Report
	defer func() { progress.End(rep) }()
	runLevels(t, pending, 0, c.conclude)
	if len(c.results) == 0 && !run.Gate.Compares() {
		return // -run selected none of them, which is the caller's own wish
	}
	rep = run.report(t, by, c)
	run.finish(t, rep, c.results)
}

// collected are results that were made subtests.
type collected struct {
	run      *Run
	results  []*result.Result
	messages map[*result.Result]string
}

func (run *Run) collect() *collected {
	return &collected{run: run, messages: map[*result.Result]string{}}
}

func (c *collected) conclude(t *testing.T, r *result.Result) {
	t.Helper()
	c.results = append(c.results, r)
	c.messages[r] = c.run.Conclude(t, r)
}

func (run *Run) report(t *testing.T, by Ran, c *collected) *report.Report {
	rep := &report.Report{
		Package: gotest.Package(), Test: t.Name(), Started: run.Started,
		Judge: by.Describe(), Rules: run.Plan.Files, Warnings: run.Plan.Warnings(), Elapsed: time.Since(run.Started),
	}
	rep.Add(c.results, c.messages, run.Gate.Accepted)
	if advice := by.Advice(); advice != "" {
		rep.Warnings = append(rep.Warnings, advice)
	}
	for _, rule := range run.Plan.Uncovered {
		rep.Uncovered = append(rep.Uncovered, rule.Name)
	}
	return rep
}

// finish judges the whole, and publishes what is reported of it.
func (run *Run) finish(t *testing.T, rep *report.Report, results []*result.Result) {
	t.Helper()
	run.Gate.Judge(t, rep, results)
	var table strings.Builder
	rep.Text(&table)
	t.Log("\n" + table.String())
	if err := report.Publish(run.Settings.Report, rep); err != nil {
		t.Errorf("writing the report: %v", err)
	}
	if len(results) > 0 && !slices.ContainsFunc(results, func(r *result.Result) bool { return r.Outcome != result.Skipped }) {
		t.Skip("nothing was verified: every action was skipped")
	}
}

// runLevels runs pending results as subtests, those next to one another that share a
// level of their names below it. A result that will not come is no subtest.
func runLevels(t *testing.T, pending []result.Pending, level int, conclude func(*testing.T, *result.Result)) {
	t.Helper()
	for len(pending) > 0 {
		path := pending[0].Subtest
		if len(path) == level+1 {
			one := pending[0]
			pending = pending[1:]
			if one.Elsewhere && one.Wait() == nil {
				continue
			}
			t.Run(path[level], func(t *testing.T) {
				t.Helper()
				conclude(t, one.Wait())
			})
			continue
		}
		n := 1
		for n < len(pending) {
			if p := pending[n].Subtest; len(p) <= level+1 || p[level] != path[level] {
				break
			}
			n++
		}
		group := pending[:n]
		pending = pending[n:]
		if !slices.ContainsFunc(group, func(p result.Pending) bool { return !p.Elsewhere || p.Wait() != nil }) {
			continue
		}
		t.Run(path[level], func(t *testing.T) {
			t.Helper()
			runLevels(t, group, level+1, conclude)
		})
	}
}

// Conclude turns a result into the verdict of a subtest, and returns what it said of a
// failure.
func (run *Run) Conclude(t testing.TB, r *result.Result) string {
	t.Helper()
	switch r.Outcome {
	case result.Detected, result.Silent:
		t.Log(r.Passed())
		return ""
	case result.Skipped:
		text := run.tellOnce(r).Message("")
		if !run.Settings.Strict && !r.Required {
			t.Skip(text)
		}
		text += run.FailedSkip(r)
		t.Error(text)
		return text
	}
	text := r.Message(t.Name())
	if known := run.Gate.Accepted(r); known != "" {
		t.Skip("known miss: " + known + "\n" + text)
	}
	t.Error(text)
	return text
}

// FailedSkip says why a skip is a failure.
func (run *Run) FailedSkip(r *result.Result) string {
	if run.Settings.Strict {
		return "\n  strict    FALCOTEST_STRICT=1 makes a skip a failure"
	}
	return fmt.Sprintf("\n  strict    CI is set, where a skip for want of %s is a failure", r.Need.Name)
}

// tellOnce returns the result as it is to be told: what is to be done about a
// need that is not met is told of the first action that has it, and in the
// table at the end.
func (run *Run) tellOnce(r *result.Result) *result.Result {
	if r.Need.Name == "" {
		return r
	}
	first, told := run.told.LoadOrStore(r.Need.Name, r.Action)
	if !told {
		return r
	}
	short := *r
	short.Reason, short.Hint = fmt.Sprintf("needs %s, as %s does", r.Need.Name, first), ""
	return &short
}
