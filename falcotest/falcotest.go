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
	if err := closeEmbedded(); err != nil {
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
func Run(t *testing.T, opts ...Option) {
	t.Helper()
	s := Start(t, opts...)
	s.change.log(t)
	filter := newSubtestFilter()
	futures := make(map[string]*future, len(s.chosen))
	var queue []*future
	for _, sel := range s.chosen {
		if !s.change.selects(sel.ruleName()) {
			continue
		}
		f := &future{session: s, selected: sel, done: make(chan struct{})}
		futures[sel.action] = f
		if filter.selects(t.Name(), sel.action) {
			queue = append(queue, f)
		}
	}
	s.schedule(queue)
	var results []*Result
	messages := make(map[string]string)
	for _, sel := range s.chosen {
		if futures[sel.action] == nil {
			continue
		}
		t.Run(sel.action, func(t *testing.T) {
			t.Helper()
			r := futures[sel.action].result()
			results = append(results, r)
			messages[r.Action] = s.conclude(t, r)
		})
	}
	if len(results) == 0 && s.change == nil {
		return // -run selected none of them, which is the caller's own wish
	}
	rep := s.report(t.Name(), results, messages)
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

// conclude turns a result into the verdict of a subtest, and returns what it
// said of a failure.
func (s *Session) conclude(t testing.TB, r *Result) string {
	t.Helper()
	switch r.Outcome {
	case Detected:
		t.Log(r.detectedLine())
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
func (s *Session) unmetNeed(action string) (events.Need, error) {
	needs := events.Needs(action)
	if child.InContainer() {
		needs = append(needs, events.ContainerNeeds(action)...)
	}
	for _, need := range append(s.backend.needs(action), needs...) {
		if need.Name == events.OwnNames.Name && !s.backend.ownNames() {
			return need, fmt.Errorf("%s resolves names itself, and not by the /etc/hosts that the action has for itself", s.judgeName)
		}
		if need.Probe == nil {
			continue
		}
		if err := need.Probe(); err != nil {
			return need, err
		}
	}
	if _, needed := s.containers.need(action); needed {
		if _, err := s.containers.reach(s.life, s.logf); err != nil {
			return needContainer, err
		}
	}
	return events.Need{}, nil
}
