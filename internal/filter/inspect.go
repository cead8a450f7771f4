// SPDX-License-Identifier: Apache-2.0

package filter

// Inspector evaluates all parts of a condition for one event after another, also
// those that evaluation would leave out since others have decided. It is not safe
// for concurrent use.
type Inspector struct {
	prog    *Program
	m       *Machine
	types   TypeSet
	evtType int32             // slot of evt.type, -1 where events have no types
	checks  map[*Expr]int32   // the check of each leaf
	items   map[*Expr][]int32 // of checks with several values, that of each value alone
	truth   map[*Expr]Truth   // for the event at hand
}

// maxItems bounds the lists whose values are told apart.
const maxItems = 4096

// NewInspector returns an inspector for a condition whose macros have been
// resolved. An error is an [*Error], as of [Compiler.Add].
func NewInspector(src Source, e *Expr) (*Inspector, error) {
	c := NewCompiler(src)
	if _, err := c.Add(e); err != nil {
		return nil, err
	}
	in := &Inspector{
		prog: c.prog, types: EventTypes(e), evtType: -1,
		checks: map[*Expr]int32{}, items: map[*Expr][]int32{}, truth: map[*Expr]Truth{},
	}
	if _, ok := src.(EventTyper); ok {
		if slot, err := c.fieldSlot(&Operand{Field: "evt.type", Text: e.Text}, &Result{}); err == nil {
			in.evtType = slot
		}
	}
	e.Walk(func(e *Expr) bool {
		if _, done := in.checks[e]; done || e.Kind != Check {
			return true
		}
		in.checks[e], _ = c.check(e, &Result{}) // Add has found it right
		if n := values(e); 1 < n && n <= maxItems {
			for i := range n {
				one, right := *e, *e.Right
				right.Values, right.offs = right.Values[i:i+1], right.offs[i:i+1]
				one.Right = &right
				item, err := c.check(&one, &Result{})
				if err != nil {
					item = -1
				}
				in.items[e] = append(in.items[e], item)
			}
		}
		return true
	})
	in.m = in.prog.NewMachine()
	return in, nil
}

func values(e *Expr) int {
	if e.Right == nil || !e.Right.Const {
		return 0
	}
	return len(e.Right.Values)
}

// Inspect makes ev the event at hand. It tells whether the condition is for events
// of its type at all.
func (in *Inspector) Inspect(ev any) bool {
	in.m.Reset(ev)
	clear(in.truth)
	if in.evtType < 0 {
		return true
	}
	v, has := in.m.value(in.evtType)
	return has == True && in.types.Has(v.Str)
}

// True tells whether a part of the condition is true for the event at hand.
func (in *Inspector) True(e *Expr) bool { return in.is(e) == True }

func (in *Inspector) is(e *Expr) Truth {
	if is, known := in.truth[e]; known {
		return is
	}
	var is Truth
	switch e.Kind {
	case Check:
		is = in.m.check(&in.prog.checks[in.checks[e]])
	case Not:
		is = in.is(e.Children[0]).not()
	case Macro:
		is = in.is(e.Children[0])
	case And:
		is = True
		for _, k := range e.Children {
			if t := in.is(k); is != False && t != True {
				is = t
			}
		}
	case Or:
		for _, k := range e.Children {
			if t := in.is(k); is != True && t != False {
				is = t
			}
		}
	}
	in.truth[e] = is
	return is
}

// Matching returns the indexes of the values of a check's list that would make it
// true alone, for the event at hand. It is nil where they are not told apart.
func (in *Inspector) Matching(e *Expr) []int {
	var found []int
	for i, item := range in.items[e] {
		if item >= 0 && in.m.check(&in.prog.checks[item]) == True {
			found = append(found, i)
		}
	}
	return found
}
