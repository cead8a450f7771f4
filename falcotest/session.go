// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/gate"
	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/session"
	"github.com/falcotest/go-falcotest/internal/subtests"
)

// Session is a judge with rules under test, ready to judge actions. Its methods
// are safe for concurrent use.
type Session struct {
	s   *session.Session
	run *subtests.Run
}

// Start prepares a session for custom assertions: it loads the rules, reaches or
// starts the judge, and makes sure that actions can run. It fails t where that
// is impossible. The session ends with t.
func Start(t testing.TB, opts ...Option) *Session {
	t.Helper()
	cfg, err := newSettings(opts)
	if err != nil {
		t.Fatal(err)
	}
	s, run := open(t, cfg, func(s *session.Session, run *subtests.Run) error { return s.Start(run.Plan) })
	return &Session{s: s, run: run}
}

// open plans what is to run, and begins it. It fails t where that is impossible.
func open(t testing.TB, cfg *settings, begin func(*session.Session, *subtests.Run) error) (*session.Session, *subtests.Run) {
	t.Helper()
	s, run, err := try(t, cfg, begin)
	if errors.Is(err, errTold) {
		t.Skip(errTold)
	}
	if err != nil {
		t.Fatal(startMessage(err))
	}
	return s, run
}

// try plans what is to run, and begins it. What it returns ends with t.
func try(t testing.TB, cfg *settings, begin func(*session.Session, *subtests.Run) error) (*session.Session, *subtests.Run, error) {
	t.Helper()
	s, err := session.New(&cfg.Settings, t)
	if err != nil {
		return nil, nil, err
	}
	run := &subtests.Run{Settings: &cfg.Settings, Started: time.Now()}
	err = prepare(cfg, s, run, t.Name())
	if err == nil {
		err = begin(s, run)
	}
	if err != nil {
		err = errors.Join(err, s.End(err))
		if load := (*rules.Error)(nil); errors.As(err, &load) {
			reportProblems(t, run, load)
		}
		return nil, nil, err
	}
	t.Cleanup(func() {
		if err := s.End(errors.New("the test ended")); err != nil {
			t.Errorf("ending the judge: %v", err)
		}
	})
	return s, run, nil
}

// prepare plans what is to run.
func prepare(cfg *settings, s *session.Session, run *subtests.Run, test string) (err error) {
	if run.Plan, err = plan.Load(s.Context(), &cfg.Settings); err != nil {
		return err
	}
	if run.Gate, err = gate.Open(s.Context(), &cfg.Settings, run.Plan); err != nil {
		return err
	}
	asked := plan.Asked{Settings: &cfg.Settings, OnlyFiles: cfg.onlyFiles}
	if asked.Expected, err = cfg.expected(); err != nil {
		return err
	}
	if err := run.Plan.Select(asked); err != nil {
		return err
	}
	return tell(test, run.Plan)
}

// startMessage renders what kept a session from starting; rules that do not load
// are shown with their lines.
func startMessage(err error) string {
	var load *rules.Error
	if errors.As(err, &load) {
		return fmt.Sprintf("the rules do not load, so nothing was run:\n\n%+v", load)
	}
	return "nothing was run: " + err.Error()
}

// reportProblems writes the reports of a run that the rules kept from beginning.
func reportProblems(t testing.TB, run *subtests.Run, load *rules.Error) {
	t.Helper()
	rep := &report.Report{Package: gotest.Package(), Test: t.Name(), Started: time.Now(), Judge: "nobody, since the rules do not load", Rules: run.Plan.Files}
	rep.AddProblems(load)
	if err := report.Publish(run.Settings.Report, rep); err != nil {
		t.Errorf("writing the report: %v", err)
	}
}

// Trigger runs an action and returns the alerts that were attributed to it, of
// whatever rule, for custom assertions. It skips t when the action cannot run
// here, and fails t when the action fails or the judge lost events, but not
// when no alert came.
func (s *Session) Trigger(t testing.TB, action string) []*Alert {
	t.Helper()
	r := s.do(t.Context(), action)
	switch r.Outcome {
	case result.Skipped:
		if !s.run.Settings.Strict && !r.Required {
			t.Skip(r.Message(""))
		}
		t.Fatal(r.Message("") + s.run.FailedSkip(r))
	case result.TriggerFailed, result.Inconclusive:
		t.Fatal(r.Message(t.Name()))
	}
	return published(r.Alerts)
}

// Detects runs an action, returns what became of it, and fails t unless the action's
// rule fired for it. It skips t when the action cannot run here.
func (s *Session) Detects(t testing.TB, action string) *Result {
	t.Helper()
	r := s.do(t.Context(), action)
	s.run.Conclude(t, r)
	return publishedResult(r)
}

// Do runs an action and returns what became of it. It fails no test.
func (s *Session) Do(ctx context.Context, action string) *Result {
	return publishedResult(s.do(ctx, action))
}

func (s *Session) do(ctx context.Context, action string) *result.Result {
	a := plan.Registered(action, nil)
	a.All = true
	if _, ok := events.All()[action]; !ok {
		return &result.Result{Action: action, Outcome: result.TriggerFailed, Judge: s.s.JudgeName,
			Reason: "no action of that name is registered" + plan.Nearest(action, slices.Sorted(maps.Keys(events.All())))}
	}
	if set := s.run.Plan.Rules; set != nil {
		if i := slices.IndexFunc(set.Rules, func(r *rules.Rule) bool { return events.MatchRule(action, r.Name) }); i >= 0 {
			a.Rule = set.Rules[i]
		}
	}
	return s.s.Do(ctx, a)
}

// Silent runs an action and fails t if the rule fires for it, or if that it did
// not would prove nothing: the rule must be loaded, enabled and supported, and
// evaluated for what the action did. It skips t when the action cannot run here.
func (s *Session) Silent(t testing.TB, action, rule string) {
	t.Helper()
	if _, ok := events.All()[action]; !ok {
		t.Fatalf("no action %q is registered%s", action, plan.Nearest(action, slices.Sorted(maps.Keys(events.All()))))
	}
	a := plan.Registered(action, nil)
	a.All, a.Expect = true, &expect.Expectation{Rule: rule, Silent: true}
	set := s.run.Plan.Rules
	if set == nil {
		t.Fatal("whether the Falco has the rule is not known here: name its rules files by WithRules or FALCOTEST_RULES")
	}
	if a.Rule = s.run.Plan.Rule(rule); a.Rule == nil {
		var names []string
		for _, r := range set.Rules {
			names = append(names, r.Name)
		}
		t.Fatalf("there is no rule %q among the rules under test%s: that it stays silent proves nothing", rule, plan.Nearest(rule, names))
	}
	if !s.run.Plan.Enables(a.Rule) {
		t.Fatalf("the rule %q is disabled (%s): that it stays silent proves nothing", rule, a.Rule.Pos)
	}
	if why := s.s.Judge.Unsupported(a.Rule); why != "" {
		t.Fatalf("the rule %q cannot be judged: %s: that it stays silent proves nothing", rule, why)
	}
	switch r := s.s.Do(t.Context(), a); r.Outcome {
	case result.Silent:
	case result.Skipped:
		if !s.run.Settings.Strict {
			t.Skip(r.Message(""))
		}
		t.Fatal(r.Message(""))
	default:
		t.Error(r.Message(t.Name()))
	}
}
