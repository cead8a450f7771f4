// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/judge/builtin"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
)

// explainAgain finds out why a rule did not fire when a real Falco judged: the
// built-in engine watches the action once more. The note says so.
func (s *Session) explainAgain(ctx context.Context, r *result.Result, a *plan.Action) {
	w, err := s.watchAgain(ctx, a)
	if err != nil {
		r.WhyNote = fmt.Sprintf("the built-in engine could not watch the action once more to find out why: %v", err)
		return
	}
	r.Why, r.WhyNote = w.Why(a.Rule.Name), "the built-in engine ran the action once more and watched it"
	s.doubtFalco(r, a, w)
}

// doubtSilence finds out whether a rule did not fire, as is expected, because the
// Falco that judged does not know what it asks for: then it proves nothing.
func (s *Session) doubtSilence(ctx context.Context, r *result.Result, a *plan.Action) {
	w, err := s.watchAgain(ctx, a)
	if err != nil {
		r.Outcome, r.Lasting = result.Inconclusive, true
		r.Reason = fmt.Sprintf("whether this Falco knows what the rule asks for is not known: the built-in engine could not watch the action once more: %v", err)
		return
	}
	r.Why = w.Why(a.Rule.Name)
	if s.doubtFalco(r, a, w); r.Outcome == result.Silent && r.Why.Alerts > 0 {
		r.Outcome, r.Lasting = result.Inconclusive, true
		r.Reason = "the built-in engine ran the action once more, and there the rule did fire: the Falco that judged has other rules or another configuration, or did not see the event"
	}
	if r.Outcome == result.Silent {
		r.Why = nil
	}
}

// doubtFalco makes a miss or a silence inconclusive where it hangs on what the
// Falco that judged does not know. That shows in its alerts, and in what the
// built-in engine saw when it watched.
func (s *Session) doubtFalco(r *result.Result, a *plan.Action, w *watched) {
	unknown := falcoUnknown{alerts: r.Alerts}
	if !a.Made() && s.explainer.tracing.Here == nil {
		unknown.container = mistakenFor(r.Alerts, w.Events())
	}
	unknown.compare(w.alerts)
	doubt, err := s.explainer.tracing.Engine.Doubt(a.Rule.Name, w.Events(), unknown.reason)
	if err != nil || doubt == nil {
		return
	}
	r.Outcome, r.Reason, r.Lasting = result.Inconclusive, doubt.String(), true
	why := *r.Why
	why.Alerts, why.Condition = 0, &filter.Explanation{Unknown: 1, Doubt: doubt}
	r.Why, r.WhyNote = &why, ""
	if unknown.container != "" {
		r.Hint = "run the tests in a control group whose path does not look like a container's: Falco takes /ANY/NAME for one, but nothing whose name ends in .slice, .scope or .service"
	}
}

// watched is an action that the built-in engine watched once more.
type watched struct {
	*builtin.Traced
	alerts []*alert.Alert
}

func (s *Session) watchAgain(ctx context.Context, a *plan.Action) (*watched, error) {
	tracing, err := s.explaining()
	if err != nil {
		return nil, err
	}
	return s.watchBy(ctx, tracing, a)
}

// watchBy runs an action once more, watched.
func (s *Session) watchBy(ctx context.Context, tracing *builtin.Tracing, a *plan.Action) (*watched, error) {
	w := &watched{}
	ended, err := s.runner().Run(ctx, &a.Action, "", func(c *child.Child) (setup child.Setup, err error) {
		if w.Traced, err = tracing.Trace(ctx, c, a, func(fired *alert.Alert) { w.alerts = append(w.alerts, fired) }, nil); err != nil {
			return setup, err
		}
		return w.Setup(), nil
	})
	if err != nil {
		return nil, err
	}
	if ended.Outcome != child.Completed {
		return nil, fmt.Errorf("the action %s this time: %s%v", ended.Outcome, ended.Reason, ended.Err)
	}
	if err := w.Err(); err != nil {
		return nil, err
	}
	return w, nil
}

// explaining is the built-in engine beside a real Falco.
func (s *Session) explaining() (*builtin.Tracing, error) {
	s.explainer.once.Do(func() {
		s.explainer.tracing, s.explainer.err = builtin.NewTracing(s.life, s.brief, true)
	})
	return s.explainer.tracing, s.explainer.err
}

// seeAll finds out what an action did that caused no event of a type that its rule
// asks for: calls of other types, which no rule asks for, are not looked at while
// the rules are judged. So it runs the action once more and looks at all.
func (s *Session) seeAll(ctx context.Context, r *result.Result, a *plan.Action) {
	t, err := s.explaining()
	if err != nil {
		return
	}
	if t, err = t.Types(); err != nil {
		return
	}
	w, err := s.watchBy(ctx, t, a)
	if err != nil {
		return
	}
	count := map[string]int{}
	for _, e := range w.Events() {
		count[e.(*event.Event).Type.String()]++
	}
	why, condition := *r.Why, *r.Why.Condition
	condition.Seen = nil
	for _, name := range slices.Sorted(maps.Keys(count)) {
		condition.Seen = append(condition.Seen, filter.TypeCount{Type: name, Count: count[name]})
	}
	slices.SortStableFunc(condition.Seen, func(a, b filter.TypeCount) int { return b.Count - a.Count })
	condition.SeenAll = true
	why.Condition = &condition
	r.Why = &why
}
