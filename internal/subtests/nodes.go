// SPDX-License-Identifier: Apache-2.0

package subtests

import (
	"testing"

	"github.com/falcotest/go-falcotest/internal/nodes/spread"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/terminal"
)

// ReportNodes makes each node a subtest of t, with its results as subtests below it, and
// judges and reports the whole. A node that was not judged fails once.
func (run *Run) ReportNodes(t *testing.T, by *spread.Run, progress *terminal.Terminal) {
	t.Helper()
	c := run.collect()
	var rep *report.Report
	defer func() { progress.End(rep) }()
	for _, n := range by.Nodes() {
		t.Run(n.Name, func(t *testing.T) {
			t.Helper()
			runLevels(t, n.Pending, 0, c.conclude)
			if failure := n.Failure(); failure != "" {
				t.Errorf("inconclusive: the node %s was not judged%s: %s", n.Name, map[bool]string{true: " to the end"}[len(n.Missing()) < len(n.Pending)], failure)
			}
		})
	}
	if len(by.Nodes()) == 0 && !run.Gate.Compares() {
		return // -run selected none of them, which is the caller's own wish
	}
	rep = run.report(t, by, c)
	var nodes []report.Node
	planned := map[string][]string{}
	all := c.results
	for _, n := range by.Nodes() {
		nodes = append(nodes, n.Report())
		for _, a := range n.Missing() {
			planned[n.Name] = append(planned[n.Name], a.RuleName())
			all = append(all, missing(n, a))
		}
	}
	rep.AddNodes(nodes, planned)
	run.finish(t, rep, all)
}

// missing is the result of an action of which none came, for the gate.
func missing(n *spread.Node, a *plan.Action) *result.Result {
	return &result.Result{Node: n.Name, Action: a.Name, Rule: a.RuleName(), Outcome: result.Inconclusive, Reason: "the node " + n.Name + " was not judged", Lasting: true}
}
