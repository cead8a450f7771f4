// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"time"

	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// firstOnly is the value of rule_matching with which only the first matching
// rule alerts.
const firstOnly = "first"

// shadowOf finds the rule that would take all of an expected rule's events. All
// rules are judged, as with rule_matching: all, and alerts of one event have its
// time. Only rules that their files enable count: others are enabled for the
// tests, and not where the rules are used. It is nil when an alert would be left.
func (s *Session) shadowOf(a *plan.Action, alerts []verdict.Attributed) *result.Shadow {
	if a.Rule == nil {
		return nil
	}
	order := s.rulesOrder()
	own := order[a.Rule.Name]
	type event struct {
		source string
		at     time.Time
	}
	first := map[event]int{} // the first rule that matched, by its place
	for _, fired := range alerts {
		i, known := order[fired.Alert.Rule]
		if !known || fired.Alert.Time.IsZero() || i != own && !s.plan.Rules.Rules[i].Enabled {
			continue
		}
		ev := event{fired.Alert.Source, fired.Alert.Time}
		if before, ok := first[ev]; !ok || i < before {
			first[ev] = i
		}
	}
	var shadow *result.Shadow
	for _, fired := range alerts {
		if fired.Alert.Rule != a.Rule.Name {
			continue
		}
		i, ok := first[event{fired.Alert.Source, fired.Alert.Time}]
		if !ok || i == own {
			return nil
		}
		if rule := s.plan.Rules.Rules[i]; shadow == nil {
			shadow = &result.Shadow{Rule: rule.Name, Position: result.Position{File: rule.Pos.File, Line: rule.Pos.Line}}
		}
	}
	return shadow
}

// rulesOrder tells the place of each rule by its name, in the order in which Falco
// tries them.
func (s *Session) rulesOrder() map[string]int {
	s.order.Do(func() {
		s.orderOf = map[string]int{}
		if s.plan.Rules != nil {
			for i, r := range s.plan.Rules.Rules {
				s.orderOf[r.Name] = i
			}
		}
	})
	return s.orderOf
}

// shadowed notes in a result that another rule would take the events of its own:
// a miss where the run is to judge as with rule_matching: first.
func (s *Session) shadowed(r *result.Result, shadow *result.Shadow) {
	r.Shadow = shadow
	if s.settings.RuleMatching != firstOnly {
		return
	}
	r.Outcome = result.Missed
	r.Reason = fmt.Sprintf("with rule_matching: first the rule %s, which is loaded before it, takes all events that it matches", shadow)
	r.WhyNote = "the rule did match, but " + r.Reason
	r.Hint = fmt.Sprintf("let the condition of %s leave out what this rule is for, load this rule before it, or run Falco with rule_matching: all", shadow)
}
