// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// finding is something to show at a place in a rules file.
type finding struct {
	id, level, text string // level: error, warning, note
	rule            string
	file            string
	line, column    int
}

// findings lists what a document has to say at places in rules files, the worst
// first.
func (d *Document) findings() []finding {
	var list []finding
	for _, r := range d.Runs {
		for _, p := range r.Problems {
			list = append(list, finding{"rules-do-not-load", "error", p.Message, p.Item, p.File, p.Line, p.Column})
		}
		for _, n := range r.Nodes {
			if n.Problem != "" {
				list = append(list, finding{"node-not-judged", "warning", fmt.Sprintf("the node %s was not judged: %s", n.Name, n.Problem), "", "", 0, 0})
			}
		}
		told := map[[2]string]bool{} // on nodes the same is found many times
		for _, row := range r.Rows {
			if row.Node != "" {
				key := [2]string{row.Action, row.Shown()}
				if told[key] {
					continue
				}
				told[key] = true
				row.Message = strings.TrimSpace(r.lineOf(row.Rule) + "\n" + cmp.Or(row.Message, row.headline()))
			}
			file, line, column := row.place()
			switch row.Shown() {
			case "missed", "unexpected":
				list = append(list, finding{row.Outcome, "error", cmp.Or(row.Message, row.headline()), row.Rule, file, line, column})
			case "trigger failed", "inconclusive":
				list = append(list, finding{strings.ReplaceAll(row.Outcome, " ", "-"), "warning", cmp.Or(row.Message, row.headline()), row.Rule, file, line, column})
			}
		}
		for _, f := range r.Findings {
			switch f.Verdict {
			case "regression":
				list = append(list, finding{"regression", "error", f.Text + ". Next: " + f.Next, f.Rule, f.File, f.Line, 0})
			case "renamed":
				list = append(list, finding{"renamed", "warning", f.Text + ". Next: " + f.Next, f.Rule, f.File, f.Line, 0})
			case "new rule":
				if strings.Contains(f.Text, "no test") {
					list = append(list, finding{"untested-new-rule", "warning", f.Text + ". Next: " + f.Next, f.Rule, f.File, f.Line, 0})
				}
			}
		}
	}
	for _, r := range d.Runs {
		for _, c := range r.Changes {
			told := slices.ContainsFunc(list, func(f finding) bool { return f.id == "untested-new-rule" && f.rule == c.Rule && f.file == c.File })
			if c.Kind == "added" && slices.Contains(r.Uncovered, c.Rule) && !told {
				list = append(list, finding{"untested-new-rule", "warning", "is new and has no test. Next: write a test beside it, or an action for it", c.Rule, c.File, c.Line, 0})
			}
		}
	}
	for _, r := range d.rules() {
		if r.Outcome == "flaky" {
			list = append(list, finding{"flaky", "warning", "flaky: " + r.Reason, r.Name, r.File, r.Line, 0})
		}
		if r.Mutants == nil {
			continue
		}
		for _, s := range r.Mutants.Survivors {
			list = append(list, finding{"surviving-mutant", "note",
				fmt.Sprintf("no test of the rule %q would notice this fault: %s", r.Name, s.What), r.Name, s.File, s.Line, s.Column})
		}
	}
	levels := []string{"error", "warning", "note"}
	slices.SortStableFunc(list, func(a, b finding) int { return slices.Index(levels, a.level) - slices.Index(levels, b.level) })
	return list
}

// fingerprint tells findings from each other whatever the lines are.
func (f finding) fingerprint() string {
	sum := sha256.Sum256([]byte(f.id + "\x00" + f.rule + "\x00" + filepath.ToSlash(f.file) + "\x00" + firstLine(f.text)))
	return hex.EncodeToString(sum[:16])
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

var sarifRules = []struct{ id, text string }{
	{"missed", "The action of a rule ran, and the rule did not fire."},
	{"unexpected", "A rule fired that must not, or its alert is not what a test expects."},
	{"unexpected", "A rule fired where it must not, or not as is expected."},
	{"trigger-failed", "The action of a rule failed, which says nothing of the rule."},
	{"inconclusive", "It could not be found out whether a rule fired."},
	{"node-not-judged", "A node of the cluster could not be judged, which says nothing of the rules."},
	{"rules-do-not-load", "A rules file is wrong, so that nothing was judged."},
	{"regression", "A rule is worse than what was accepted."},
	{"renamed", "A rule has another name, under which its alerts will come."},
	{"untested-new-rule", "A rule is new and has no test."},
	{"flaky", "A rule is detected in some runs and missed in others."},
	{"surviving-mutant", "A fault in a rule that no test would notice."},
}

// SARIF writes the findings as SARIF 2.1.0 (an OASIS standard), for code scanning:
// each at its line of a rules file.
func (d *Document) SARIF(w io.Writer) error {
	type m = map[string]any
	var rules, results []any
	index := map[string]int{}
	for i, r := range sarifRules {
		index[r.id] = i
		rules = append(rules, m{"id": r.id, "name": r.id, "shortDescription": m{"text": r.text}, "helpUri": helpURI})
	}
	for _, f := range d.findings() {
		result := m{
			"ruleId": f.id, "ruleIndex": index[f.id], "level": f.level,
			"message":             m{"text": strings.TrimSpace(f.text)},
			"partialFingerprints": m{"falcotest/v1": f.fingerprint()},
		}
		if f.file != "" {
			region := m{"startLine": max(f.line, 1)}
			if f.column > 0 {
				region["startColumn"] = f.column
			}
			artifact := m{"uri": (&url.URL{Path: filepath.ToSlash(f.file)}).String()}
			if !filepath.IsAbs(f.file) {
				artifact["uriBaseId"] = "%SRCROOT%"
			} else {
				artifact["uri"] = (&url.URL{Scheme: "file", Path: filepath.ToSlash(f.file)}).String()
			}
			result["locations"] = []any{m{"physicalLocation": m{"artifactLocation": artifact, "region": region}}}
		}
		results = append(results, result)
	}
	if results == nil {
		results = []any{}
	}
	log := m{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": []any{m{
			"tool":              m{"driver": m{"name": "falcotest", "informationUri": helpURI, "rules": rules}},
			"columnKind":        "unicodeCodePoints",
			"results":           results,
			"automationDetails": m{"id": "falcotest/"},
		}},
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(log)
}

const helpURI = "https://github.com/falcotest/go-falcotest"

// CodeQuality writes the findings as GitLab's code quality report: a list of issues
// that its merge requests show at their lines.
func (d *Document) CodeQuality(w io.Writer) error {
	type m = map[string]any
	severity := map[string]string{"error": "major", "warning": "minor", "note": "info"}
	issues := []any{}
	for _, f := range d.findings() {
		if f.file == "" {
			continue // GitLab takes none without a place
		}
		text := firstLine(f.text)
		if f.rule != "" && !strings.Contains(text, f.rule) {
			text = f.rule + ": " + text
		}
		issues = append(issues, m{
			"description": text, "check_name": f.id, "fingerprint": f.fingerprint(), "severity": severity[f.level],
			"location": m{"path": filepath.ToSlash(f.file), "lines": m{"begin": max(f.line, 1)}},
		})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(issues)
}
