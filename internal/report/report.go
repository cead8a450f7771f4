// SPDX-License-Identifier: Apache-2.0

// Package report renders the results of a run for people and machines: a table
// in plain text, Markdown, JSON, and the annotations of GitHub's log.
//
// It imports nothing of this module: falcotest hands it rows, it hands back
// text.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is one action's result.
type Row struct {
	Rule        string        `json:"rule"`
	Action      string        `json:"action"`
	Outcome     string        `json:"outcome"`
	Priority    string        `json:"priority,omitempty"`
	Correlation string        `json:"correlation,omitempty"`
	Latency     time.Duration `json:"latency_ns,omitempty"`
	Reason      string        `json:"reason,omitempty"`
	File        string        `json:"file,omitempty"`
	Line        int           `json:"line,omitempty"`
	Message     string        `json:"message,omitempty"` // the whole text of a failure
}

// Need is something that was missing, and how to meet it.
type Need struct {
	Name    string   `json:"name"`
	Hint    string   `json:"hint,omitempty"`
	Actions []string `json:"actions"`
}

// Report is one run.
type Report struct {
	Judge     string    `json:"judge"`
	Rules     []string  `json:"rules_files,omitempty"`
	Rows      []Row     `json:"results"`
	Verdicts  []Rule    `json:"rules,omitempty"`
	Since     string    `json:"changed_since,omitempty"` // the revision that the run compares with
	Changes   []Change  `json:"changes,omitempty"`
	Baseline  string    `json:"baseline,omitempty"` // its file
	Findings  []Finding `json:"findings,omitempty"`
	Uncovered []string  `json:"rules_without_action,omitempty"`
	Unmet     []Need    `json:"unmet_needs,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"`
	// Elapsed is left out of the texts, which golden files hold.
	Elapsed time.Duration `json:"elapsed_ns"`
}

// outcomes in the order of the totals.
var outcomes = []string{"detected", "missed", "trigger failed", "inconclusive", "skipped"}

// Totals counts the outcomes: "12 detected, 1 missed, 2 skipped".
func (r *Report) Totals() string {
	count := make(map[string]int)
	for _, row := range r.Rows {
		count[row.Outcome]++
	}
	var parts []string
	for _, o := range outcomes {
		if n := count[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
		}
	}
	if len(parts) == 0 {
		return "nothing ran"
	}
	return strings.Join(parts, ", ")
}

// Text writes the table for a terminal.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "RULE\tACTION\tOUTCOME\tPRIORITY\tCORRELATION\tTIME\t")
	for _, row := range r.Rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t\n", orDash(row.Rule), row.Action, row.Outcome,
			orDash(row.Priority), orDash(row.Correlation), latency(row.Latency))
	}
	tw.Flush()
	fmt.Fprintf(&b, "\n%s; judged by %s\n", r.Totals(), r.Judge)
	if n := len(r.Uncovered); n > 0 {
		fmt.Fprintf(&b, "%s without an action: %s\n", plural(n, "rule"), list(r.Uncovered, 12))
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

// Markdown writes the table for a job summary or a pull request's comment.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### Falco rules: %s\n\nJudged by %s.\n\n", r.Totals(), r.Judge)
	b.WriteString("| Rule | Action | Outcome | Priority | Correlation | Time |\n| --- | --- | --- | --- | --- | ---: |\n")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", cell(orDash(row.Rule)), cell(row.Action),
			cell(row.Outcome), orDash(row.Priority), orDash(row.Correlation), latency(row.Latency))
	}
	for _, row := range r.Rows {
		if row.Message != "" {
			fmt.Fprintf(&b, "\n<details><summary>%s: %s</summary>\n\n```text\n%s\n```\n\n</details>\n",
				cell(row.Action), row.Outcome, strings.TrimRight(strings.ReplaceAll(row.Message, "```", "'''"), "\n"))
		}
	}
	if len(r.Uncovered) > 0 {
		fmt.Fprintf(&b, "\n%s without an action: %s\n", plural(len(r.Uncovered), "rule"), list(r.Uncovered, len(r.Uncovered)))
	}
	for _, need := range r.Unmet {
		fmt.Fprintf(&b, "\nSkipped for want of %s: %s. %s\n", need.Name, list(need.Actions, len(need.Actions)), need.Hint)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON writes the whole report.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Annotations writes a GitHub workflow command for each failure, which shows it
// beside the rule in a pull request. Format: "Workflow commands for GitHub
// Actions" in GitHub's documentation.
func (r *Report) Annotations(w io.Writer) error {
	for _, row := range r.Rows {
		level := ""
		switch row.Outcome {
		case "missed":
			level = "error"
		case "trigger failed", "inconclusive":
			level = "warning"
		default:
			continue
		}
		place := ""
		if row.File != "" {
			place = fmt.Sprintf("file=%s,line=%d,", property(row.File), row.Line)
		}
		if _, err := fmt.Fprintf(w, "::%s %stitle=%s::%s\n", level, place,
			property(row.Outcome+": "+row.Rule), data(row.Message)); err != nil {
			return err
		}
	}
	return nil
}

func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

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
