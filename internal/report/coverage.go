// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Group is how many of some rules a test detected.
type Group struct {
	Name     string
	Detected int
	Of       int // without those that are disabled
	Rules    []Rule
}

// Percent is the part that was detected.
func (g Group) Percent() int {
	if g.Of == 0 {
		return 0
	}
	return 100 * g.Detected / g.Of
}

var technique = regexp.MustCompile(`^(T\d{4}(\.\d{3})?|TA\d{4})$`)

// The ways to group rules.
func byFile(r Rule) []string     { return []string{r.File} }
func byPriority(r Rule) []string { return []string{r.Priority} }

func byMaturity(r Rule) []string {
	for _, tag := range r.Tags {
		if m, ok := strings.CutPrefix(tag, "maturity_"); ok {
			return []string{m}
		}
	}
	return nil
}

func byTechnique(r Rule) []string {
	var list []string
	for _, tag := range r.Tags {
		if technique.MatchString(tag) {
			list = append(list, tag)
		}
	}
	return list
}

// group counts the rules by what a function says of each; rules of which it says
// nothing are left out.
func group(rules []Rule, of func(Rule) []string) []Group {
	at := map[string]int{}
	var list []Group
	for _, r := range rules {
		for _, name := range of(r) {
			i, ok := at[name]
			if !ok {
				i = len(list)
				at[name] = i
				list = append(list, Group{Name: name})
			}
			g := &list[i]
			g.Rules = append(g.Rules, r)
			if r.Outcome == "disabled" {
				continue
			}
			g.Of++
			if r.Outcome == "detected" {
				g.Detected++
			}
		}
	}
	slices.SortFunc(list, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Navigator writes a layer for the ATT&CK Navigator, in version 4.5 of its format
// (layers/LAYERFORMATv4_5.md in mitre-attack/attack-navigator): each technique that
// the rules' tags name, scored by the part of its rules that a test detects.
func (d *Document) Navigator(w io.Writer) error {
	type m = map[string]any
	techniques := []any{}
	for _, g := range group(d.rules(), byTechnique) {
		if strings.HasPrefix(g.Name, "TA") {
			continue // a tactic is no technique
		}
		var comment []string
		for _, r := range g.Rules {
			comment = append(comment, fmt.Sprintf("%s: %s", r.Name, r.Outcome))
		}
		t := m{"techniqueID": g.Name, "enabled": true, "comment": strings.Join(comment, "\n"), "showSubtechniques": strings.Contains(g.Name, ".")}
		if g.Of > 0 {
			t["score"] = g.Percent()
		}
		techniques = append(techniques, t)
	}
	layer := m{
		"name": "Falco rules under test", "description": "The part of the rules for a technique that a test detects, in percent.",
		"domain":     "enterprise-attack",
		"versions":   m{"layer": "4.5", "navigator": "5.1.0"},
		"techniques": techniques,
		"gradient":   m{"colors": []string{"#d73027", "#fee08b", "#1a9850"}, "minValue": 0, "maxValue": 100},
		"legendItems": []any{
			m{"label": "no rule detected", "color": "#d73027"}, m{"label": "all rules detected", "color": "#1a9850"},
		},
		"hideDisabled": false,
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(layer)
}

// CoverProfile writes which clauses of the rules were tested in the form of a Go
// cover profile ("mode: count"): a block a clause, that counts how often the clause
// decided in the way that was seen the least, so that one that never decided by being
// false is shown as not covered.
func (d *Document) CoverProfile(w io.Writer) error {
	type block struct {
		file                                string
		line, column, endLine, endColumn, n int
	}
	count := map[block]int{}
	var order []block
	for _, r := range d.rules() {
		for _, c := range r.Clauses {
			if c.File == "" || c.Line == 0 {
				continue
			}
			b := block{filepath.ToSlash(c.File), c.Line, c.Column, c.EndLine, c.EndColumn, 1}
			if b.endLine < b.line || b.endLine == b.line && b.endColumn <= b.column {
				b.endLine, b.endColumn = b.line, b.column+1
			}
			n := c.True
			if c.Value == "" {
				n = min(c.True, c.False)
			}
			if _, ok := count[b]; !ok {
				order = append(order, b)
			}
			count[b] += n
		}
	}
	if _, err := fmt.Fprintln(w, "mode: count"); err != nil {
		return err
	}
	for _, b := range order {
		if _, err := fmt.Fprintf(w, "%s:%d.%d,%d.%d %d %d\n", b.file, b.line, b.column, b.endLine, b.endColumn, b.n, count[b]); err != nil {
			return err
		}
	}
	return nil
}
