// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// Why says what became of a rule during a run: why it did not alert, when it
// did not.
type Why struct {
	Rule   string     `json:"rule"`
	Pos    filter.Pos `json:"pos"`              // where it stands; zero when it is not loaded
	Status string     `json:"status"`           // see [Status]
	Reason string     `json:"reason,omitempty"` // for an unsupported rule: what the engine cannot know

	// Alerts is how many times it alerted.
	Alerts int `json:"alerts"`

	// Shadowed counts the events for which its condition was true, but another
	// rule alerted first. By names those rules, each once.
	Shadowed int      `json:"shadowed,omitempty"`
	By       []string `json:"by,omitempty"`

	// Doubtful counts the events for which its condition was true, but with
	// rule_matching first another rule may have alerted in its place: that is
	// not known.
	Doubtful int `json:"doubtful,omitempty"`

	// Assumed counts the alerts of events for which its condition was true when
	// values that are not known are taken to be others, which stand in for them.
	Assumed int `json:"assumed,omitempty"`

	// Condition tells how near the events came to its condition.
	Condition *filter.Explanation `json:"condition,omitempty"`

	status Status
}

// watch is what an evaluator notes of a rule that it explains.
type watch struct {
	rule      *compiledRule
	explainer *filter.Explainer
	why       Why
}

// Explain makes the evaluator note, for each event from now on, how near it
// comes to the conditions of the named rules; [Evaluator.Why] tells the result.
// What was noted before is forgotten. Evaluation is slower while rules are
// watched. Names of rules that are not loaded or not evaluated are no error.
func (ev *Evaluator) Explain(rules ...string) error {
	ev.watches = nil
	for _, name := range rules {
		status, reason := ev.engine.Status(name)
		w := &watch{why: Why{Rule: name, Status: status.String(), Reason: reason, status: status}}
		r := ev.engine.status[name].rule
		if r != nil {
			w.why.Pos = r.Pos
		}
		if s := ev.sourceOf(r); s != nil && status == Evaluated {
			i := slices.IndexFunc(s.all, func(c *compiledRule) bool { return c.rule == r })
			if i < 0 {
				continue
			}
			w.rule = s.all[i]
			x, err := w.rule.explainer()
			if err != nil {
				return fmt.Errorf("explaining rule %q: %w", name, err)
			}
			w.explainer = x.Fresh()
		}
		ev.watches = append(ev.watches, w)
	}
	return nil
}

// Why returns what became of a rule that [Evaluator.Explain] named. Of other
// rules it knows the status only.
func (ev *Evaluator) Why(rule string) *Why {
	for _, w := range ev.watches {
		if w.why.Rule == rule {
			why := w.why
			if w.explainer != nil {
				why.Condition = w.explainer.Result()
			}
			return &why
		}
	}
	status, reason := ev.engine.Status(rule)
	return &Why{Rule: rule, Status: status.String(), Reason: reason, status: status}
}

// Doubt tells on what of the fields that are hidden it hangs whether a rule's
// condition is true for one of the events, nil when on none: it is true for one, or
// false for all, whatever they are. The events are those that an evaluator was
// given, or clones of them. Hidden gives a reason for each field that is.
func (e *Engine) Doubt(rule string, events []any, hidden func(field string) *filter.Reason) (*filter.Doubt, error) {
	st := e.status[rule]
	s := e.sources[st.ruleSource()]
	if s == nil || st.status != Evaluated {
		return nil, nil
	}
	x, err := filter.NewExplainer(filter.Hide(s.fields, hidden), st.rule.Expr)
	if err != nil {
		return nil, fmt.Errorf("looking for what rule %q hangs on: %w", rule, err)
	}
	for _, ev := range events {
		x.Observe(ev)
	}
	if r := x.Result(); r.Matched == 0 {
		return r.Doubt, nil
	}
	return nil, nil
}

// observe lets the watched rules of a source look at an event, for which those in
// list can be true and those in alerted did alert.
func (ev *Evaluator) observe(s *source, m *filter.Machine, list []typedRule, e any, alerted []*compiledRule) {
	matches := func(r *compiledRule) bool {
		i := slices.IndexFunc(list, func(c typedRule) bool { return c.compiledRule == r })
		return i >= 0 && list[i].truth(m) == filter.True
	}
	for _, w := range ev.watches {
		if w.rule == nil || w.rule.rule.Source != s.name {
			continue
		}
		w.explainer.Observe(e)
		switch {
		case slices.Contains(alerted, w.rule):
			w.why.Alerts++
			if slices.Contains(ev.assumed, w.rule) {
				w.why.Assumed++
			}
		case len(alerted) > 0 && matches(w.rule):
			w.why.Shadowed++
			if by := alerted[0].rule.Name; !slices.Contains(w.why.By, by) {
				w.why.By = append(w.why.By, by)
			}
		case len(alerted) == 0 && matches(w.rule):
			w.why.Doubtful++
		}
	}
}

// Unknown says in one line what of the events is not known, on which it hangs
// whether the rule alerted; it is empty when that is known. Passing tells that
// another run may know.
func (w *Why) Unknown() (text string, passing bool) {
	switch {
	case w.Alerts > w.Assumed:
		return "", false
	case w.Condition != nil && w.Condition.Unknown > 0:
		return w.Condition.Doubt.String(), w.Condition.Doubt.Passing
	case w.Doubtful > 0:
		return "its condition was true, but another rule that comes first may have been so too, which cannot be known here", false
	}
	return "", false
}

// Assumption says what was taken for known, when all alerts of the rule rest on
// that; else it is empty.
func (w *Why) Assumption() string {
	if w == nil || w.Assumed == 0 || w.Alerts > w.Assumed || w.Condition == nil || w.Condition.Doubt == nil {
		return ""
	}
	return w.Condition.Doubt.String() + "; it was taken for none that the rule names"
}

// String says in plain text why the rule did not alert. It has no line end at
// its end.
func (w *Why) String() string {
	switch {
	case w.Alerts > 0:
		return fmt.Sprintf("rule %q did alert", w.Rule)
	case w.status == NotLoaded:
		return fmt.Sprintf("rule %q is not loaded: no rules file defines it", w.Rule)
	case w.status == Disabled:
		return fmt.Sprintf("rule %q is disabled (%s)", w.Rule, w.Pos)
	case w.status == BelowPriority:
		return fmt.Sprintf("rule %q is below the minimum priority (%s)", w.Rule, w.Pos)
	case w.status == Unsupported:
		return fmt.Sprintf("rule %q is not supported by the built-in engine: %s (%s)", w.Rule, w.Reason, w.Pos)
	case w.Shadowed > 0:
		times := "once"
		if w.Shadowed > 1 {
			times = fmt.Sprintf("%d times", w.Shadowed)
		}
		var by []string
		for _, n := range w.By {
			by = append(by, fmt.Sprintf("%q", n))
		}
		return fmt.Sprintf("the condition of rule %q was true %s, but rule %s matched first: with rule_matching first, only the first rule that was loaded alerts",
			w.Rule, times, strings.Join(by, ", "))
	case w.Doubtful > 0:
		return fmt.Sprintf("the condition of rule %q was true, but with rule_matching first, an earlier rule may have alerted in its place: that cannot be known here", w.Rule)
	case w.Condition != nil:
		return w.Condition.String()
	}
	return fmt.Sprintf("no event was evaluated for rule %q", w.Rule)
}
