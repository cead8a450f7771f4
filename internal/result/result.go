// SPDX-License-Identifier: Apache-2.0

// Package result is what became of one action, and what a person reads of it.
//
// Whoever runs actions makes a [Result] of each; subtests, gate, report and terminal
// read it, and package falcotest publishes it. Wherever an action runs, its result is
// a [Pending] one until then. The package imports internal/alert and internal/engine,
// for alerts and for why a rule did not fire, internal/gotest and events.
package result

import (
	"fmt"
	"slices"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// Outcome is how an action ended, as Outcome of package falcotest, which says what
// each means.
type Outcome int

// The outcomes.
const (
	Detected Outcome = iota + 1
	Missed
	Silent
	Unexpected
	Skipped
	TriggerFailed
	Inconclusive
)

var outcomeNames = [...]string{"none", "detected", "missed", "silent", "unexpected", "skipped", "trigger failed", "inconclusive"}

// String returns the outcome's name, e.g. "trigger failed".
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomeNames[o]
}

// Position is a place in a rules file.
type Position struct {
	File string
	Line int
}

// String returns file:line, or "" for the zero value.
func (p Position) String() string {
	if p.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Shadow is a rule that keeps another from alerting under rule_matching: first.
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

// Result is what became of one action. The fields that Result of package falcotest has
// too are said there.
type Result struct {
	Action      string
	Test, Case  string
	Rule        string
	Position    Position
	Priority    string
	Outcome     Outcome
	Reason      string
	Hint        string
	Judge       string
	Correlation string
	Latency     time.Duration
	Ran         time.Duration
	Attempts    int
	Shadow      *Shadow
	Alerts      []*alert.Alert
	Difference  []string
	Differ      bool // two engines judge the same events differently, as Difference shows
	Why         *engine.Why
	WhyNote     string
	Note        string
	Log         []string

	Node   string     // of a cluster, on which it ran
	Said   string     // what a person reads of it, where that was made elsewhere
	Clause filter.Pos // that was false, of a miss that was told so

	PID      int
	Frames   []string    // of a panic, the innermost first
	Lost     int         // how often events had been lost when the action began
	Lasting  bool        // it is so for want of something here: another attempt would end alike
	Events   []any       // that its rule can be true for, where they are judged again
	Need     events.Need // the unmet one that made it skip
	Required bool        // the need must be met here, so that the skip fails
}

// Pending is a result that is on its way, wherever its action runs.
type Pending struct {
	Subtest []string // the levels of its subtest's name
	// Wait may be called more than once. It returns nil where no result will come,
	// for a reason that is told of all those at once.
	Wait func() *Result
	// Elsewhere tells that it begins by itself, so that waiting for it changes nothing.
	Elsewhere bool
}

// ParseOutcome reads an outcome's name.
func ParseOutcome(name string) (Outcome, error) {
	if i := slices.Index(outcomeNames[:], name); i > 0 {
		return Outcome(i), nil
	}
	return 0, fmt.Errorf("there is no outcome %q", name)
}
