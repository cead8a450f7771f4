// SPDX-License-Identifier: Apache-2.0

// Package report renders the results of a run for people and machines: a table
// in plain text, Markdown, JSON, and the annotations of GitHub's log.
//
// Results of actions come in as internal/result has them ([Report.Add]), what became of
// rules as rows; text goes out, to files and to what the CI system reads ([Publish]). It
// imports internal/result, internal/rules for problems, and internal/filelock.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is one action's result.
type Row struct {
	Node        string        `json:"node,omitempty"` // of a cluster, on which it ran
	Rule        string        `json:"rule"`
	Action      string        `json:"action"`
	Outcome     string        `json:"outcome"`
	Priority    string        `json:"priority,omitempty"`
	Correlation string        `json:"correlation,omitempty"`
	Latency     time.Duration `json:"latency_ns,omitempty"`
	Ran         time.Duration `json:"ran_ns,omitempty"`
	Attempts    int           `json:"attempts,omitempty"` // more than one: it was run again
	Reason      string        `json:"reason,omitempty"`
	File        string        `json:"file,omitempty"`
	Line        int           `json:"line,omitempty"`
	Message     string        `json:"message,omitempty"` // the whole text of a failure
	Clause      *Place        `json:"clause,omitempty"`  // that was false, of a miss
	Known       string        `json:"known,omitempty"`   // why the baseline accepts a miss
	Alerts      []Alert       `json:"alerts,omitempty"`
}

// Place is a place in a rules file.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column,omitempty"`
}

// Alert is an alert that the action caused.
type Alert struct {
	Rule     string `json:"rule"`
	Priority string `json:"priority"`
	Output   string `json:"output"`
}

// place is where a failure is shown: at the clause that was false, else at the rule.
func (row Row) place() (file string, line, column int) {
	if row.Clause != nil && row.Clause.File != "" {
		return row.Clause.File, row.Clause.Line, row.Clause.Column
	}
	return row.File, row.Line, 0
}

// name tells the row from all others of its run.
func (row Row) name() string {
	if row.Node != "" {
		return row.Node + "/" + row.Action
	}
	return row.Action
}

// headline says in a line what became of the action.
func (row Row) headline() string {
	if row.Message != "" {
		return firstLine(row.Message)
	}
	if row.Reason != "" {
		return row.Outcome + ": " + strings.Join(strings.Fields(row.Reason), " ")
	}
	return row.Outcome
}

// Problem is what is wrong with a rules file, so that nothing was judged.
type Problem struct {
	Code    string `json:"code"` // LOAD_ERR_…
	Item    string `json:"item,omitempty"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

// Need is something that was missing, and how to meet it.
type Need struct {
	Name    string   `json:"name"`
	Hint    string   `json:"hint,omitempty"`
	Actions []string `json:"actions"`
}

// Report is one run.
type Report struct {
	Package   string    `json:"package,omitempty"` // the test binary's
	Test      string    `json:"test,omitempty"`
	Started   time.Time `json:"started,omitzero"`
	Judge     string    `json:"judge"`
	Rules     []string  `json:"rules_files,omitempty"`
	Rows      []Row     `json:"results"`
	Nodes     []Node    `json:"nodes,omitempty"`          // of a cluster, that the tests ran on
	Spread    []Spread  `json:"rules_on_nodes,omitempty"` // what became of each rule on them
	Verdicts  []Rule    `json:"rules,omitempty"`
	Since     string    `json:"changed_since,omitempty"` // the revision that the run compares with
	Changes   []Change  `json:"changes,omitempty"`
	Baseline  string    `json:"baseline,omitempty"` // its file
	Findings  []Finding `json:"findings,omitempty"`
	Uncovered []string  `json:"rules_without_action,omitempty"`
	Problems  []Problem `json:"problems,omitempty"` // the rules do not load
	Unmet     []Need    `json:"unmet_needs,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"`
	// Elapsed is left out of the texts, which golden files hold.
	Elapsed time.Duration `json:"elapsed_ns"`
}

// outcomes in the order of the totals.
var outcomes = []string{"detected", "silent", "missed", "known miss", "unexpected", "trigger failed", "inconclusive", "skipped"}

// Shown is the outcome as it is shown and counted: a miss that the baseline accepts is told apart.
func (row Row) Shown() string {
	if row.Known != "" {
		return "known miss"
	}
	return row.Outcome
}

// Totals counts the outcomes: "12 detected, 1 missed, 2 skipped".
func (r *Report) Totals() string {
	count := make(map[string]int)
	for _, row := range r.Rows {
		count[row.Shown()]++
	}
	var parts []string
	for _, o := range outcomes {
		switch n := count[o]; {
		case n > 1 && o == "known miss":
			parts = append(parts, fmt.Sprintf("%d known misses", n))
		case n > 0:
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
		}
	}
	switch {
	case len(parts) == 0 && len(r.Problems) > 0:
		return "the rules do not load"
	case len(parts) == 0 && len(r.Nodes) > 0:
		return "no node was judged"
	case len(parts) == 0:
		return "nothing ran"
	}
	return strings.Join(parts, ", ")
}

// Text writes the table for a terminal.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	if len(r.Nodes) > 0 {
		r.nodesText(&b)
	} else {
		r.rowsText(&b)
	}
	fmt.Fprintf(&b, "\n%s; judged by %s\n", r.Totals(), r.Judge)
	for _, line := range r.shared() {
		fmt.Fprintf(&b, "%s\n", line)
	}
	for _, line := range r.unverified(12) {
		fmt.Fprintf(&b, "%s\n", line)
	}
	for _, need := range r.Unmet {
		fmt.Fprintf(&b, "skipped for want of %s: %s\n", need.Name, list(need.Actions, 6))
		if need.Hint != "" {
			fmt.Fprintf(&b, "    %s\n", need.Hint)
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// rowsText writes the table of all actions.
func (r *Report) rowsText(b *strings.Builder) {
	tw := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "RULE\tACTION\tOUTCOME\tPRIORITY\tCORRELATION\tTIME\t")
	for _, row := range r.Rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t\n", orDash(row.Rule), row.Action, row.Shown(),
			orDash(row.Priority), orDash(row.Correlation), latency(row.Latency))
	}
	tw.Flush()
}

// Summary writes in a few lines what the run found and what it did not verify.
func (r *Report) Summary(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "falcotest: %s: %s; judged by %s\n", strings.TrimSpace(r.Package+" "+r.Test), r.Totals(), r.Judge)
	for _, line := range r.nodeLines() {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	for _, row := range r.Rows {
		switch row.Shown() {
		case "detected", "silent", "skipped", "known miss":
		default:
			if row.Node == "" {
				fmt.Fprintf(&b, "  %s: %s (%s)\n", row.Outcome, cmp.Or(row.Rule, row.Action), row.Action)
			}
		}
	}
	for _, f := range r.Findings {
		if f.Verdict == "regression" {
			fmt.Fprintf(&b, "  regression: %s %s%s\n", f.Rule, f.Text, at(f.File, f.Line))
		}
	}
	for _, need := range r.Unmet {
		fmt.Fprintf(&b, "  not verified for want of %s: %s\n", need.Name, list(need.Actions, 6))
	}
	for _, line := range r.unverified(6) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shared tells of each clause that kept several rules from firing, with the rules: of
// a macro or a list that they have in common, most often.
func (r *Report) shared() []string {
	rules := map[Place][]string{}
	var order []Place
	for _, row := range r.Rows {
		if row.Shown() != "missed" || row.Clause == nil || row.Rule == "" {
			continue
		}
		if list := rules[*row.Clause]; !slices.Contains(list, row.Rule) {
			if list == nil {
				order = append(order, *row.Clause)
			}
			rules[*row.Clause] = append(list, row.Rule)
		}
	}
	var lines []string
	for _, p := range order {
		if list := rules[p]; len(list) > 1 {
			lines = append(lines, fmt.Sprintf("one clause keeps %d rules from firing, %s:%d: %s", len(list), p.File, p.Line, strings.Join(list, ", ")))
		}
	}
	return lines
}

// unverified says which rules the run says nothing of, and how the clauses and the
// faults of the others fared; at most so many names a line.
func (r *Report) unverified(limit int) []string {
	var lines []string
	if n := len(r.Uncovered); n > 0 {
		lines = append(lines, fmt.Sprintf("%s without an action: %s", plural(n, "rule"), list(r.Uncovered, limit)))
	}
	var disabled []string
	for _, row := range r.Rows {
		if row.Attempts > 1 {
			lines = append(lines, fmt.Sprintf("%s took %d attempts", row.Action, row.Attempts))
		}
	}
	clauses, covered, faults, unnoticed := 0, 0, 0, 0
	for _, rule := range r.Verdicts {
		switch rule.Outcome {
		case "disabled":
			disabled = append(disabled, rule.Name)
		case "flaky":
			lines = append(lines, fmt.Sprintf("flaky: %s, %s", rule.Name, rule.Reason))
		}
		for _, c := range rule.Clauses {
			clauses++
			if c.Covered() {
				covered++
			}
		}
		if rule.Mutants != nil {
			faults += rule.Mutants.Judged
			unnoticed += len(rule.Mutants.Survivors)
		}
	}
	if n := len(disabled); n > 0 {
		lines = append(lines, fmt.Sprintf("%s disabled: %s (WithDisabledActions or FALCOTEST_DISABLED=1 tests them too)", plural(n, "rule"), list(disabled, limit)))
	}
	if clauses > 0 {
		lines = append(lines, fmt.Sprintf("%d of %s and list items decided both ways", covered, plural(clauses, "clause")))
	}
	if faults > 0 {
		lines = append(lines, fmt.Sprintf("%d of %s put into the rules would go unnoticed", unnoticed, plural(faults, "fault")))
	}
	return lines
}

// Markdown writes the table for a job summary or a pull request's comment.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### Falco rules: %s\n\n", r.Totals())
	if of := strings.TrimSpace(r.Package + " " + r.Test); of != "" {
		fmt.Fprintf(&b, "%s, judged by %s.\n\n", of, r.Judge)
	} else {
		fmt.Fprintf(&b, "Judged by %s.\n\n", r.Judge)
	}
	if r.Since != "" && len(r.Changes) == 0 {
		fmt.Fprintf(&b, "No rule means anything else than at %s.\n\n", r.Since)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "- **%s** %s %s%s\n", p.Code, cell(p.Item), cell(firstLine(p.Message)), at(p.File, p.Line))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "- **%s**: %s %s%s\n", f.Verdict, cell(f.Rule), cell(f.Text), at(f.File, f.Line))
	}
	if len(r.Changes) > 0 {
		fmt.Fprintf(&b, "\nChanged since %s:\n\n| Rule | | Why its tests ran |\n| --- | --- | --- |\n", r.Since)
		for _, c := range r.Changes {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(c.Rule), c.Kind, cell(c.Why))
		}
	}
	if len(r.Problems)+len(r.Findings)+len(r.Changes) > 0 {
		b.WriteString("\n")
	}
	if len(r.Rows) == 0 && len(r.Nodes) == 0 {
		_, err := io.WriteString(w, b.String())
		return err
	}
	if len(r.Nodes) > 0 {
		r.nodesMarkdown(&b)
	} else {
		b.WriteString("| Rule | Action | Outcome | Priority | Correlation | Time |\n| --- | --- | --- | --- | --- | ---: |\n")
		for _, row := range r.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", cell(orDash(row.Rule)), cell(row.Action),
				cell(row.Shown()), orDash(row.Priority), orDash(row.Correlation), latency(row.Latency))
		}
	}
	for _, row := range r.Rows {
		if row.Message != "" {
			details(&b, strings.TrimSpace(row.Node+" "+row.Action)+": "+row.Shown(), row.Message)
		}
	}
	for _, line := range append(r.shared(), r.unverified(len(r.Verdicts)+len(r.Uncovered))...) {
		fmt.Fprintf(&b, "\n%s\n", cell(line))
	}
	for _, need := range r.Unmet {
		fmt.Fprintf(&b, "\nSkipped for want of %s: %s. %s\n", need.Name, list(need.Actions, len(need.Actions)), need.Hint)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// details is what opens on a click.
func details(b *strings.Builder, summary, text string) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n```text\n%s\n```\n\n</details>\n",
		cell(summary), strings.TrimRight(strings.ReplaceAll(text, "```", "'''"), "\n"))
}

// Annotations writes a GitHub workflow command for each finding, which shows it in a
// pull request beside the clause that was false, or the rule. Format: "Workflow
// commands for GitHub Actions" in GitHub's documentation. Faults that no test notices
// are left to the reports: there may be many.
func (r *Report) Annotations(w io.Writer) error {
	command := map[string]string{"error": "error", "warning": "warning", "note": "notice"}
	for _, f := range NewDocument(r).findings() {
		if f.id == "surviving-mutant" {
			continue
		}
		place := ""
		if f.file != "" {
			place = fmt.Sprintf("file=%s,line=%d,", property(f.file), max(f.line, 1))
			if f.column > 0 {
				place += fmt.Sprintf("col=%d,", f.column)
			}
		}
		if _, err := fmt.Fprintf(w, "::%s %stitle=%s::%s\n", command[f.level], place,
			property(strings.ReplaceAll(f.id, "-", " ")+": "+f.rule), data(f.text)); err != nil {
			return err
		}
	}
	return nil
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	cellEscapes     = strings.NewReplacer("|", `\|`, "\n", " ")
)

func data(s string) string { return dataEscapes.Replace(s) }

func property(s string) string { return propertyEscapes.Replace(s) }

func cell(s string) string { return cellEscapes.Replace(s) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func latency(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func at(file string, line int) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", file, line)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// list joins names, at most limit of them.
func list(names []string, limit int) string {
	if len(names) <= limit {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], ", "), len(names)-limit)
}
