// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Mutant is a rule's condition with one fault put into it.
type Mutant struct {
	Rule *rules.Rule
	// What was done, in words: "without proc.name = cat".
	What string
	Pos  filter.Pos // of the clause

	expr *filter.Expr
}

// Mutants makes the mutants of a rule: each check of its condition left out, turned
// into its opposite, and its constant changed or taken out of its list. A check
// that a macro brings in at several places is changed in all of them.
func Mutants(r *rules.Rule) []*Mutant {
	m := mutator{rule: r}
	seen := map[*filter.Expr]bool{}
	r.Expr.Walk(func(e *filter.Expr) bool {
		if e.Kind == filter.Check && !seen[e] && !settled(e) {
			seen[e] = true
			m.mutate(e)
		}
		return true
	})
	return m.list
}

// settled tells whether a check comes out alike for all events, so that no test could
// notice a fault in it: one with a list that has no items, and those that rules files
// have for always and never (evt.num counts from 1, and each audit event has a time).
func settled(e *filter.Expr) bool {
	switch {
	case e.Right == nil:
		return e.Left.Field == "jevt.rawtime"
	case !e.Right.Const:
		return false
	case len(e.Right.Values) == 0:
		return true
	}
	return (e.Left.Field == "evt.num" || e.Left.Field == "jevt.rawtime") && len(e.Right.Values) == 1 && e.Right.Values[0] == "0"
}

type mutator struct {
	rule *rules.Rule
	list []*Mutant
}

func (m *mutator) mutate(e *filter.Expr) {
	text := shorten(e.String())
	if e.Left.Field == "evt.type" && e.Left.Arg == "" {
		// What events a rule is for is worked out before it is evaluated; a rule
		// without it is none.
		m.items(e)
		return
	}
	if dropped := without(m.rule.Expr, e); dropped != nil {
		m.add(e, dropped, "without "+text)
	}
	m.add(e, replace(m.rule.Expr, e, &filter.Expr{Kind: filter.Not, Children: []*filter.Expr{e}, Text: e.Text, Off: e.Off, End: e.End}), "not "+text)
	m.items(e)
}

// items changes the constants of a check.
func (m *mutator) items(e *filter.Expr) {
	if e.Right == nil || !e.Right.Const || len(e.Right.Values) == 0 {
		return
	}
	if n := len(e.Right.Values); n > 1 {
		if n > maxMutatedItems {
			return
		}
		for i, v := range e.Right.Values {
			c := *e
			c.Right = e.Right.Without(i)
			mut := m.add(e, replace(m.rule.Expr, e, &c), fmt.Sprintf("without %s in the list of %s %s", filter.Escape(v), e.Left, e.Op))
			mut.Pos = e.Right.ValuePos(i)
		}
		return
	}
	v, ok := altered(e.Right.Values[0])
	if !ok || e.Left.Field == "evt.type" {
		return
	}
	c := *e
	c.Right = e.Right.With(v)
	m.add(e, replace(m.rule.Expr, e, &c), fmt.Sprintf("%s %s %s", e.Left, e.Op, filter.Escape(v)))
}

// maxMutatedItems bounds the lists whose items are taken out one by one.
const maxMutatedItems = 64

// altered is a constant that is another one of the same kind.
func altered(v string) (string, bool) {
	switch strings.ToLower(v) {
	case "true":
		return "false", true
	case "false":
		return "true", true
	case "":
		return "x", true
	}
	if n, err := strconv.ParseInt(v, 0, 64); err == nil {
		return strconv.FormatInt(n+1, 10), true
	}
	if strings.ContainsAny(v, "[](){}^$\\|+") || strings.Count(v, ".") == 3 || strings.Count(v, ":") > 1 {
		return "", false // a regular expression, an address: another one may not be one
	}
	return v + "~", true
}

func (m *mutator) add(e, expr *filter.Expr, what string) *Mutant {
	mut := &Mutant{Rule: m.rule, What: what, Pos: e.Pos(), expr: expr}
	m.list = append(m.list, mut)
	return mut
}

// replace returns a condition in which one check is another. Parts without it are
// shared with the condition.
func replace(e, check, by *filter.Expr) *filter.Expr {
	if e == check {
		return by
	}
	var out *filter.Expr
	for i, c := range e.Children {
		if n := replace(c, check, by); n != c {
			if out == nil {
				o := *e
				o.Children = slices.Clone(e.Children)
				out = &o
			}
			out.Children[i] = n
		}
	}
	if out == nil {
		return e
	}
	return out
}

// without returns a condition that does not ask for one check: nil when nothing
// else is left.
func without(e, check *filter.Expr) *filter.Expr {
	if e == check {
		return nil
	}
	if len(e.Children) == 0 {
		return e
	}
	kids := make([]*filter.Expr, 0, len(e.Children))
	changed := false
	for _, c := range e.Children {
		n := without(c, check)
		changed = changed || n != c
		if n != nil {
			kids = append(kids, n)
		}
	}
	switch {
	case !changed:
		return e
	case len(kids) == 0:
		return nil
	case len(kids) == 1 && (e.Kind == filter.And || e.Kind == filter.Or):
		return kids[0]
	}
	out := *e
	out.Children = kids
	return &out
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "…"
	}
	return s
}

// Test is what a test of a rule did, and what the rule has to make of it.
type Test struct {
	Name   string
	Events []any // in their order
	Fires  bool  // it has to fire for at least one; otherwise for none
}

// Survivors returns the mutants of a rule that no test tells from the rule: the
// condition may have such a fault, and no test would fail. All mutants that can be
// judged are counted. Tests that the rule itself does not pass tell nothing and are
// left out. An error means that the rule does not compile for the source.
func Survivors(src filter.Source, r *rules.Rule, tests []Test) (survivors []*Mutant, judged int, err error) {
	c := filter.NewCompiler(src)
	original, err := c.Add(r.Expr)
	if err != nil {
		return nil, 0, fmt.Errorf("mutating rule %q: %w", r.Name, err)
	}
	type compiled struct {
		*Mutant
		cond filter.Cond
	}
	var mutants []compiled
	for _, m := range Mutants(r) {
		res, err := c.Add(m.expr)
		if err != nil || len(res.Unsupported) > 0 || res.Cond == original.Cond {
			continue // no condition at all, or the same one
		}
		mutants = append(mutants, compiled{m, res.Cond})
	}
	machine := c.Program().NewMachine()
	fires := make([]bool, len(mutants))
	killed := make([]bool, len(mutants))
	for _, test := range tests {
		clear(fires)
		itself := false
		for _, ev := range test.Events {
			machine.Reset(ev)
			itself = itself || machine.Eval(original.Cond)
			for i, m := range mutants {
				if !killed[i] && !fires[i] {
					fires[i] = machine.Eval(m.cond)
				}
			}
		}
		if itself != test.Fires {
			continue
		}
		for i := range mutants {
			killed[i] = killed[i] || fires[i] != test.Fires
		}
	}
	for i, m := range mutants {
		if !killed[i] {
			survivors = append(survivors, m.Mutant)
		}
	}
	return survivors, len(mutants), nil
}
