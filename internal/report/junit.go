// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// The elements of JUnit's XML as CI systems read it: Jenkins, GitLab, GitHub's
// reporters. Failures are verdicts on rules; errors say nothing of them.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Failure   *junitMessage `xml:"failure"`
		Error     *junitMessage `xml:"error"`
		Skipped   *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// JUnit writes the document as JUnit's XML: a suite a run, a case a test. A miss, a
// regression and rules that do not load are failures; a trigger that failed and what
// is inconclusive are errors; what was skipped says why.
func (d *Document) JUnit(w io.Writer) error {
	all := junitSuites{Name: "falcotest"}
	var elapsed time.Duration
	for _, r := range d.Runs {
		s := junitSuite{Name: strings.TrimSpace(r.Package + " " + r.Test), Time: seconds(r.Elapsed)}
		if !r.Started.IsZero() {
			s.Timestamp = r.Started.UTC().Format("2006-01-02T15:04:05")
		}
		s.Properties = []junitProperty{{"judge", r.Judge}}
		for _, row := range r.Rows {
			c := junitCase{Name: row.name(), ClassName: cmp.Or(row.Rule, "falcotest"), Time: seconds(row.Ran), File: row.File, Line: row.Line}
			m := &junitMessage{Message: row.headline(), Type: row.Outcome, Text: row.Message}
			switch row.Shown() {
			case "known miss":
				c.Skipped = &junitMessage{Message: "known miss: " + row.Known}
			case "missed", "unexpected":
				c.Failure = m
			case "trigger failed", "inconclusive":
				c.Error = m
			case "skipped":
				m.Type, m.Text = "", ""
				c.Skipped = m
			}
			s.Cases = append(s.Cases, c)
		}
		for _, n := range r.Nodes {
			if n.Problem != "" {
				s.Cases = append(s.Cases, junitCase{Name: n.Name, ClassName: "nodes", Time: seconds(0),
					Error: &junitMessage{Message: firstLine(n.Problem), Type: "inconclusive", Text: n.Problem}})
			}
		}
		for _, p := range r.Problems {
			s.Cases = append(s.Cases, junitCase{Name: p.Code + " " + p.Item, ClassName: "rules", Time: seconds(0), File: p.File, Line: p.Line,
				Failure: &junitMessage{Message: p.Message, Type: "rules do not load", Text: p.Message}})
		}
		for _, f := range r.Findings {
			if f.Verdict == "regression" {
				s.Cases = append(s.Cases, junitCase{Name: "baseline: " + f.Rule, ClassName: f.Rule, Time: seconds(0), File: f.File, Line: f.Line,
					Failure: &junitMessage{Message: f.Text, Type: f.Verdict, Text: f.Next}})
			}
		}
		for _, rule := range r.Verdicts {
			if rule.Outcome == "flaky" {
				s.Cases = append(s.Cases, junitCase{Name: "flaky: " + rule.Name, ClassName: rule.Name, Time: seconds(0), File: rule.File, Line: rule.Line,
					Error: &junitMessage{Message: rule.Reason, Type: "flaky"}})
			}
		}
		for i := range s.Cases {
			c := &s.Cases[i]
			for _, m := range []*junitMessage{c.Failure, c.Error, c.Skipped} {
				if m != nil {
					m.Message, m.Text = printable(m.Message), printable(m.Text)
				}
			}
			c.Name, c.ClassName = printable(c.Name), printable(c.ClassName)
			s.Tests++
			switch {
			case c.Failure != nil:
				s.Failures++
			case c.Error != nil:
				s.Errors++
			case c.Skipped != nil:
				s.Skipped++
			}
		}
		all.Suites = append(all.Suites, s)
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
		elapsed += r.Elapsed
	}
	all.Time = seconds(elapsed)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// printable leaves out what XML 1.0 cannot hold.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r >= ' ' && r != 0xfffe && r != 0xffff && r != utf8.RuneError {
			return r
		}
		return '.'
	}, s)
}
