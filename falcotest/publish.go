// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/filelock"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// report makes the report of a run.
func (s *Session) report(test string, results []*Result, messages map[*Result]string) *report.Report {
	rep := &report.Report{
		Package: packageName(), Test: test, Started: s.started,
		Judge: s.describe(), Rules: s.files, Warnings: s.warnings(), Elapsed: s.elapsed(),
	}
	unmet := make(map[string]*report.Need)
	for _, r := range results {
		if r.Outcome == Detected && r.Shadow != nil {
			rep.Warnings = append(rep.Warnings, fmt.Sprintf("%s: %s", r.Position, r.shadowLine()))
		}
		row := report.Row{
			Rule: r.Rule, Action: r.Action, Outcome: r.Outcome.String(), Priority: r.Priority,
			Correlation: r.Correlation, Latency: r.Latency, Ran: r.Ran, Attempts: r.Attempts, Reason: r.Reason,
			File: r.Position.File, Line: r.Position.Line, Message: messages[r], Known: s.accepted(r),
		}
		if what, pos := r.culprit(); what != "" {
			row.Clause = &report.Place{File: pos.File, Line: pos.Line, Column: pos.Column}
		}
		for i, a := range r.alerts {
			if i == maxAlerts {
				break
			}
			row.Alerts = append(row.Alerts, report.Alert{Rule: a.Rule, Priority: a.Priority.String(), Output: a.Output})
		}
		rep.Rows = append(rep.Rows, row)
		if r.need.Name != "" {
			n := unmet[r.need.Name]
			if n == nil {
				n = &report.Need{Name: r.need.Name, Hint: r.need.Hint}
				unmet[r.need.Name] = n
			}
			n.Actions = append(n.Actions, r.Action)
		}
	}
	for _, name := range sortedKeys(unmet) {
		rep.Unmet = append(rep.Unmet, *unmet[name])
	}
	if advice := s.backend.advice(); advice != "" {
		rep.Warnings = append(rep.Warnings, advice)
	}
	for _, rule := range s.uncovered {
		rep.Uncovered = append(rep.Uncovered, rule.Name)
	}
	return rep
}

// maxAlerts is how many alerts of an action reports show.
const maxAlerts = 20

// packageName is the path of the package that is tested.
func packageName() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" {
		return strings.TrimSuffix(info.Path, ".test")
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".test")
}

// reportProblems writes the reports of a run that the rules kept from beginning.
func (c *settings) reportProblems(t testing.TB, files []string, load *rules.Error) {
	t.Helper()
	rep := &report.Report{Package: packageName(), Test: t.Name(), Started: time.Now(), Judge: "nobody, since the rules do not load", Rules: files}
	for _, p := range load.Problems {
		msg := p.Msg
		if p.Hint != "" {
			msg += " (" + p.Hint + ")"
		}
		if p.Snippet != "" {
			msg += "\n" + p.Snippet
		}
		rep.Problems = append(rep.Problems, report.Problem{Code: string(p.Code), Item: p.Item, Message: msg, File: p.Pos.File, Line: p.Pos.Line, Column: p.Pos.Column})
	}
	if err := c.publish(rep); err != nil {
		t.Errorf("writing the report: %v", err)
	}
}

// publish writes the reports that are asked for, GitHub's annotations and its job
// summary.
func (c *settings) publish(rep *report.Report) error {
	relocate(rep)
	var errs []error
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		errs = append(errs, rep.Annotations(os.Stdout))
		if file := os.Getenv("GITHUB_STEP_SUMMARY"); file != "" {
			errs = append(errs, appendSummary(file, rep))
		}
	}
	if len(c.report) > 0 {
		errs = append(errs, publishTogether(c.report, rep))
	}
	return errors.Join(errs...)
}

// appendSummary adds the report to a job's summary, in one write.
func appendSummary(file string, rep *report.Report) error {
	var b bytes.Buffer
	if err := rep.Markdown(&b); err != nil {
		return err
	}
	b.WriteString("\n")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	return errors.Join(err, f.Close())
}

// publishTogether writes the reports of all packages that this go test has run so
// far, this one included.
func publishTogether(files []string, rep *report.Report) (err error) {
	dir := files[0] + ".parts"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := filelock.Wait(ctx, lock); err != nil {
		return fmt.Errorf("waiting for another package to write its report: %w", err)
	}
	doc, err := report.Parts{Dir: dir, Run: goTest()}.Add(rep)
	if err != nil {
		return err
	}
	return doc.Write(files...)
}

// goTest tells one run of go test from another: it is the process that started
// this one, which starts the test binaries of all its packages.
func goTest() string { return strconv.Itoa(os.Getppid()) }

// relocate makes the paths in a report those below the root of the checkout, by
// which CI systems find files.
func relocate(rep *report.Report) {
	root := checkout()
	in := func(file *string) { *file = below(root, *file) }
	for i := range rep.Rows {
		in(&rep.Rows[i].File)
		if c := rep.Rows[i].Clause; c != nil {
			in(&c.File)
		}
	}
	for i := range rep.Verdicts {
		r := &rep.Verdicts[i]
		in(&r.File)
		for k := range r.Clauses {
			in(&r.Clauses[k].File)
		}
		if r.Mutants != nil {
			for k := range r.Mutants.Survivors {
				in(&r.Mutants.Survivors[k].File)
			}
		}
	}
	for i := range rep.Findings {
		in(&rep.Findings[i].File)
	}
	for i := range rep.Changes {
		in(&rep.Changes[i].File)
	}
	for i := range rep.Problems {
		in(&rep.Problems[i].File)
	}
}

// checkout is the root of the repository that is checked: what the CI system says,
// or the nearest folder above with a .git.
func checkout() string {
	for _, name := range []string{"GITHUB_WORKSPACE", "CI_PROJECT_DIR"} {
		if dir := os.Getenv(name); dir != "" {
			return dir
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return ""
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return wd
		}
	}
}

// below is a file's path below a folder, or as it was for one that is elsewhere.
func below(root, file string) string {
	abs, err := filepath.Abs(file)
	if file == "" || root == "" || err != nil {
		return file
	}
	rel, err := filepath.Rel(root, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return file
	}
	return filepath.ToSlash(rel)
}
