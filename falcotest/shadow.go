// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"time"

	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// Shadow is a rule that keeps another from alerting under rule_matching: first,
// Falco's default: it is loaded before the other, and matched all events that the
// other did.
type Shadow struct {
	Rule     string
	Position Position
}

// String returns the rule and where it stands.
func (s *Shadow) String() string {
	if at := s.Position.String(); at != "" {
		return fmt.Sprintf("%q (%s)", s.Rule, at)
	}
	return fmt.Sprintf("%q", s.Rule)
}

// firstOnly is the value of rule_matching with which only the first matching
// rule alerts.
const firstOnly = "first"

// shadowOf finds the rule that would take all of an expected rule's events. All
// rules are judged, as with rule_matching: all, and alerts of one event have its
// time. Only rules that their files enable count: others are enabled for the
// tests, and not where the rules are used. It is nil when an alert would be left.
func (s *Session) shadowOf(sel *plan.Action, alerts []verdict.Attributed) *Shadow {
	if sel.Rule == nil {
		return nil
	}
	order := s.order()
	own := order[sel.Rule.Name]
	type event struct {
		source string
		at     time.Time
	}
	first := map[event]int{} // the first rule that matched, by its place
	for _, a := range alerts {
		i, known := order[a.Alert.Rule]
		if !known || a.Alert.Time.IsZero() || i != own && !s.set.Rules[i].Enabled {
			continue
		}
		ev := event{a.Alert.Source, a.Alert.Time}
		if before, ok := first[ev]; !ok || i < before {
			first[ev] = i
		}
	}
	var shadow *Shadow
	for _, a := range alerts {
		if a.Alert.Rule != sel.Rule.Name {
			continue
		}
		i, ok := first[event{a.Alert.Source, a.Alert.Time}]
		if !ok || i == own {
			return nil
		}
		if rule := s.set.Rules[i]; shadow == nil {
			shadow = &Shadow{Rule: rule.Name, Position: Position{File: rule.Pos.File, Line: rule.Pos.Line}}
		}
	}
	return shadow
}

// order tells the place of each rule by its name, in the order in which Falco
// tries them.
func (s *Session) order() map[string]int {
	s.orderOnce.Do(func() {
		s.orderOfRules = map[string]int{}
		if s.set != nil {
			for i, r := range s.set.Rules {
				s.orderOfRules[r.Name] = i
			}
		}
	})
	return s.orderOfRules
}

// shadowed notes in a result that another rule would take the events of its own:
// a miss where the run is to judge as with rule_matching: first.
func (s *Session) shadowed(r *Result, shadow *Shadow) {
	r.Shadow = shadow
	if s.cfg.matching != firstOnly {
		return
	}
	r.Outcome = Missed
	r.Reason = fmt.Sprintf("with rule_matching: first the rule %s, which is loaded before it, takes all events that it matches", shadow)
	r.WhyNote = "the rule did match, but " + r.Reason
	r.Hint = fmt.Sprintf("let the condition of %s leave out what this rule is for, load this rule before it, or run Falco with rule_matching: all", shadow)
}

// shadowLine warns of a rule that was detected, and would not be by default.
func (r *Result) shadowLine() string {
	return fmt.Sprintf("rule %q alerts only with rule_matching: all: with Falco's default, first, the rule %s, which is loaded before it, takes all events that it matched", r.Rule, r.Shadow)
}
