// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Node is a node of a cluster on which the tests ran, as its kubelet describes it.
type Node struct {
	Name         string            `json:"name"`
	Kernel       string            `json:"kernel,omitempty"`
	Architecture string            `json:"architecture,omitempty"`
	OSImage      string            `json:"os_image,omitempty"`
	Runtime      string            `json:"runtime,omitempty"`
	Kubelet      string            `json:"kubelet,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Judge        string            `json:"judge,omitempty"`
	Falco        string            `json:"falco,omitempty"`   // the version of the Falco that judged
	Problem      string            `json:"problem,omitempty"` // why it was not judged, or not to the end
}

// Spread is what became of a rule on the nodes.
type Spread struct {
	Rule string `json:"rule"`
	// Outcomes are the outcomes by the names of the nodes: of a rule with several
	// tests the worst.
	Outcomes map[string]string `json:"outcomes"`
	// Differs says in what the nodes that missed the rule differ from those that
	// detected it.
	Differs []string `json:"differs,omitempty"`
}

// worst are the outcomes of one rule's tests, the worst last. Of what was skipped or is
// not known it cannot be said that it was detected.
var worst = []string{"silent", "detected", "known miss", "skipped", "inconclusive", "trigger failed", "unexpected", "missed"}

// AddNodes adds the nodes that the tests ran on, and what became of each rule on them.
// Planned are the rules that were to be tested on a node: of those that no result came
// of nothing is known.
func (r *Report) AddNodes(nodes []Node, planned map[string][]string) {
	r.Nodes = nodes
	at := map[string]int{}
	cell := func(rule, node, outcome string) {
		i, ok := at[rule]
		if !ok {
			i = len(r.Spread)
			at[rule] = i
			r.Spread = append(r.Spread, Spread{Rule: rule, Outcomes: map[string]string{}})
		}
		if old := r.Spread[i].Outcomes[node]; slices.Index(worst, outcome) > slices.Index(worst, old) {
			r.Spread[i].Outcomes[node] = outcome
		}
	}
	for _, row := range r.Rows {
		if row.Node != "" && row.Rule != "" {
			cell(row.Rule, row.Node, row.Shown())
		}
	}
	for _, n := range nodes {
		for _, rule := range planned[n.Name] {
			cell(rule, n.Name, "inconclusive")
		}
	}
	slices.SortFunc(r.Spread, func(a, b Spread) int { return cmp.Compare(a.Rule, b.Rule) })
	for i := range r.Spread {
		r.Spread[i].Differs = r.differs(&r.Spread[i])
	}
}

// on are the nodes with an outcome, in their order.
func (s *Spread) on(nodes []Node, outcomes ...string) (list []Node) {
	for _, n := range nodes {
		if slices.Contains(outcomes, s.Outcomes[n.Name]) {
			list = append(list, n)
		}
	}
	return list
}

// differs finds what all nodes that missed a rule have in common, and none of those
// that detected it.
func (r *Report) differs(s *Spread) (found []string) {
	missed, detected := s.on(r.Nodes, "missed", "unexpected", "known miss"), s.on(r.Nodes, "detected")
	if len(missed) == 0 || len(detected) == 0 {
		return nil
	}
	compare := func(what string, of func(Node) string) {
		value := of(missed[0])
		same := func(n Node) bool { return of(n) == value }
		if value == "" || slices.ContainsFunc(detected, same) || slices.ContainsFunc(missed, func(n Node) bool { return !same(n) }) {
			return
		}
		var others []string
		for _, n := range detected {
			if v := cmp.Or(of(n), "none"); !slices.Contains(others, v) {
				others = append(others, v)
			}
		}
		slices.Sort(others)
		found = append(found, fmt.Sprintf("%s %s (elsewhere %s)", what, value, list(others, 3)))
	}
	compare("kernel", func(n Node) string { return n.Kernel })
	compare("Falco", func(n Node) string { return n.Falco })
	compare("runtime", func(n Node) string { return n.Runtime })
	compare("architecture", func(n Node) string { return n.Architecture })
	compare("OS image", func(n Node) string { return n.OSImage })
	compare("kubelet", func(n Node) string { return n.Kubelet })
	for _, label := range slices.Sorted(maps.Keys(missed[0].Labels)) {
		if !r.namesNodes(label) {
			compare("label "+label+":", func(n Node) string { return n.Labels[label] })
		}
	}
	return found
}

// namesNodes tells whether a label has another value on each node, so that it tells
// them apart and says nothing of them.
func (r *Report) namesNodes(label string) bool {
	if strings.HasSuffix(label, "/hostname") {
		return true
	}
	values := map[string]bool{}
	for _, n := range r.Nodes {
		values[n.Labels[label]] = true
	}
	return len(r.Nodes) > 2 && len(values) == len(r.Nodes)
}

// Line says where a rule was detected and where not: "detected on 11 of 12; missed on
// worker-7 (kernel 5.10 …)".
func (r *Report) Line(s *Spread) string {
	line := fmt.Sprintf("detected on %d of %s", len(s.on(r.Nodes, "detected")), plural(len(s.Outcomes), "node"))
	for _, outcome := range []string{"missed", "unexpected", "known miss", "trigger failed", "inconclusive", "skipped", "silent"} {
		on := s.on(r.Nodes, outcome)
		if len(on) == 0 {
			continue
		}
		var names []string
		for _, n := range on {
			names = append(names, n.Name)
		}
		line += fmt.Sprintf("; %s on %s", outcome, list(names, 6))
		if outcome == "missed" && len(on) <= 3 {
			var about []string
			for _, n := range on {
				if text := n.about(); !slices.Contains(about, text) {
					about = append(about, text)
				}
			}
			line += " (" + strings.Join(about, "; ") + ")"
		}
	}
	return line
}

// lineOf is the line of a rule by its name, "" for one that ran on no node.
func (r *Report) lineOf(rule string) string {
	for i := range r.Spread {
		if r.Spread[i].Rule == rule {
			return rule + ": " + r.Line(&r.Spread[i])
		}
	}
	return ""
}

// OnNodes are the outcomes of a rule in the order of the nodes, for a table.
func (r *Report) OnNodes(s Spread) (outcomes []string) {
	for _, n := range r.Nodes {
		outcomes = append(outcomes, s.Outcomes[n.Name])
	}
	return outcomes
}

// DetectedOn counts the nodes on which a rule was detected.
func (r *Report) DetectedOn(s Spread) string {
	return fmt.Sprintf("%d of %d", len(s.on(r.Nodes, "detected")), len(s.Outcomes))
}

// about says what a node is: its kernel, Falco and runtime.
func (n Node) about() string {
	parts := []string{"kernel " + orDash(n.Kernel)}
	if n.Falco != "" {
		parts = append(parts, "Falco "+n.Falco)
	}
	return strings.Join(append(parts, orDash(n.Runtime)), ", ")
}

// NodeTotals counts the outcomes of a node.
func (r *Report) NodeTotals(n Node) string {
	var own Report
	for _, row := range r.Rows {
		if row.Node == n.Name {
			own.Rows = append(own.Rows, row)
		}
	}
	if len(own.Rows) == 0 && n.Problem != "" {
		return "not judged"
	}
	if n.Problem != "" {
		return own.Totals() + ", not to the end"
	}
	return own.Totals()
}

// wide is the number of nodes up to which each has a column of its own.
const wide = 6

// nodesText writes the table rule × node, for a terminal.
func (r *Report) nodesText(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprint(tw, "RULE\t")
	if len(r.Nodes) <= wide {
		for _, n := range r.Nodes {
			fmt.Fprintf(tw, "%s\t", n.Name)
		}
	}
	fmt.Fprintln(tw, "DETECTED ON\t")
	for i := range r.Spread {
		s := &r.Spread[i]
		fmt.Fprintf(tw, "%s\t", s.Rule)
		if len(r.Nodes) <= wide {
			for _, n := range r.Nodes {
				fmt.Fprintf(tw, "%s\t", orDash(s.Outcomes[n.Name]))
			}
		}
		fmt.Fprintf(tw, "%d of %d\t\n", len(s.on(r.Nodes, "detected")), len(s.Outcomes))
	}
	tw.Flush()
	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NODE\tKERNEL\tRUNTIME\tFALCO\tRESULTS\t")
	for _, n := range r.Nodes {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t\n", n.Name, orDash(n.Kernel), orDash(n.Runtime), orDash(n.Falco), r.NodeTotals(n))
	}
	tw.Flush()
	fmt.Fprintln(w)
	for _, line := range r.nodeLines() {
		fmt.Fprintln(w, line)
	}
}

// nodesMarkdown writes the table rule × node, and one of the nodes.
func (r *Report) nodesMarkdown(b *strings.Builder) {
	columns := r.Nodes
	if len(columns) > wide {
		columns = nil
	}
	b.WriteString("| Rule |")
	for _, n := range columns {
		fmt.Fprintf(b, " %s |", cell(n.Name))
	}
	b.WriteString(" Detected on |\n| --- |" + strings.Repeat(" --- |", len(columns)) + " --- |\n")
	for i := range r.Spread {
		s := &r.Spread[i]
		fmt.Fprintf(b, "| %s |", cell(s.Rule))
		for _, n := range columns {
			fmt.Fprintf(b, " %s |", orDash(s.Outcomes[n.Name]))
		}
		fmt.Fprintf(b, " %d of %d |\n", len(s.on(r.Nodes, "detected")), len(s.Outcomes))
	}
	b.WriteString("\n| Node | Kernel | OS | Runtime | Falco | Results |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, n := range r.Nodes {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", cell(n.Name), cell(orDash(n.Kernel)), cell(orDash(n.OSImage)), cell(orDash(n.Runtime)), cell(orDash(n.Falco)), r.NodeTotals(n))
	}
	for _, line := range r.nodeLines() {
		fmt.Fprintf(b, "\n%s\n", cell(strings.TrimSpace(line)))
	}
	for _, n := range r.Nodes {
		if n.Problem != "" {
			details(b, n.Name+": "+r.NodeTotals(n), n.Problem)
		}
	}
}

// nodeLines say of each rule that was not detected on all nodes where it was not, and
// of each node that was not judged why.
func (r *Report) nodeLines() (lines []string) {
	for i := range r.Spread {
		s := &r.Spread[i]
		if good := len(s.on(r.Nodes, "detected")); good == len(s.Outcomes) || good == 0 && len(s.on(r.Nodes, "silent")) == len(s.Outcomes) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: %s", s.Rule, r.Line(s)))
		if len(s.Differs) > 0 {
			lines = append(lines, "    what differs there: "+strings.Join(s.Differs, "; "))
		}
	}
	for _, n := range r.Nodes {
		if n.Problem != "" {
			lines = append(lines, fmt.Sprintf("%s was not judged%s: %s", n.Name, map[bool]string{true: " to the end"}[r.NodeTotals(n) != "not judged"], firstLine(n.Problem)))
		}
	}
	return lines
}
