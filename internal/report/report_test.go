// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sample() *Report {
	return &Report{
		Package: "example.org/rules", Test: "TestRules", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Elapsed: 6 * time.Second,
		Judge: "Falco 0.43.1 at /usr/bin/falco",
		Rules: []string{"rules/a.yaml"},
		Rows: []Row{
			{Rule: "Write below etc", Action: "syscall.WriteBelowEtc", Outcome: "detected", Priority: "Error", Correlation: "environment", Latency: 12345 * time.Microsecond},
			{Rule: "Run | shell", Action: "syscall.RunShell", Outcome: "missed", Priority: "Notice", File: "rules/a,b.yaml", Line: 7,
				Message: "missed: the rule did not fire\n  100% sure", Ran: 3 * time.Millisecond,
				Clause: &Place{File: "rules/macros.yaml", Line: 3, Column: 14},
				Alerts: []Alert{{Rule: "Another <rule>", Priority: "Notice", Output: "something & else"}}},
			{Action: "syscall.Slow", Outcome: "detected", Latency: 5200 * time.Millisecond, Correlation: "time", Attempts: 2},
			{Rule: "Run another", Action: "syscall.RunAnother", Outcome: "missed", File: "rules/a.yaml", Line: 9, Clause: &Place{File: "rules/macros.yaml", Line: 3, Column: 14}},
			{Rule: "Never", Action: "syscall.Never", Outcome: "missed", File: "rules/a.yaml", Line: 11, Message: "missed: the rule did not fire", Known: "its list is empty as shipped"},
			{Rule: "Quiet", Action: "quiet.yaml/near miss", Outcome: "silent"},
			{Rule: "Loud", Action: "loud.yaml/near miss", Outcome: "unexpected", File: "rules/a.yaml", Line: 9, Message: "unexpected: it fired"},
			{Rule: "Needs root", Action: "syscall.NeedsRoot", Outcome: "skipped", Reason: "not running as root"},
			{Rule: "Broken", Action: "syscall.Broken", Outcome: "trigger failed", Message: "trigger failed: ```no```"},
			{Rule: "Lost", Action: "syscall.Lost", Outcome: "inconclusive", Message: "inconclusive: events were dropped"},
		},
		Uncovered: []string{"Nobody acts for this one", "New without a baseline"},
		Unmet:     []Need{{Name: "root", Hint: "run the tests as root", Actions: []string{"syscall.NeedsRoot"}}},
		Verdicts: []Rule{
			{Name: "Write below etc", File: "rules/a.yaml", Line: 3, Priority: "Error", Tags: []string{"maturity_stable", "T1098", "TA0003"}, Outcome: "detected", Tests: []string{"syscall.WriteBelowEtc"},
				Clauses: []Clause{
					{Text: "fd.name startswith /etc/", File: "rules/a.yaml", Line: 5, Column: 9, EndLine: 5, EndColumn: 33, True: 4, False: 2},
					{Text: "proc.name in (vi, nano)", File: "rules/a.yaml", Line: 6, Column: 9, EndLine: 6, EndColumn: 32, False: 4},
					{Text: "proc.name in vi", Value: "vi", In: "list editors", File: "rules/a.yaml", Line: 1, Column: 9, EndLine: 1, EndColumn: 11},
				},
				Mutants: &Mutants{Judged: 9, Survivors: []Survivor{{What: "without vi in the list of proc.name in", In: "list editors", File: "rules/a.yaml", Line: 1, Column: 9}}}},
			{Name: "Run | shell", File: "rules/a,b.yaml", Line: 7, Priority: "Notice", Tags: []string{"T1059.004"}, Outcome: "missed"},
			{Name: "Sometimes", File: "rules/a.yaml", Line: 16, Priority: "Notice", Outcome: "flaky", Reason: "detected in 3 of 5 runs"},
			{Name: "Off", File: "rules/a.yaml", Line: 20, Priority: "Notice", Tags: []string{"T1098"}, Outcome: "disabled"},
		},
		Since: "origin/main (0123456789ab)",
		Changes: []Change{{Kind: "changed", Rule: "Run | shell", Why: "macro shell, rules/macros.yaml:2", File: "rules/a,b.yaml", Line: 7},
			{Kind: "added", Rule: "New without a baseline", Why: "new rule, rules/a.yaml:40", File: "rules/a.yaml", Line: 40}},
		Baseline: "testdata/falcotest.golden",
		Findings: []Finding{
			{Verdict: "regression", Rule: "Run | shell", Text: "was detected and is missed", Next: "mend the rule", File: "rules/a,b.yaml", Line: 7},
			{Verdict: "new rule", Rule: "New", Text: "is new and has no test", Next: "write one", File: "rules/a.yaml", Line: 30},
		},
		Warnings: []string{"rules/a.yaml:3:1: LOAD_UNUSED_LIST: list \"x\""},
	}
}

// broken is the report of rules that do not load.
func broken() *Report {
	return &Report{
		Package: "example.org/rules", Test: "TestBroken", Judge: "nobody",
		Problems: []Problem{{Code: "LOAD_ERR_COMPILE_CONDITION", Item: `rule "A"`, Message: "expected an operator\n    fd.name x\n            ^", File: "rules/a.yaml", Line: 4, Column: 9}},
	}
}

func TestGolden(t *testing.T) {
	r, d := sample(), NewDocument(sample(), broken())
	for name, write := range map[string]func(io.Writer) error{
		"table.txt": r.Text, "annotations.txt": r.Annotations, "report.md": d.Markdown, "report.json": d.JSON,
		"report.xml": d.JUnit, "report.sarif": d.SARIF, "report.codequality.json": d.CodeQuality, "report.navigator.json": d.Navigator,
		"report.cov": d.CoverProfile, "report.html": d.HTML,
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

func TestJSONReadsBack(t *testing.T) {
	var b bytes.Buffer
	if err := NewDocument(sample(), broken()).JSON(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(NewDocument(sample(), broken()), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Read(strings.NewReader(`{"version": 99}`)); err == nil || !strings.Contains(err.Error(), "it is of version 99") {
		t.Errorf("a later version: %v", err)
	}
}

func TestNothingRan(t *testing.T) {
	if got := new(Report).Totals(); got != "nothing ran" {
		t.Errorf("got %q", got)
	}
}
