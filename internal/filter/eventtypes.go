// SPDX-License-Identifier: Apache-2.0

package filter

import "slices"

// TypeSet is a set of names of event types. The zero TypeSet is empty.
type TypeSet struct {
	names  map[string]bool
	allBut bool // all types but names
}

// EventTypes returns the types of events for which the condition can be true,
// judged by its checks of evt.type and syscall.type alone, as Falco does to
// choose what it listens to. All macros must have been resolved.
//
// To an 'and' belong the types that all its parts can be true for, to an 'or'
// those that any of them can be. A check of anything else can be true for all
// types, and so can its negation: negations are pushed down to the checks.
func EventTypes(e *Expr) TypeSet {
	return eventTypes(e, false, func(name string) string { return name })
}

// EventKinds is like EventTypes, with types by the names that kind gives them.
func EventKinds(e *Expr, kind func(name string) string) TypeSet { return eventTypes(e, false, kind) }

func eventTypes(e *Expr, negated bool, kind func(string) string) TypeSet {
	switch e.Kind {
	case Not:
		return eventTypes(e.Children[0], !negated, kind)
	case Macro:
		if len(e.Children) == 0 {
			return TypeSet{allBut: true}
		}
		return eventTypes(e.Children[0], negated, kind)
	case And, Or:
		s := eventTypes(e.Children[0], negated, kind)
		for _, c := range e.Children[1:] {
			t := eventTypes(c, negated, kind)
			if (e.Kind == And) != negated {
				s = s.intersect(t)
			} else {
				s = s.union(t)
			}
		}
		return s
	}
	if !isEventType(e.Left) {
		return TypeSet{allBut: true}
	}
	switch e.Op {
	case OpExists:
		return TypeSet{allBut: !negated}
	case OpEq, OpEqEq, OpNe, OpIn:
		if !e.Right.Const {
			break
		}
		s := TypeSet{names: map[string]bool{}, allBut: negated != (e.Op == OpNe)}
		for _, v := range e.Right.Values {
			s.names[kind(v)] = true
		}
		return s
	}
	return TypeSet{allBut: true}
}

// CheckEventTypes refuses conditions from which Falco cannot tell what it must
// listen to: a check of evt.type or syscall.type against a field, and one with a
// transformer around it. All macros must have been resolved. An error is an
// [*Error].
func CheckEventTypes(e *Expr) error {
	var err *Error
	e.Walk(func(e *Expr) bool {
		if err != nil || e.Kind != Check {
			return err == nil
		}
		switch e.Op {
		case OpEq, OpEqEq, OpNe, OpIn, OpExists:
		default:
			return true // Falco does not look for types here
		}
		switch {
		case e.Left.Func != "" && isEventType(e.Left.Innermost()):
			err = errorAt(e.Text, e.Left.Off, "%s: Falco takes no transformer around evt.type, it must know which events to listen to", e.Left)
		case isEventType(e.Left) && e.Right != nil && !e.Right.Const:
			err = errorAt(e.Text, e.Right.Off, "%s cannot be compared with a field: Falco must know which events to listen to", e.Left)
		}
		return true
	})
	if err != nil {
		return err.hint("name the types: evt.type in (open, openat)")
	}
	return nil
}

// Innermost is the field that an operand is of, without its transformers.
func (o *Operand) Innermost() *Operand {
	for o.Func != "" {
		o = o.Args[0]
	}
	return o
}

func isEventType(o *Operand) bool {
	return o.Arg == "" && (o.Field == "evt.type" || o.Field == "syscall.type")
}

// Has tells whether the type is in the set.
func (s TypeSet) Has(name string) bool { return s.names[name] != s.allBut }

// Unbounded tells whether the set is all types but some.
func (s TypeSet) Unbounded() bool { return s.allBut }

// All tells whether the set is all types.
func (s TypeSet) All() bool { return s.allBut && len(s.names) == 0 }

// Names returns those of the types in all that are in the set, sorted.
func (s TypeSet) Names(all []string) []string {
	var names []string
	for _, n := range all {
		if s.Has(n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Listed returns the types that the set names: its members, or when it is
// unbounded, the ones that are not in it.
func (s TypeSet) Listed() []string {
	var names []string
	for n := range s.names {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (s TypeSet) complement() TypeSet { return TypeSet{s.names, !s.allBut} }

func (s TypeSet) union(t TypeSet) TypeSet {
	return s.complement().intersect(t.complement()).complement()
}

func (s TypeSet) intersect(t TypeSet) TypeSet {
	if s.allBut && t.allBut {
		u := TypeSet{map[string]bool{}, true}
		for n := range s.names {
			u.names[n] = true
		}
		for n := range t.names {
			u.names[n] = true
		}
		return u
	}
	if s.allBut {
		s, t = t, s
	}
	u := TypeSet{map[string]bool{}, false}
	for n := range s.names {
		if t.Has(n) {
			u.names[n] = true
		}
	}
	return u
}
