// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// decide turns a verdict into a result.
func (s *Session) decide(ctx context.Context, r *result.Result, a *plan.Action, v verdict.Verdict, w judge.Watcher) {
	for _, attributed := range v.Alerts {
		r.Alerts = append(r.Alerts, attributed.Alert)
	}
	live := s.stream(a)
	if live != nil && v.Outcome != verdict.Detected {
		if trouble := live.Trouble(r.Lost); trouble != "" {
			v.Outcome, v.Reason = verdict.Inconclusive, trouble
		}
	}
	switch v.Outcome {
	case verdict.Detected:
		if s.contradicted(r, a, w) {
			break
		}
		r.Outcome = result.Detected
		r.Rule, r.Priority = v.Expected.Alert.Rule, v.Expected.Alert.Priority.String()
		r.Correlation = v.Expected.Strength.String()
		r.Latency = v.Latency
		if w != nil && a.Rule != nil {
			r.Note = w.Why(a.Rule.Name).Assumption()
		}
		if shadow := s.shadowOf(a, v.Alerts); shadow != nil {
			s.shadowed(r, shadow)
		}
	case verdict.Missed:
		if s.containerUnknown(a, r, w) {
			break
		}
		if s.doubted(r, a, w) || s.contradicted(r, a, w) {
			break
		}
		r.Outcome, r.Reason = result.Missed, v.Reason
		if !v.Certain {
			r.Hint = fmt.Sprintf("no alert came within %s, and this judge cannot tell sooner nor for sure: a slower Falco needs a longer WithTimeout", s.settings.Timeout)
		}
		if r.Hint == "" && live != nil {
			r.Hint = live.Hint()
		}
	default:
		r.Outcome, r.Reason = result.Inconclusive, v.Reason
		r.Hint = s.Judge.Advice()
	}
	if a.Test != nil || a.Expect != nil {
		s.decided(ctx, r, a, v, w)
	}
	if r.Outcome == result.Missed && a.Rule != nil && r.Shadow == nil {
		s.explain(ctx, r, a, w, v)
	}
}

// doubted tells whether it hangs on what the watching engine cannot know whether
// the rule fired: then nothing was missed. It is in vain to run the action again
// where that can never be known.
func (s *Session) doubted(r *result.Result, a *plan.Action, w judge.Watcher) bool {
	if w == nil || a.Rule == nil {
		return false
	}
	why := w.Why(a.Rule.Name)
	if why == nil {
		return false
	}
	unknown, passing := why.Unknown()
	if unknown == "" {
		return false
	}
	r.Outcome, r.Reason, r.Why = result.Skipped, unknown, why
	if passing {
		r.Outcome = result.Inconclusive
	}
	return true
}

// contradicted tells whether the built-in engine judged the same events otherwise than
// the Falco that replayed them: then it hangs on what a recording does not say, or
// one of the two is wrong, and nothing is known of the rule.
func (s *Session) contradicted(r *result.Result, a *plan.Action, w judge.Watcher) bool {
	if !s.Judge.Replays() || w == nil || a.Rule == nil || s.stream(a) != nil {
		return false
	}
	why := w.Why(a.Rule.Name)
	if why == nil {
		return false
	}
	falcos := slices.ContainsFunc(r.Alerts, func(fired *alert.Alert) bool { return fired.Rule == a.Rule.Name })
	if falcos == (why.Alerts > 0) {
		return false
	}
	r.Outcome, r.Lasting = result.Inconclusive, true
	r.Reason = "of the same events, the built-in engine alerts and this Falco does not"
	if falcos {
		r.Reason = "of the same events, this Falco alerts and the built-in engine does not"
	}
	beside, _ := w.(judge.Beside)
	recording := source.ByName(a.Source()).Recording
	for _, field := range a.Rule.Fields {
		why := ""
		switch {
		case slices.Contains(recording.Lacks, field):
			why = "a recording does not tell"
		case beside != nil && beside.InContainer() && slices.Contains(recording.LacksOfContainers, field):
			why = "a Falco that replays does not know of containers"
		default:
			continue
		}
		r.Outcome = result.Skipped
		r.Reason = fmt.Sprintf("the rule asks for %s, which %s: %s", field, why, r.Reason)
		r.Hint = "judge this rule by a Falco that watches, or by the built-in engine"
		return true
	}
	r.Reason, r.Differ = "THE TWO ENGINES DIFFER: "+r.Reason, true
	of := func(alerts []*alert.Alert) []string {
		alerts = slices.DeleteFunc(slices.Clone(alerts), func(a *alert.Alert) bool { return a.Rule != r.Rule })
		if len(alerts) == 0 {
			return []string{"no alert"}
		}
		return result.AlertLines(alerts)
	}
	r.Rule, r.Difference = a.Rule.Name, nil
	for _, line := range of(r.Alerts) {
		r.Difference = append(r.Difference, "this Falco       "+line)
	}
	if beside != nil {
		for _, line := range of(beside.Alerts()) {
			r.Difference = append(r.Difference, "built-in engine  "+line)
		}
	}
	if falcos {
		r.Why = why
	}
	r.Hint = "report it at https://github.com/falcotest/go-falcotest/issues with this text and the recording, which FALCOTEST_RECORD=folder keeps (CAPTURES.md says what it can give away); until then judge this rule by a Falco that watches"
	return true
}

// explain says why a rule did not fire: as the built-in engine saw it when it
// judged, and when a real Falco did, as it sees the same audit events or the
// same action once more.
func (s *Session) explain(ctx context.Context, r *result.Result, a *plan.Action, w judge.Watcher, v verdict.Verdict) {
	switch {
	case w != nil:
		if r.Why = w.Why(a.Rule.Name); r.Why != nil {
			r.WhyNote = w.Note()
			if c := r.Why.Condition; c != nil && c.Wanted == 0 && s.stream(a) == nil && r.Why.Alerts == 0 {
				s.seeAll(ctx, r, a)
			}
		}
	case s.stream(a) != nil:
		r.WhyNote = s.stream(a).Unkept()
	default:
		s.explainAgain(ctx, r, a)
	}
	if r.WhyNote != "" && r.Why != nil && r.Why.Alerts > 0 && !v.Reached {
		r.Outcome, r.Why, r.WhyNote = result.Inconclusive, nil, ""
		r.Reason = fmt.Sprintf("the built-in engine ran the action once more, and there the rule did fire; this Falco sent no alert of any later event within %s: it may stand still", s.settings.Timeout)
		r.Hint = standsStill
		return
	}
	if r.WhyNote != "" && r.Why != nil && r.Why.Alerts > 0 && w == nil && containerNeverKnown(a, r) {
		return
	}
	if r.WhyNote != "" && r.Why != nil && r.Why.Alerts > 0 {
		if r.Hint == "" {
			r.Hint = fmt.Sprintf("see that the Falco has loaded %s as it is now, and compare its configuration with what the rule needs", r.Position.File)
		}
		r.Why = nil
		r.WhyNote += ", and there the rule did fire: the Falco that judged has other rules or another configuration (rule_matching: first, a minimum priority, the rule disabled), or did not see the event"
	}
	s.noteRemarks(r, a.Rule)
}

// standsStill is what to do about a Falco that gives no sign of life. Who asks for
// an address, asks each name server twice for 5 s; see resolv.conf(5).
const standsStill = "rules that ask for host names (fd.sip.name) keep a Falco waiting for 10 s and more for each where no name server answers: see that its resolv.conf names one that does, or start it with RES_OPTIONS=attempts:0; the sentinels' rules (JUDGES.md) tell at once when it has come so far"

// noteRemarks adds to the explanation of a miss what is remarkable in the rule's
// condition and its macros: that a regex is none, or a word no list.
func (s *Session) noteRemarks(r *result.Result, rule *rules.Rule) {
	if r.Outcome != result.Missed || s.plan.Rules == nil {
		return
	}
	items := []string{fmt.Sprintf("rule %q", rule.Name)}
	rule.Expr.Walk(func(e *filter.Expr) bool {
		if e.Kind == filter.Macro {
			items = append(items, fmt.Sprintf("macro %q", e.Name))
		}
		return true
	})
	var notes []string
	for _, p := range s.plan.Rules.Remarks {
		if slices.Contains(items, p.Item) {
			notes = append(notes, p.Short())
		}
	}
	if r.Why != nil && r.Why.Condition != nil && r.Why.Condition.Nearest != nil && len(notes) == 0 {
		word := r.Why.Condition.Nearest.Clauses[0].Word
		if word != "" && !slices.ContainsFunc(s.plan.Rules.Lists, func(l *rules.List) bool { return l.Name == word }) {
			notes = append(notes, fmt.Sprintf("there is no list %s: the word stands for itself", word))
		}
	}
	if len(notes) > 0 {
		if r.WhyNote != "" {
			notes = append(notes, r.WhyNote)
		}
		r.WhyNote = strings.Join(notes[:min(3, len(notes))], "\n")
	}
}
