// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// message is what a person reads of a result that fails or skips a subtest: the
// verdict in one line, then what is known, then what to do next. The test's
// name is part of the command that runs the action alone.
func (r *Result) message(test string) string {
	var m message
	m.headline(r)
	m.add("rule", r.ruleLine())
	if r.Test == "" {
		m.add("action", r.actionLine())
	} else {
		m.add("test", r.Test+"  "+r.actionLine())
		m.add("case", r.Case)
	}
	m.add("judge", r.Judge)
	if r.Outcome == Missed || r.Outcome == Inconclusive {
		m.add("alerts", r.alertLines()...)
	}
	m.add("alerts", r.Difference...)
	if r.Outcome == Missed {
		m.add("note", strings.Split(r.WhyNote, "\n")...)
	}
	if r.why != nil {
		m.add("why", strings.Split(strings.TrimRight(r.why.String(), "\n"), "\n")...)
	}
	const most = 6
	m.add("panic", r.frames[:min(most, len(r.frames))]...)
	if r.Outcome != Missed && r.Outcome != Detected && len(r.Log) > 0 {
		m.add("log", tail(r.Log, 10)...)
	}
	m.add("next", r.nextLines(test)...)
	return m.String()
}

func (m *message) headline(r *Result) {
	rule := r.Rule
	if rule == "" {
		rule = "(the rule named like the action)"
	}
	switch r.Outcome {
	case Missed:
		fmt.Fprintf(&m.b, "missed: the action ran, and the rule %q did not fire\n", rule)
	case Unexpected:
		fmt.Fprintf(&m.b, "unexpected: %s\n", r.Reason)
		if of, excuse := events.NearMissOf(r.Action); of != "" {
			fmt.Fprintf(&m.b, "  this is a near miss of %s: %s\n", of, excuse)
		}
	case TriggerFailed:
		fmt.Fprintf(&m.b, "trigger failed: %s\n", oneLine(r.Reason))
		fmt.Fprintf(&m.b, "  this says nothing of the rule %q: the action did not do its work\n", rule)
	case Inconclusive:
		fmt.Fprintf(&m.b, "inconclusive: %s\n", oneLine(r.Reason))
		if r.why != nil {
			fmt.Fprintf(&m.b, "  this says nothing of the rule %q: its condition hangs on what is not known\n", rule)
			break
		}
		fmt.Fprintf(&m.b, "  this says nothing of the rule %q: its alert may have been lost\n", rule)
	case Skipped:
		fmt.Fprintf(&m.b, "skipped: %s\n", oneLine(r.Reason))
	default:
		fmt.Fprintf(&m.b, "%s: %q\n", r.Outcome, rule)
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
	if r.pid != 0 {
		s += fmt.Sprintf(" (pid %d)", r.pid)
	}
	if r.Attempts > 1 {
		s += fmt.Sprintf(", %d attempts", r.Attempts)
	}
	return s
}

// alertLines lists the alerts that the action did cause, each on a line.
func (r *Result) alertLines() []string {
	if len(r.alerts) == 0 {
		return []string{"none from this action"}
	}
	const limit = 5
	var lines []string
	for i, a := range r.alerts {
		if i == limit {
			lines = append(lines, fmt.Sprintf("and %d more", len(r.alerts)-limit))
			break
		}
		lines = append(lines, fmt.Sprintf("%s  %s: %s", a.Priority, a.Rule, shorten(oneLine(bareOutput(a)), 160)))
	}
	return lines
}

// bareOutput is an alert's output without the time and the priority, which
// Falco puts before what the rule says.
func bareOutput(a *alert.Alert) string {
	if _, rest, ok := strings.Cut(a.Output, ": "+a.Priority.String()+" "); ok {
		return rest
	}
	return a.Output
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
		if name, pos := r.culprit(); name != "" {
			what, at = "the "+name, Position{File: pos.File, Line: pos.Line}
		}
		lines = append(lines, fmt.Sprintf("mend %s at %s, or the action if it no longer does what the rule is for", what, at))
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
	case r.Outcome == Inconclusive && r.why != nil:
		lines = append(lines, "run it again, and if it is so every time, where more can be known")
	case r.Outcome == Inconclusive:
		lines = append(lines, "see that the judge keeps up and stays alive, then run again")
	}
	if test != "" {
		lines = append(lines, "run it alone: go test -v -run '"+runPattern(test)+"' "+packageName())
	}
	return lines
}

// culprit is what kept the rule from firing, and where it stands: the clause that
// was false, in a macro or an exception maybe, or a list that has no items. It is ""
// where that is not known.
func (r *Result) culprit() (what string, pos filter.Pos) {
	if r.Outcome != Missed || r.why == nil || r.why.Condition == nil {
		return "", pos
	}
	c := r.why.Condition
	switch {
	case c.Wanted == 0 && len(c.Empty) > 0:
		return c.Empty[0].In, c.Empty[0]
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

// message lays out labelled lines, with the labels in a column.
type message struct {
	b strings.Builder
}

func (m *message) add(label string, lines ...string) {
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

func (m *message) String() string { return strings.TrimRight(m.b.String(), "\n") }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func shorten(s string, limit int) string {
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

// passedLine is what a passing subtest logs.
func (r *Result) passedLine() string {
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
		line += "\n  warning   " + r.shadowLine()
	}
	return line
}
