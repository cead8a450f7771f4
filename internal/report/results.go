// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"maps"
	"slices"

	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Add adds what became of the actions. Messages are what was said of failures; known
// says why a miss is accepted, or "".
func (rep *Report) Add(results []*result.Result, messages map[*result.Result]string, known func(*result.Result) string) {
	unmet := make(map[string]*Need)
	for _, r := range results {
		if r.Outcome == result.Detected && r.Shadow != nil {
			rep.Warnings = append(rep.Warnings, fmt.Sprintf("%s: %s", r.Position, r.ShadowLine()))
		}
		row := RowOf(r)
		row.Message, row.Known = messages[r], known(r)
		rep.Rows = append(rep.Rows, row)
		if r.Need.Name != "" {
			n := unmet[r.Need.Name]
			if n == nil {
				n = &Need{Name: r.Need.Name, Hint: r.Need.Hint}
				unmet[r.Need.Name] = n
			}
			n.Actions = append(n.Actions, r.Action)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unmet)) {
		rep.Unmet = append(rep.Unmet, *unmet[name])
	}
}

// RowOf is the row of a result, without what was said of it.
func RowOf(r *result.Result) Row {
	row := Row{
		Node: r.Node, Rule: r.Rule, Action: r.Action, Outcome: r.Outcome.String(), Priority: r.Priority,
		Correlation: r.Correlation, Latency: r.Latency, Ran: r.Ran, Attempts: r.Attempts, Reason: r.Reason,
		File: r.Position.File, Line: r.Position.Line,
	}
	if what, pos := r.Culprit(); what != "" {
		row.Clause = &Place{File: pos.File, Line: pos.Line, Column: pos.Column}
	}
	for _, a := range r.Alerts[:min(maxAlerts, len(r.Alerts))] {
		row.Alerts = append(row.Alerts, Alert{Rule: a.Rule, Priority: a.Priority.String(), Output: a.Output})
	}
	return row
}

// maxAlerts is how many alerts of an action reports show.
const maxAlerts = 20

// AddProblems adds what kept the rules from loading.
func (rep *Report) AddProblems(load *rules.Error) {
	for _, p := range load.Problems {
		msg := p.Msg
		if p.Hint != "" {
			msg += " (" + p.Hint + ")"
		}
		if p.Snippet != "" {
			msg += "\n" + p.Snippet
		}
		rep.Problems = append(rep.Problems, Problem{Code: string(p.Code), Item: p.Item, Message: msg, File: p.Pos.File, Line: p.Pos.Line, Column: p.Pos.Column})
	}
}
