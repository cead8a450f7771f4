// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gate"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// manyRules are files with so many rules, of the size and the kinds that Falco ships:
// those of one file share macros and lists. The number says what they mean.
func manyRules(n, meaning int) []rules.File {
	const each = 100
	var files []rules.File
	for f := range n / each {
		var b strings.Builder
		fmt.Fprintf(&b, "- list: programs_%d\n  items: [", f)
		for i := range 40 {
			fmt.Fprintf(&b, "program-%d, ", f+i)
		}
		b.WriteString("sh]\n")
		fmt.Fprintf(&b, "- macro: writes_%d\n  condition: (evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.typechar = f and fd.num >= %d)\n", f, meaning)
		fmt.Fprintf(&b, "- macro: trusted_%d\n  condition: (proc.pname in (programs_%d) or proc.aname[2] = systemd or (user.uid = 0 and proc.tty = 0))\n", f, f)
		for i := range each {
			fmt.Fprintf(&b, `
- rule: Rule %d of file %d
  desc: A file in a folder of its own is written by a program that has no business there.
  condition: >
    writes_%d and (fd.name startswith /etc/%d/ or fd.name startswith /usr/lib/%d/ or fd.filename in (a.conf, b-%d.conf, c.conf))
    and not trusted_%d and not proc.name in (programs_%d, vi, nano)
    and not (proc.cmdline contains "--upgrade %d" and fd.name endswith .new)
  output: File written | file=%%fd.name by=%%proc.name command=%%proc.cmdline parent=%%proc.pname user=%%user.name exe=%%proc.exepath
  priority: WARNING
  tags: [maturity_sandbox, host, container, filesystem, mitre_persistence, T1%03d]
  exceptions:
    - name: known
      fields: [proc.name, fd.directory]
      comps: [=, startswith]
      values:
        - [tool-%d, /etc/%d]
        - [other, /srv]
`, i, f, f, i, i, i, f, f, i, i, i, i)
		}
		files = append(files, rules.File{Name: fmt.Sprintf("rules/%03d.yaml", f), Data: []byte(b.String())})
	}
	return files
}

// BenchmarkTenThousandRules is what the gate does for a change of as many rules:
// both sets are loaded and compared, the outcomes with a baseline, and all reports
// are written. All of the rules changed.
func BenchmarkTenThousandRules(b *testing.B) {
	const n = 10_000
	opts := rules.Options{Sources: []filter.Source{fields.New()}}
	before, now := manyRules(n, 0), manyRules(n, 1)
	for b.Loop() {
		percent := debug.SetGCPercent(40) // as package falcotest does meanwhile
		sets := make([]*rules.Set, 2)
		for i, files := range [][]rules.File{before, now} {
			set, err := rules.LoadFiles(b.Context(), files, opts)
			if err != nil {
				b.Fatalf("%+v", err)
			}
			sets[i] = set
		}
		changes := gate.Compare(sets[0], sets[1])
		sets[0] = nil
		debug.SetGCPercent(percent)
		if len(changes) != n {
			b.Fatalf("%d rules changed", len(changes))
		}
		rep := &report.Report{Package: "example.org/rules", Test: "TestRules", Since: "origin/main"}
		for _, c := range changes {
			rep.Changes = append(rep.Changes, report.Change{Kind: string(c.Kind), Rule: c.Rule, Why: c.Why(), File: c.Pos.File, Line: c.Pos.Line})
		}
		var was, is []gate.Entry
		for _, r := range sets[1].Rules {
			e := gate.Entry{Rule: r.Name, Outcome: gate.Missed, Priority: r.Priority.String(), Tags: r.Tags, Likeness: gate.Likeness(r), File: r.Pos.File, Line: r.Pos.Line, Tests: []string{"a test"}}
			is = append(is, e)
			e.Outcome = gate.Detected
			was = append(was, e)
			rep.Rows = append(rep.Rows, report.Row{Rule: r.Name, Action: "a test", Outcome: e.Outcome, Priority: e.Priority, File: e.File, Line: e.Line})
			rep.Verdicts = append(rep.Verdicts, report.Rule{Name: r.Name, File: e.File, Line: e.Line, Priority: e.Priority, Tags: e.Tags, Outcome: e.Outcome, Tests: e.Tests})
		}
		text := (&gate.Baseline{Entries: was}).Bytes()
		baseline, err := gate.ParseBaseline("falcotest.golden", text)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range baseline.Compare(is, func(string) bool { return true }) {
			rep.Findings = append(rep.Findings, report.Finding{Verdict: string(f.Verdict), Rule: f.Rule, Text: f.Text, Next: f.Next, File: f.File, Line: f.Line})
		}
		dir := b.TempDir()
		var files []string
		for _, end := range []string{"json", "md", "html", "xml", "sarif", "cov", "codequality.json", "navigator.json"} {
			files = append(files, filepath.Join(dir, "report."+end))
		}
		if err := report.NewDocument(rep).Write(files...); err != nil {
			b.Fatal(err)
		}
		runtime.KeepAlive(sets[1])
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-from-system")
}
