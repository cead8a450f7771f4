// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gotest"
)

// Message is what a person reads of a result that fails or skips a subtest: the
// verdict in one line, then what is known, then what to do next. The test's
// name is part of the command that runs the action alone.
func (r *Result) Message(test string) string {
	if r.Said != "" {
		return r.Said
	}
	var m Text
	m.outcome(r)
	m.Add("rule", r.ruleLine())
	if r.Test == "" {
		m.Add("action", r.actionLine())
	} else {
		m.Add("test", r.Test+"  "+r.actionLine())
		m.Add("case", r.Case)
	}
	m.Add("judge", r.Judge)
	if (r.Outcome == Missed || r.Outcome == Inconclusive) && !r.Differ {
		m.Add("alerts", r.alertLines()...)
	}
	if r.Differ {
		m.Add("engines", r.Difference...)
	} else {
		m.Add("alerts", r.Difference...)
	}
	if r.Outcome == Missed {
		m.Add("note", strings.Split(r.WhyNote, "\n")...)
	}
	if r.Why != nil {
		m.Add("why", strings.Split(strings.TrimRight(r.Why.String(), "\n"), "\n")...)
	}
	const most = 6
	m.Add("panic", r.Frames[:min(most, len(r.Frames))]...)
	if r.Outcome != Missed && r.Outcome != Detected && len(r.Log) > 0 {
		m.Add("log", tail(r.Log, 10)...)
	}
	m.Add("next", r.nextLines(test)...)
	return m.String()
}

func (m *Text) outcome(r *Result) {
	rule := r.Rule
	if rule == "" {
		rule = "(the rule named like the action)"
	}
	switch r.Outcome {
	case Missed:
		m.Headline("missed: the action ran, and the rule %q did not fire", rule)
	case Unexpected:
		m.Headline("unexpected: %s", r.Reason)
		if of, excuse := events.NearMissOf(r.Action); of != "" {
			m.Headline("  this is a near miss of %s: %s", of, excuse)
		}
	case TriggerFailed:
		m.Headline("trigger failed: %s", OneLine(r.Reason))
		if r.Rule != "" || r.Test == "" {
			m.Headline("  this says nothing of the rule %q: the action did not do its work", rule)
		}
	case Inconclusive:
		m.Headline("inconclusive: %s", OneLine(r.Reason))
		if r.Differ {
			m.Headline("  this says nothing of the rule %q: it is a fault of falcotest, please report it", rule)
			break
		}
		if r.Why != nil {
			m.Headline("  this says nothing of the rule %q: its condition hangs on what is not known", rule)
			break
		}
		m.Headline("  this says nothing of the rule %q: its alert may have been lost", rule)
	case Skipped:
		m.Headline("skipped: %s", OneLine(r.Reason))
	default:
		m.Headline("%s: %q", r.Outcome, rule)
	}
}

func (r *Result) ruleLine() string {
	var parts []string
	if p := r.Position.String(); p != "" {
		parts = append(parts, p)
	}
	if r.Rule != "" {
		parts = append(parts, r.Rule)
	}
	return strings.Join(parts, "  ")
}

func (r *Result) actionLine() string {
	s := r.Action
	switch {
	case r.Outcome == Skipped || r.Ran == 0:
	case r.Outcome == TriggerFailed:
		s += fmt.Sprintf(", failed after %s", round(r.Ran))
	default:
		s += fmt.Sprintf(", ran to its end in %s", round(r.Ran))
	}
	if r.PID != 0 {
		s += fmt.Sprintf(" (pid %d)", r.PID)
	}
	if r.Attempts > 1 {
		s += fmt.Sprintf(", %d attempts", r.Attempts)
	}
	return s
}

// alertLines lists the alerts that the action did cause.
func (r *Result) alertLines() []string {
	if len(r.Alerts) == 0 {
		return []string{"none from this action"}
	}
	return AlertLines(r.Alerts)
}

// AlertLines lists alerts, each on a line, of many the first few.
func AlertLines(alerts []*alert.Alert) []string {
	const limit = 5
	var lines []string
	for i, a := range alerts {
		if i == limit {
			lines = append(lines, fmt.Sprintf("and %d more", len(alerts)-limit))
			break
		}
		lines = append(lines, fmt.Sprintf("%s  %s: %s", a.Priority, a.Rule, Shorten(OneLine(a.Bare()), 160)))
	}
	return lines
}

func (r *Result) nextLines(test string) []string {
	var lines []string
	if r.Hint != "" {
		lines = append(lines, r.Hint)
	}
	if r.Outcome == Skipped {
		return lines
	}
	switch {
	case r.Hint != "":
	case r.Outcome == Missed && r.Position.File != "":
		what, at := "the condition", r.Position
		if name, pos := r.Culprit(); name != "" {
			what, at = "the "+name, Position{File: pos.File, Line: pos.Line}
		}
		or := "the action"
		if r.Test != "" {
			or = "the test at " + r.Test
		}
		lines = append(lines, fmt.Sprintf("mend %s at %s, or %s if it no longer does what the rule is for", what, at, or))
	case r.Outcome == Unexpected && r.Position.File != "":
		or := "what the test expects"
		if r.Test != "" {
			or = "what the test at " + r.Test + " expects"
		} else if of, _ := events.NearMissOf(r.Action); of != "" {
			or = fmt.Sprintf("say by WithExpectation(%q, …) that the rule is to fire for it, too", r.Action)
		}
		lines = append(lines, fmt.Sprintf("mend the rule at %s, or %s", r.Position, or))
	case r.Outcome == TriggerFailed && r.Test != "":
		lines = append(lines, fmt.Sprintf("mend the test at %s, or what it needs of this machine", r.Test))
	case r.Outcome == TriggerFailed:
		lines = append(lines, "mend the action, or what it needs of this machine")
	case r.Outcome == Inconclusive && r.Why != nil:
		lines = append(lines, "run it again, and if it is so every time, where more can be known")
	case r.Outcome == Inconclusive:
		lines = append(lines, "see that the judge keeps up and stays alive, then run again")
	}
	if test != "" {
		lines = append(lines, "run it alone: go test -v -run '"+runPattern(test)+"' "+gotest.Package())
	}
	return lines
}

// Culprit is what kept the rule from firing, and where it stands: the clause that
// was false, in a macro or an exception maybe, or a list that has no items. It is ""
// where that is not known.
func (r *Result) Culprit() (what string, pos filter.Pos) {
	if r.Clause.File != "" {
		return "clause", r.Clause
	}
	if r.Outcome != Missed || r.Why == nil || r.Why.Condition == nil {
		return "", pos
	}
	c := r.Why.Condition
	switch {
	case c.Wanted == 0 && len(c.Empty) > 0:
		return c.Empty[0].In, c.Empty[0]
	case c.Wanted == 0 && len(c.Asking) == 1 && c.Asking[0].Pos.File != "":
		return "clause", c.Asking[0].Pos
	case c.Nearest == nil || len(c.Nearest.Clauses) == 0 || c.Nearest.Clauses[0].Pos.File == "":
		return "", pos
	}
	clause := c.Nearest.Clauses[0]
	if len(clause.Empty) > 0 {
		return clause.Empty[0].In, clause.Empty[0]
	}
	return "clause", clause.Pos
}

// runPattern is the -run pattern that selects just the named test.
func runPattern(test string) string {
	levels := strings.Split(test, "/")
	for i, level := range levels {
		levels[i] = "^" + regexp.QuoteMeta(level) + "$"
	}
	return strings.Join(levels, "/")
}

// Text lays out a headline and labelled lines below it, with the labels in a column.
type Text struct {
	b strings.Builder
}

// Headline writes the lines before the labelled ones.
func (m *Text) Headline(format string, args ...any) { fmt.Fprintf(&m.b, format+"\n", args...) }

// Add adds lines under a label, those that are blank left out.
func (m *Text) Add(label string, lines ...string) {
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(&m.b, "  %-8s  %s\n", label, strings.TrimRight(line, " "))
	}
}

func (m *Text) String() string { return strings.TrimRight(m.b.String(), "\n") }

// OneLine has single blanks for all that is blank.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Shorten cuts a text that is longer than so many characters.
func Shorten(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

func tail(lines []string, n int) []string {
	return lines[max(0, len(lines)-n):]
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}

// ShadowLine warns of a rule that was detected, and would not be by default.
func (r *Result) ShadowLine() string {
	return fmt.Sprintf("rule %q alerts only with rule_matching: all: with Falco's default, first, the rule %s, which is loaded before it, takes all events that it matched", r.Rule, r.Shadow)
}

// Passed is what a passing subtest logs.
func (r *Result) Passed() string {
	if r.Said != "" {
		return r.Said
	}
	switch {
	case r.Outcome == Silent && r.Rule != "":
		return fmt.Sprintf("silent: the rule %q did not fire, as is expected", r.Rule)
	case r.Outcome == Silent:
		return "silent: " + r.Reason
	case r.Correlation == "":
		return fmt.Sprintf("detected: %s %q, in recorded events", r.Priority, r.Rule)
	}
	line := fmt.Sprintf("detected: %s %q after %s, correlated by %s", r.Priority, r.Rule, round(r.Latency), r.Correlation)
	if r.Note != "" {
		line += "; " + r.Note
	}
	if r.Shadow != nil {
		line += "\n  warning   " + r.ShadowLine()
	}
	return line
}
