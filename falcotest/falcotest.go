// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/run"
	"github.com/falcotest/go-falcotest/internal/source"
)

// TestingM is what [Main] needs of *testing.M.
type TestingM interface {
	Run() int
}

// Main is to be called by TestMain. In a process that was started to run an
// action it runs that action; otherwise it runs the tests. It does not return.
// When SIGINT or SIGTERM ends the tests, the actions are stopped and all is
// cleaned up first, as it is shortly before go test's -timeout.
//
//	func TestMain(m *testing.M) { falcotest.Main(m) }
func Main(m TestingM) {
	child.Main()
	ending := cleanUpOnSignal()
	defineUpdate()
	code := m.Run()
	if err := source.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	ending()
	os.Exit(code)
}

// Run runs the selected actions as subtests of t, named like the actions, and
// fails those whose rule did not fire: see [Outcome]. Without rules that load,
// without a judge, or when no action is selected, it fails t and runs nothing.
// At the end it logs a table of all results.
//
// Actions run at the same time, in processes of their own; subtests report in
// the order of their names, each as soon as its result is there. What go test
// -run does not select does not run.
//
// With an action run its near misses ([events.NearMiss]), which do the same but for
// one thing, and fail if the rule fires for them. A rule that is to fire all the
// same says so by [WithExpectation].
//
// The tests of files run, too: those that [WithTestFiles] names, by default those
// named *_falcotest.yaml beside the rules under test; see [RunFiles].
func Run(t *testing.T, opts ...Option) {
	t.Helper()
	runSubtests(t, opts...)
}

func runSubtests(t *testing.T, opts ...Option) {
	t.Helper()
	s := Start(t, opts...)
	s.change.log(t)
	filter := newSubtestFilter()
	var futures, queue []*future
	for _, sel := range s.chosen {
		if !s.change.selects(sel.RuleName()) {
			continue
		}
		f := &future{session: s, selected: sel, done: make(chan struct{})}
		futures = append(futures, f)
		if filter.selects(t.Name(), strings.Join(subtestPath(sel), "/")) {
			queue = append(queue, f)
		}
	}
	s.terminal = openTerminal(s.cfg.terminal)
	s.terminal.begin(len(queue))
	var rep *report.Report
	defer func() { s.terminal.end(rep) }()
	s.schedule(queue)
	var results []*Result
	messages := make(map[*Result]string)
	runLevels(t, futures, 0, func(t *testing.T, f *future) {
		t.Helper()
		r := f.result()
		results = append(results, r)
		messages[r] = s.conclude(t, r)
	})
	if len(results) == 0 && s.change == nil {
		return // -run selected none of them, which is the caller's own wish
	}
	rep = s.report(t.Name(), results, messages)
	s.gate(t, rep, results)
	var table strings.Builder
	rep.Text(&table)
	t.Log("\n" + table.String())
	if err := s.cfg.publish(rep); err != nil {
		t.Errorf("writing the report: %v", err)
	}
	if len(results) > 0 && !slices.ContainsFunc(results, func(r *Result) bool { return r.Outcome != Skipped }) {
		t.Skip("nothing was verified: every action was skipped")
	}
}

// runLevels runs futures as subtests, those next to one another that share a
// level of their names below it.
func runLevels(t *testing.T, futures []*future, level int, conclude func(*testing.T, *future)) {
	t.Helper()
	for len(futures) > 0 {
		path := subtestPath(futures[0].selected)
		if len(path) == level+1 {
			t.Run(path[level], func(t *testing.T) {
				t.Helper()
				conclude(t, futures[0])
			})
			futures = futures[1:]
			continue
		}
		n := 1
		for n < len(futures) {
			if p := subtestPath(futures[n].selected); len(p) <= level+1 || p[level] != path[level] {
				break
			}
			n++
		}
		t.Run(path[level], func(t *testing.T) {
			t.Helper()
			runLevels(t, futures[:n], level+1, conclude)
		})
		futures = futures[n:]
	}
}

// conclude turns a result into the verdict of a subtest, and returns what it
// said of a failure.
func (s *Session) conclude(t testing.TB, r *Result) string {
	t.Helper()
	switch r.Outcome {
	case Detected, Silent:
		t.Log(r.passedLine())
		return ""
	case Skipped:
		text := s.tellOnce(r).message("")
		if !s.cfg.strict && !r.required {
			t.Skip(text)
		}
		text += s.failedSkip(r)
		t.Error(text)
		return text
	}
	text := r.message(t.Name())
	if known := s.accepted(r); known != "" {
		t.Skip("known miss: " + known + "\n" + text)
	}
	t.Error(text)
	return text
}

// failedSkip says why a skip is a failure.
func (s *Session) failedSkip(r *Result) string {
	if s.cfg.strict {
		return "\n  strict    FALCOTEST_STRICT=1 makes a skip a failure"
	}
	return fmt.Sprintf("\n  strict    CI is set, where a skip for want of %s is a failure", r.need.Name)
}

// tellOnce returns the result as it is to be told: what is to be done about a
// need that is not met is told of the first action that has it, and in the
// table at the end.
func (s *Session) tellOnce(r *Result) *Result {
	if r.need.Name == "" {
		return r
	}
	first, told := s.told.LoadOrStore(r.need.Name, r.Action)
	if !told {
		return r
	}
	short := *r
	short.Reason, short.Hint = fmt.Sprintf("needs %s, as %s does", r.need.Name, first), ""
	return &short
}

// unmetNeed returns the first need of an action that is not met here, and why.
func (s *Session) unmetNeed(sel *plan.Action) (events.Need, error) {
	needs := slices.Concat(s.backend.needs(sel), sel.Requires())
	for _, need := range needs {
		if need.Name == events.OwnNames.Name && !s.backend.ownNames() {
			return need, fmt.Errorf("%s resolves names itself, and not by the /etc/hosts that the action has for itself", s.judgeName)
		}
	}
	if need, err := run.Unmet(needs, s.provides); err != nil {
		return need, err
	}
	if sel.Made() {
		if _, err := s.containers.Reach(s.life); err != nil {
			return run.NeedContainer, err
		}
	}
	return events.Need{}, nil
}
