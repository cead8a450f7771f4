// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"time"

	"github.com/falcotest/go-falcotest/internal/result"
)

// Outcome is how an action ended. The zero value is none.
type Outcome int

// The outcomes. Missed, TriggerFailed and Inconclusive fail a subtest, each in
// its own words; Skipped fails it only with FALCOTEST_STRICT=1 and, where CI is set,
// for want of an API server to start.
const (
	// Detected: an alert of the expected rule was attributed to the action.
	Detected Outcome = iota + 1
	// Missed: the action ran, and the expected rule did not fire.
	Missed
	// Silent: the action ran, and the rule did not fire, as is expected.
	Silent
	// Unexpected: an alert came that must not come, or the alerts of the rule
	// are not those that are expected.
	Unexpected
	// Skipped: the action could not run here, or nobody could judge it: it hangs
	// on what can never be known in this place whether the rule fires.
	Skipped
	// TriggerFailed: the action itself failed, crashed or timed out.
	TriggerFailed
	// Inconclusive: the judge lost events or went away, or did not know what the
	// rule asks for, so that nothing can be said of the rule.
	Inconclusive
)

// String returns the outcome's name, e.g. "trigger failed".
func (o Outcome) String() string { return result.Outcome(o).String() }

// MarshalText writes the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Position is a place in a rules file.
type Position struct {
	File string
	Line int
}

// String returns file:line, or "" for the zero value.
func (p Position) String() string { return result.Position(p).String() }

// Shadow is a rule that keeps another from alerting under rule_matching: first,
// Falco's default: it is loaded before the other, and matched all events that the
// other did.
type Shadow struct {
	Rule     string
	Position Position
}

// String returns the rule and where it stands.
func (s *Shadow) String() string {
	return (&result.Shadow{Rule: s.Rule, Position: result.Position(s.Position)}).String()
}

// Result is what became of one action.
type Result struct {
	Action   string   // or the name of a test
	Test     string   // where the test stands, file:line:column
	Case     string   // the values of its case
	Rule     string   // the expected rule; "" when no rules files were given and none fired
	Position Position // of that rule
	Priority string
	Outcome  Outcome
	Reason   string // why skipped, failed or inconclusive
	Hint     string // what to do about it

	// Judge is who judged, with its version.
	Judge string
	// Correlation is how surely the alert is this action's: "environment",
	// "process", "text" or "time".
	Correlation string
	// Latency is the time from the action's start to the alert's arrival.
	Latency time.Duration
	// Ran is how long the action ran.
	Ran time.Duration
	// Attempts counts the times that the action ran.
	Attempts int

	// Shadow is the rule that would keep this one from alerting under
	// rule_matching: first, Falco's default. Nil: none would.
	Shadow *Shadow

	// Alerts are all alerts attributed to the action, of whatever rule, in the
	// order of their arrival.
	Alerts []*Alert
	// Difference shows how the alerts differ from what is expected; and where a Falco
	// that replays and the built-in engine judge the same events differently, how.
	Difference []string
	// Why explains a miss: the event that came closest to firing the rule, and which
	// parts of the condition were true for it. Lines of text; "" where nothing is
	// explained.
	Why string
	// WhyNote says how that was found when a real Falco judged.
	WhyNote string
	// Note says what a detection rests on, where that could not be known.
	Note string
	// Log is what the action logged.
	Log []string
}

// publishedResult is a result as the API has it.
func publishedResult(r *result.Result) *Result {
	p := &Result{
		Action: r.Action, Test: r.Test, Case: r.Case, Rule: r.Rule, Position: Position(r.Position), Priority: r.Priority,
		Outcome: Outcome(r.Outcome), Reason: r.Reason, Hint: r.Hint, Judge: r.Judge, Correlation: r.Correlation,
		Latency: r.Latency, Ran: r.Ran, Attempts: r.Attempts, Alerts: published(r.Alerts), Difference: r.Difference,
		WhyNote: r.WhyNote, Note: r.Note, Log: r.Log,
	}
	if r.Shadow != nil {
		p.Shadow = &Shadow{Rule: r.Shadow.Rule, Position: Position(r.Shadow.Position)}
	}
	if r.Why != nil {
		p.Why = r.Why.String()
	}
	return p
}
