// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Coverage notes which clauses of a rule's condition decided, for the events of a
// run. A clause decides an event if the condition would come out otherwise, were
// the clause's own value the opposite: a clause that never decides when true, or
// never when false, could be dropped or wrong without any test noticing.
//
// It is not safe for concurrent use.
type Coverage struct {
	Rule  *rules.Rule
	judge *filter.Inspector
	count map[*filter.Expr]*counts
	order []*filter.Expr // the checks, as they stand in the condition

	Events  int // that the condition was evaluated for
	Matched int
}

type counts struct {
	whenTrue, whenFalse int
	values              []int // of a list: how often each was what made it true
}

// Clause is a check of a condition, or one value of the list in it, with how often
// it decided.
type Clause struct {
	Text string
	Pos  filter.Pos
	End  filter.Pos // behind its last byte
	// Value is the item that the clause is about, "" for the check as a whole.
	Value string
	// True and False count the events that it decided by being true or false. Of
	// an item, True counts those in which it made the deciding check true.
	True, False int

	of *filter.Expr
}

// Covered tells whether the clause decided both ways; an item, whether it did.
func (c Clause) Covered() bool { return c.True > 0 && (c.False > 0 || c.Value != "") }

// NewCoverage returns a coverage of a rule, whose condition is for events of the
// source. An error means that the condition does not compile for it.
func NewCoverage(src filter.Source, r *rules.Rule) (*Coverage, error) {
	judge, err := filter.NewInspector(src, r.Expr)
	if err != nil {
		return nil, fmt.Errorf("covering rule %q: %w", r.Name, err)
	}
	c := &Coverage{Rule: r, judge: judge, count: map[*filter.Expr]*counts{}}
	r.Expr.Walk(func(e *filter.Expr) bool {
		if e.Kind == filter.Check && c.count[e] == nil && !settled(e) {
			n := &counts{}
			if e.Right != nil && e.Right.Const && len(e.Right.Values) > 1 {
				n.values = make([]int, len(e.Right.Values))
			}
			c.count[e] = n
			c.order = append(c.order, e)
		}
		return true
	})
	return c, nil
}

// Observe evaluates the condition for an event and notes what decided.
func (c *Coverage) Observe(ev any) {
	if !c.judge.Inspect(ev) {
		return // of a type that the condition is not for
	}
	c.Events++
	if c.judge.True(c.Rule.Expr) {
		c.Matched++
	}
	c.descend(c.Rule.Expr)
}

// descend notes the checks below a node that decides.
func (c *Coverage) descend(e *filter.Expr) {
	switch e.Kind {
	case filter.Check:
		n := c.count[e]
		if n == nil {
			return // it decides alike for all events
		}
		if !c.judge.True(e) {
			n.whenFalse++
			return
		}
		n.whenTrue++
		if n.values != nil {
			for _, i := range c.judge.Matching(e) {
				n.values[i]++
			}
		}
		return
	case filter.And, filter.Or:
		// One part decides where all others leave it to it: the others of an
		// 'and' are true, of an 'or' false.
		neutral := e.Kind == filter.And
		var against []*filter.Expr
		for _, k := range e.Children {
			if c.judge.True(k) != neutral {
				if against = append(against, k); len(against) > 1 {
					return
				}
			}
		}
		if len(against) == 1 {
			c.descend(against[0])
			return
		}
	}
	for _, k := range e.Children {
		c.descend(k)
	}
}

// Clauses lists the checks of the condition and, for those that compare with a
// list, its items: in the order in which they stand there. Left out are those that come
// out alike for all events that the condition is evaluated for. A check that a macro
// brings in at several places stands once.
func (c *Coverage) Clauses() []Clause {
	var list []Clause
	for _, e := range c.order {
		n := c.count[e]
		// That a rule is not for events of other types needs no test: it is not
		// evaluated for them.
		if e.Left.Field != "evt.type" || n.whenTrue == 0 {
			list = append(list, Clause{Text: e.String(), Pos: e.Pos(), End: e.Text.Pos(e.End), True: n.whenTrue, False: n.whenFalse, of: e})
		}
		for i, count := range n.values {
			pos := e.Right.ValuePos(i)
			end := pos
			end.Column += len(e.Right.Values[i])
			list = append(list, Clause{
				Text: e.Left.String() + " " + string(e.Op) + " " + filter.Escape(e.Right.Values[i]),
				Pos:  pos, End: end, Value: e.Right.Values[i], True: count, of: e,
			})
		}
	}
	return list
}

// Untested lists what no test needed, those that tell the most first: exceptions
// and other checks that never decided, then items of lists. Of a list none of whose
// items were needed there is but the check.
func (c *Coverage) Untested() []Clause {
	var checks, items []Clause
	for _, cl := range c.Clauses() {
		switch {
		case cl.Value == "":
			if !cl.Covered() {
				checks = append(checks, cl)
			}
		case c.count[cl.of].whenTrue > 0 && !cl.Covered():
			items = append(items, cl)
		}
	}
	slices.SortStableFunc(checks, func(a, b Clause) int {
		return min(a.True, 1) + min(a.False, 1) - min(b.True, 1) - min(b.False, 1)
	})
	return append(checks, items...)
}

// String says how the clause decided: "never false: fd.name startswith /etc/".
func (c Clause) String() string {
	var how string
	switch {
	case c.Value != "":
		how = "not needed"
	case c.True == 0 && c.False == 0:
		how = "never decided"
	case c.True == 0:
		how = "never decided by being true"
	case c.False == 0:
		how = "never decided by being false"
	default:
		how = "decided both ways"
	}
	in := ""
	if c.Pos.In != "" {
		in = " in " + c.Pos.In
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s: %s%s", c.Pos, how, c.Text, in))
}
