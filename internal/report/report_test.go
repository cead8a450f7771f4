// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sample() *Report {
	return &Report{
		Judge: "Falco 0.43.1 at /usr/bin/falco",
		Rules: []string{"rules/a.yaml"},
		Rows: []Row{
			{Rule: "Write below etc", Action: "syscall.WriteBelowEtc", Outcome: "detected", Priority: "Error", Correlation: "environment", Latency: 12345 * time.Microsecond},
			{Rule: "Run | shell", Action: "syscall.RunShell", Outcome: "missed", Priority: "Notice", File: "rules/a,b.yaml", Line: 7,
				Message: "missed: the rule did not fire\n  100% sure"},
			{Action: "syscall.Slow", Outcome: "detected", Latency: 5200 * time.Millisecond, Correlation: "time"},
			{Rule: "Needs root", Action: "syscall.NeedsRoot", Outcome: "skipped", Reason: "not running as root"},
			{Rule: "Broken", Action: "syscall.Broken", Outcome: "trigger failed", Message: "trigger failed: ```no```"},
			{Rule: "Lost", Action: "syscall.Lost", Outcome: "inconclusive", Message: "inconclusive: events were dropped"},
		},
		Uncovered: []string{"Nobody acts for this one"},
		Unmet:     []Need{{Name: "root", Hint: "run the tests as root", Actions: []string{"syscall.NeedsRoot"}}},
		Warnings:  []string{"rules/a.yaml:3:1: LOAD_UNUSED_LIST: list \"x\""},
	}
}

func TestGolden(t *testing.T) {
	r := sample()
	for name, write := range map[string]func(io.Writer) error{
		"table.txt": r.Text, "report.md": r.Markdown, "report.json": r.JSON, "annotations.txt": r.Annotations,
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
	if err := sample().JSON(&b); err != nil {
		t.Fatal(err)
	}
	got := new(Report)
	if err := json.Unmarshal(b.Bytes(), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingRan(t *testing.T) {
	if got := new(Report).Totals(); got != "nothing ran" {
		t.Errorf("got %q", got)
	}
}
