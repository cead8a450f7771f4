// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Kind is what became of a rule between two sets.
type Kind string

// The kinds of changes.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Renamed Kind = "renamed" // and perhaps changed besides
	Changed Kind = "changed"
)

// Aspect is a side of a rule that a change is of.
type Aspect string

// The aspects. Two rules that are alike in all of them mean the same.
const (
	Condition Aspect = "condition" // exceptions included
	Output    Aspect = "output"
	Priority  Aspect = "priority"
	Tags      Aspect = "tags"
	Enabled   Aspect = "enabled"
	Source    Aspect = "source"
	Order     Aspect = "order" // which rules come before it, and may shadow it
)

// Change is what a rule means now that it did not mean before.
type Change struct {
	Kind Kind
	Rule string // its name; before its removal, for a rule that is gone
	From string // the name before, of a renamed rule
	Pos  filter.Pos

	Differences []Difference
}

// Difference is one aspect that changed.
type Difference struct {
	Aspect   Aspect
	From, To string // in words; the condition by its meaning
	Origins  []Origin
}

// Origin is the part of the rules files by which a condition changed, or for
// Order the rule that now comes before.
type Origin struct {
	Kind string // rule, macro, list, exception
	Name string
	Pos  filter.Pos // where it stands now, or stood if it is gone
	Gone bool       // it is no longer part of the rule
}

// String is "macro open_write, rules/macros.yaml:12".
func (o Origin) String() string {
	s := o.Kind + " " + o.Name
	if o.Kind == "rule" {
		s = "its own text"
	}
	if o.Pos.File != "" {
		s += fmt.Sprintf(", %s:%d", o.Pos.File, o.Pos.Line)
	}
	if o.Gone {
		s += " (no longer part of it)"
	}
	return s
}

// Why says in a few words what changed, for the person who asks why a test runs:
// "macro open_write, rules/macros.yaml:12; priority Warning, was Error".
func (c Change) Why() string {
	var list []string
	switch c.Kind {
	case Added:
		return fmt.Sprintf("new rule, %s:%d", c.Pos.File, c.Pos.Line)
	case Removed:
		return fmt.Sprintf("removed, it was at %s:%d", c.Pos.File, c.Pos.Line)
	case Renamed:
		list = append(list, fmt.Sprintf("renamed from %q", c.From))
	}
	for _, d := range c.Differences {
		switch d.Aspect {
		case Condition:
			for _, o := range d.Origins {
				if o.Kind == "rule" {
					list = append(list, "its condition, "+fmt.Sprintf("%s:%d", o.Pos.File, o.Pos.Line))
					continue
				}
				list = append(list, o.String())
			}
		case Output:
			list = append(list, "its output")
		case Order:
			for _, o := range d.Origins {
				list = append(list, fmt.Sprintf("rule %q before it may take its events now, %s:%d", o.Name, o.Pos.File, o.Pos.Line))
			}
		default:
			list = append(list, fmt.Sprintf("%s %s, was %s", d.Aspect, d.To, d.From))
		}
	}
	return strings.Join(list, "; ")
}

// Has tells whether an aspect changed.
func (c Change) Has(a Aspect) bool {
	return slices.ContainsFunc(c.Differences, func(d Difference) bool { return d.Aspect == a })
}

// Compare tells which rules of a set mean something else than those of an earlier
// one, through macros, lists, overrides and exceptions in whatever file: in the
// order of the rules, and after them those that are gone. What does not change
// the meaning (comments, formatting, the order of list items, macros for the same)
// is no change.
func Compare(before, now *rules.Set) []Change {
	c := comparison{before: before, now: now, print: newPrinter(), was: map[string]*rules.Rule{}, is: map[string]*rules.Rule{}, emptied: map[string]bool{}}
	for _, r := range before.Rules {
		c.was[r.Name] = r
	}
	for _, r := range now.Rules {
		c.is[r.Name] = r
	}
	items := map[string]int{}
	for _, l := range before.Lists {
		items[l.Name] = len(l.Items)
	}
	for _, l := range now.Lists {
		if n, there := items[l.Name]; there && (n == 0) != (len(l.Items) == 0) {
			c.emptied[l.Name] = true
		}
	}
	from := c.renamed()
	overtaken := c.overtaken()
	var changes []Change
	for _, r := range now.Rules {
		old := c.was[r.Name]
		change := Change{Kind: Changed, Rule: r.Name, Pos: r.Pos}
		if old == nil {
			change.Kind = Added
			if old = from[r.Name]; old != nil {
				change.Kind, change.From = Renamed, old.Name
			}
		}
		if old != nil {
			change.Differences = c.differences(old, r)
			if by := overtaken[r.Name]; len(by) > 0 {
				change.Differences = append(change.Differences, Difference{Aspect: Order, Origins: by})
			}
		}
		if change.Kind != Changed || len(change.Differences) > 0 {
			changes = append(changes, change)
		}
	}
	changes = c.shadowed(changes, from)
	renamed := map[string]bool{}
	for _, old := range from {
		renamed[old.Name] = true
	}
	for _, old := range before.Rules {
		if c.is[old.Name] == nil && !renamed[old.Name] {
			changes = append(changes, Change{Kind: Removed, Rule: old.Name, Pos: old.Pos})
		}
	}
	return changes
}

type comparison struct {
	before, now *rules.Set
	was, is     map[string]*rules.Rule
	print       *printer
	emptied     map[string]bool // the lists that are empty in one of the sets alone
}

func (c *comparison) differences(old, r *rules.Rule) []Difference {
	var list []Difference
	add := func(a Aspect, from, to string) {
		if from != to {
			list = append(list, Difference{Aspect: a, From: from, To: to})
		}
	}
	if from, to := c.print.condition(old.Expr), c.print.condition(r.Expr); from != to {
		list = append(list, Difference{Aspect: Condition, From: from, To: to, Origins: c.origins(old, r)})
	}
	add(Output, words(old.Output), words(r.Output))
	add(Priority, old.Priority.String(), r.Priority.String())
	add(Tags, sorted(old.Tags), sorted(r.Tags))
	add(Enabled, yes(old.Enabled), yes(r.Enabled))
	add(Source, old.Source, r.Source)
	return list
}

// words makes texts comparable that differ in line ends alone.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

func sorted(tags []string) string {
	if len(tags) == 0 {
		return "none"
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(tags))), ", ")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// origins tells by which parts of the files a condition changed.
func (c *comparison) origins(old, r *rules.Rule) []Origin {
	was, is := parts(old, c.emptied), parts(r, c.emptied)
	own := origin{"rule", r.Name}
	if old.Name != r.Name {
		was[own] = was[origin{"rule", old.Name}]
		delete(was, origin{"rule", old.Name})
	}
	text := func(parts map[origin]*part, o origin) string {
		if p := parts[o]; p != nil {
			return p.text
		}
		return ""
	}
	var list []Origin
	for o := range is {
		if text(was, o) != text(is, o) {
			list = append(list, Origin{Kind: o.kind, Name: o.name, Pos: place(c.now, r, o, is[o], was[o])})
		}
	}
	for o := range was {
		switch _, ok := is[o]; {
		case ok:
		case o.kind == "list" && c.emptied[o.name]:
			list = append(list, Origin{Kind: o.kind, Name: o.name, Pos: place(c.now, r, o, nil, nil)})
		default:
			list = append(list, Origin{Kind: o.kind, Name: o.name, Pos: place(c.before, old, o, was[o], nil), Gone: true})
		}
	}
	if len(list) == 0 { // what is left is how the parts are put together
		list = append(list, Origin{Kind: "rule", Name: r.Name, Pos: r.Pos})
	}
	// An exception that came or went is all that changed in the rule, most often.
	if slices.ContainsFunc(list, func(o Origin) bool { return o.Kind == "exception" }) && sameChecks(was[own], is[own]) {
		list = slices.DeleteFunc(list, func(o Origin) bool { return o.Kind == "rule" })
	}
	// A macro or list that came or went is told of by the text that names it.
	if slices.ContainsFunc(list, func(o Origin) bool { return o.Kind == "rule" || o.Kind == "macro" && !o.Gone }) {
		list = slices.DeleteFunc(list, func(o Origin) bool {
			_, before := was[origin{o.Kind, o.Name}]
			before = before || c.emptied[o.Name] && o.Kind == "list"
			return o.Gone && o.Kind != "exception" || !before && o.Kind != "rule" && o.Kind != "exception"
		})
	}
	slices.SortFunc(list, func(a, b Origin) int {
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func rank(kind string) int { return slices.Index([]string{"rule", "macro", "list", "exception"}, kind) }

// sameChecks tells whether two parts hold the same checks.
func sameChecks(a, b *part) bool {
	if len(a.checks) != len(b.checks) {
		return false
	}
	for check := range a.checks {
		if _, ok := b.checks[check]; !ok {
			return false
		}
	}
	return true
}

// place is where an origin stands in the rules files, or where it was changed, if that
// is in another file: by an override, or by what was appended to it.
func place(set *rules.Set, r *rules.Rule, o origin, is, was *part) filter.Pos {
	pos := r.Pos
	switch o.kind {
	case "macro":
		for _, m := range set.Macros {
			if m.Name == o.name {
				pos = m.Pos
			}
		}
	case "list":
		for _, l := range set.Lists {
			if l.Name == o.name {
				pos = l.Pos
			}
		}
	case "exception":
		if is != nil {
			pos = is.at
		}
	}
	if is == nil || was == nil {
		return pos
	}
	var fresh []filter.Pos
	for check, at := range is.checks {
		if _, old := was.checks[check]; !old && at.File != "" {
			fresh = append(fresh, at)
		}
	}
	slices.SortFunc(fresh, func(a, b filter.Pos) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(fresh) > 0 && (fresh[0].File != pos.File || o.kind == "rule") {
		pos = fresh[0]
	}
	return pos
}

// overtaken tells which rules, there before and now, come before a rule that they
// came behind, for events that both can be true for.
func (c *comparison) overtaken() map[string][]Origin {
	index := map[string]int{}
	for i, r := range c.before.Rules {
		index[r.Name] = i
	}
	var common []*rules.Rule
	for _, r := range c.now.Rules {
		if c.was[r.Name] != nil {
			common = append(common, r)
		}
	}
	if slices.IsSortedFunc(common, func(a, b *rules.Rule) int { return cmp.Compare(index[a.Name], index[b.Name]) }) {
		return nil
	}
	over := map[string][]Origin{}
	was := make([]int, len(common))
	for i, r := range common {
		was[i] = index[r.Name]
	}
	for i, r := range common {
		for k, first := range common[:i] {
			if was[k] > was[i] && takes(first, r) {
				over[r.Name] = append(over[r.Name], Origin{Kind: "rule", Name: first.Name, Pos: first.Pos})
			}
		}
	}
	return over
}

// shadowed adds the rules that mean what they did, and that one before them may shadow
// now: since it is new, was enabled, or has another condition, which is not the old one
// with more that has to be true.
func (c *comparison) shadowed(changes []Change, from map[string]*rules.Rule) []Change {
	changed := map[string]*Change{}
	for i := range changes {
		changed[changes[i].Rule] = &changes[i]
	}
	var takers []*rules.Rule
	var out []Change
	for _, r := range c.now.Rules {
		ch := changed[r.Name]
		if ch == nil {
			for _, first := range takers {
				if takes(first, r) {
					out = append(out, Change{Kind: Changed, Rule: r.Name, Pos: r.Pos, Differences: []Difference{
						{Aspect: Order, Origins: []Origin{{Kind: "rule", Name: first.Name, Pos: first.Pos}}}}})
					break
				}
			}
			continue
		}
		out = append(out, *ch)
		old := c.was[r.Name]
		if old == nil {
			old = from[r.Name]
		}
		if old == nil || !old.Enabled && r.Enabled || ch.rewritten() && !c.print.narrower(old.Expr, r.Expr) {
			takers = append(takers, r)
		}
	}
	return out
}

// rewritten tells whether the rule's own condition changed, and not only what a macro
// or a list in it stands for.
func (c Change) rewritten() bool {
	return slices.ContainsFunc(c.Differences, func(d Difference) bool {
		return d.Aspect == Condition && slices.ContainsFunc(d.Origins, func(o Origin) bool { return o.Kind == "rule" })
	})
}

// takes tells whether a rule that comes before another may take events from it.
func takes(first, r *rules.Rule) bool {
	return first.Enabled && first.Source == r.Source && overlap(first, r)
}

// overlap tells whether both rules can be true for events of one type.
func overlap(a, b *rules.Rule) bool {
	if a.EventTypes.Unbounded() || b.EventTypes.Unbounded() {
		return true
	}
	return slices.ContainsFunc(a.EventTypes.Listed(), b.EventTypes.Has)
}

// likeness is how like two conditions must be for one to be the other's under a new
// name: the part of all their checks that both have.
const likeness = 0.6

// renamed finds the rules that are there under another name: of those that are new,
// the ones whose checks are most like those of one that is gone.
func (c *comparison) renamed() map[string]*rules.Rule {
	gone, with := map[string][]string{}, map[string][]*rules.Rule{}
	for _, r := range c.before.Rules {
		if c.is[r.Name] == nil {
			gone[r.Name] = leaves(r.Expr)
			for _, leaf := range gone[r.Name] {
				with[leaf] = append(with[leaf], r)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	type pair struct {
		old, new *rules.Rule
		like     float64
	}
	var pairs []pair
	for _, r := range c.now.Rules {
		if c.was[r.Name] != nil {
			continue
		}
		mine := leaves(r.Expr)
		shared := map[*rules.Rule]int{}
		for _, leaf := range mine {
			if len(with[leaf]) > 200 { // a check that so many have tells nothing
				continue
			}
			for _, old := range with[leaf] {
				shared[old]++
			}
		}
		for old, n := range shared {
			if like := float64(n) / float64(len(mine)+len(gone[old.Name])-n); like >= likeness && old.Source == r.Source {
				pairs = append(pairs, pair{old, r, like})
			}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(-cmp.Compare(a.like, b.like), cmp.Compare(a.new.Name, b.new.Name), cmp.Compare(a.old.Name, b.old.Name))
	})
	from, taken := map[string]*rules.Rule{}, map[*rules.Rule]bool{}
	for _, p := range pairs {
		if from[p.new.Name] == nil && !taken[p.old] {
			from[p.new.Name], taken[p.old] = p.old, true
		}
	}
	return from
}
