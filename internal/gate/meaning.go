// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// printer writes conditions by their meaning: conditions that differ in macros,
// lists, parentheses or the order of their parts alone are written alike. Bodies
// of macros, which many conditions share, are written once.
type printer struct {
	bodies map[*filter.Expr]string
}

func newPrinter() *printer { return &printer{bodies: map[*filter.Expr]string{}} }

// condition writes the whole condition, macros replaced by their bodies.
func (p *printer) condition(e *filter.Expr) string {
	switch e.Kind {
	case filter.Macro:
		if len(e.Children) == 0 {
			return e.Name
		}
		body := e.Children[0]
		s, ok := p.bodies[body]
		if !ok {
			s = p.condition(body)
			p.bodies[body] = s
		}
		return s
	case filter.Not:
		inner := e.Children[0]
		if n := unwrap(inner); n.Kind == filter.Not {
			return p.condition(n.Children[0])
		}
		return "not " + p.condition(inner)
	case filter.Check:
		return check(e)
	}
	var parts []string
	var collect func(c *filter.Expr)
	collect = func(c *filter.Expr) {
		if n := unwrap(c); n.Kind == e.Kind {
			for _, k := range n.Children {
				collect(k)
			}
			return
		}
		parts = append(parts, p.condition(c))
	}
	collect(e)
	slices.Sort(parts)
	parts = slices.Compact(parts)
	if len(parts) == 1 {
		return parts[0]
	}
	word := " and "
	if e.Kind == filter.Or {
		word = " or "
	}
	return "(" + strings.Join(parts, word) + ")"
}

// narrower tells whether a condition is another with more that has to be true.
func (p *printer) narrower(old, e *filter.Expr) bool {
	is := p.conjuncts(e)
	for _, part := range p.conjuncts(old) {
		if !slices.Contains(is, part) {
			return false
		}
	}
	return true
}

// conjuncts lists what has to be true for a condition to be.
func (p *printer) conjuncts(e *filter.Expr) []string {
	n := unwrap(e)
	if n.Kind != filter.And {
		return []string{p.condition(n)}
	}
	var list []string
	for _, c := range n.Children {
		list = append(list, p.conjuncts(c)...)
	}
	return list
}

// unwrap takes the names of macros off their bodies.
func unwrap(e *filter.Expr) *filter.Expr {
	for e.Kind == filter.Macro && len(e.Children) == 1 {
		e = e.Children[0]
	}
	return e
}

// check writes one check. The order of the values that it compares with means
// nothing, nor how often one is named.
func check(e *filter.Expr) string {
	op := e.Op
	if op == filter.OpEqEq {
		op = filter.OpEq
	}
	s := e.Left.String() + " " + string(op)
	switch {
	case e.Right == nil:
		return s
	case e.Right.Const && (e.Right.List || e.Right.Bare):
		return s + " (" + strings.Join(values(e.Right.Values), ", ") + ")"
	}
	return s + " " + e.Right.String()
}

func values(list []string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = filter.Escape(v)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// origin is a part of the rules files that a condition is made of: the rule
// itself, a macro, a list or an exception.
type origin struct{ kind, name string }

// part is what an origin contributes to a rule's condition: its text, with other
// origins by their names, and where its checks and items stand.
type part struct {
	text   string
	checks map[string]filter.Pos
	at     filter.Pos // of an exception, which has no place of its own in a set

	texts []string
}

// parts writes what each origin contributes to a rule's condition. Lists in nameless
// are left out where they are named: a list that is empty leaves no trace of its name.
func parts(r *rules.Rule, nameless map[string]bool) map[origin]*part {
	w := partWriter{parts: map[origin]*part{}, done: map[*filter.Expr]bool{}, nameless: nameless}
	own := origin{"rule", r.Name}
	w.part(own).texts = []string{w.shallow(r.Expr, own)}
	for _, p := range w.parts {
		slices.Sort(p.texts)
		p.text = strings.Join(slices.Compact(p.texts), "\n")
	}
	return w.parts
}

type partWriter struct {
	parts    map[origin]*part
	done     map[*filter.Expr]bool
	nameless map[string]bool
}

func (w *partWriter) part(o origin) *part {
	p := w.parts[o]
	if p == nil {
		p = &part{checks: map[string]filter.Pos{}}
		w.parts[o] = p
	}
	return p
}

// shallow writes a condition with macros, lists and exceptions by their names, and
// notes what those are made of. in is what the condition is of.
func (w *partWriter) shallow(e *filter.Expr, in origin) string {
	if name, ok := strings.CutPrefix(e.Pos().In, "exception "); ok && in.kind == "rule" {
		o := origin{"exception", name}
		p := w.part(o)
		if p.at.Line == 0 {
			p.at = e.Pos()
		}
		p.texts = append(p.texts, w.shallow(e, o))
		return "exception " + name
	}
	note := func(check string) string {
		w.part(in).checks[check] = e.Pos()
		return check
	}
	switch e.Kind {
	case filter.Macro:
		o := origin{"macro", e.Name}
		p := w.part(o)
		if len(e.Children) == 1 && !w.done[e.Children[0]] {
			w.done[e.Children[0]] = true
			p.texts = append(p.texts, w.shallow(e.Children[0], o))
		}
		return note("macro " + e.Name)
	case filter.Not:
		return "not " + w.shallow(e.Children[0], in)
	case filter.Check:
		if e.Right == nil || !e.Right.Const {
			return note(check(e))
		}
		var own []string
		for i, v := range e.Right.Values {
			pos := e.Right.ValuePos(i)
			if name, ok := strings.CutPrefix(pos.In, "list "); ok {
				p := w.part(origin{"list", name})
				p.texts = append(p.texts, filter.Escape(v))
				p.checks[filter.Escape(v)] = pos
				if !w.nameless[name] {
					own = append(own, "list "+name)
				}
				continue
			}
			own = append(own, filter.Escape(v))
		}
		slices.Sort(own)
		bare := *e
		bare.Right = nil
		return note(check(&bare) + " (" + strings.Join(slices.Compact(own), ", ") + ")")
	}
	var list []string
	for _, c := range e.Children {
		list = append(list, w.shallow(c, in))
	}
	slices.Sort(list)
	word := " and "
	if e.Kind == filter.Or {
		word = " or "
	}
	return "(" + strings.Join(slices.Compact(list), word) + ")"
}

// leaves lists the checks of a condition by their meaning, each once, sorted.
func leaves(e *filter.Expr) []string {
	var list []string
	seen := map[*filter.Expr]bool{}
	e.Walk(func(e *filter.Expr) bool {
		switch e.Kind {
		case filter.Macro:
			for _, c := range e.Children {
				if seen[c] {
					return false
				}
				seen[c] = true
			}
		case filter.Check:
			list = append(list, check(e))
		}
		return true
	})
	slices.Sort(list)
	return slices.Compact(list)
}
