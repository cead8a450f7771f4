// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// meet compares a result's alerts with what is expected. It is final when no
// more alerts come.
func (s *Session) meet(r *result.Result, a *plan.Action, final bool) {
	for _, q := range a.Quiet {
		for _, fired := range r.Alerts {
			if fired.Rule == q.Rule {
				r.Outcome = result.Unexpected
				r.Reason = fmt.Sprintf("the rule %q fired, which %s says must stay quiet", q.Rule, q.Pos)
				r.Hint = fmt.Sprintf("mend the rule %q or what the test does, or leave the rule out at %s", q.Rule, q.Pos)
				r.Difference = append(r.Difference, fired.Priority.String()+"  "+result.Shorten(result.OneLine(fired.Bare()), 160))
				return
			}
		}
	}
	if a.Expect == nil || a.Expect.Rule == "" {
		if a.Test != nil && a.Rule == nil && final {
			r.Outcome = result.Silent
			r.Reason = "it ran to its end, and expects nothing of a rule"
		}
		return
	}
	mismatch := a.Expect.Check(r.Alerts)
	switch {
	case mismatch == nil && a.Expect.Silent:
		r.Outcome = result.Silent
	case mismatch == nil:
		r.Outcome = result.Detected
	case len(mismatch.Matching)+len(mismatch.Other) == 0 || a.Expect.Silent && len(mismatch.Matching) == 0:
		r.Outcome = result.Missed
	default:
		r.Outcome, r.Reason, r.Difference = result.Unexpected, mismatch.Headline(), mismatch.Lines()
	}
}

// decided makes a result of a verdict where a test says what is expected.
func (s *Session) decided(ctx context.Context, r *result.Result, a *plan.Action, v verdict.Verdict, w judge.Watcher) {
	if v.Outcome == verdict.Inconclusive || r.Outcome == result.Skipped || r.Outcome == result.Inconclusive {
		return // of what cannot be known, nothing can be expected
	}
	s.meet(r, a, true)
	if r.Outcome == result.Unexpected && (s.containerUnknown(a, r, w) || s.contradicted(r, a, w)) {
		r.Difference = nil
	}
	if a.Expect != nil && a.Expect.Silent && r.Outcome == result.Silent {
		if err := s.notEvaluated(a, w); err != nil {
			r.Outcome, r.Reason = result.Inconclusive, err.Error()
		} else if !v.Reached {
			r.Outcome, r.Hint = result.Inconclusive, standsStill
			r.Reason = fmt.Sprintf("this Falco sent no alert of any event after the action's end within %s: whether it has judged the action is not known, and so its silence proves nothing", s.settings.Timeout)
		} else if w == nil && s.stream(a) == nil && mayNotKnow(a.Rule, r.Alerts) {
			s.doubtSilence(ctx, r, a)
		}
	}
}

// notEvaluated is why nothing can be said of a rule that must not fire: where it
// was not evaluated, that it stayed silent means nothing.
func (s *Session) notEvaluated(a *plan.Action, w judge.Watcher) error {
	if a.Rule == nil {
		return errors.New("whether the Falco has the rule is not known here: name its rules files by WithRules or FALCOTEST_RULES")
	}
	if w == nil {
		return nil
	}
	if why := w.Why(a.Rule.Name); why != nil && why.Status != engine.Evaluated.String() {
		return fmt.Errorf("the rule was not evaluated: %s", why)
	}
	return nil
}
