// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"regexp"
	"slices"
	"strconv"
)

// Compiler adds conditions to a [Program]. Equal parts of conditions become one
// node: a macro that ten rules refer to is evaluated once for an event.
type Compiler struct {
	prog *Program

	nodes  map[string]int32 // by what they are
	checks map[checkKey]int32
	slots  map[string]int32
	fields map[string]resolved
	costs  []int // of each node
	// suspicious are the checks that gave warnings, which every condition that
	// holds them shall give.
	suspicious map[int32]bool
	types      map[string]bool
	res        map[string]*regexp.Regexp

	// bodies are the macros that were compiled, by their trees, which all
	// conditions that name them share.
	bodies map[*Expr]body
}

type body struct {
	node   int32
	result Result // what the macro adds to those of conditions
}

// checkKey is what makes checks equal.
type checkKey struct {
	left, right int32
	op          Op
	values      string
}

type resolved struct {
	field *Field
	err   error
}

// Result is a compiled condition.
type Result struct {
	Cond Cond

	// Unsupported says why the condition cannot be evaluated as Falco would: it
	// uses fields that the source cannot know, or features of newer engines.
	// Such a condition must not be evaluated.
	Unsupported []string

	// Warnings are suspicious things that Falco warns of; Remarks are those of
	// which it says nothing.
	Warnings, Remarks []*Error
}

// NewCompiler returns a compiler with an empty program.
func NewCompiler(src Source) *Compiler {
	c := &Compiler{
		prog:   &Program{source: src},
		nodes:  map[string]int32{},
		checks: map[checkKey]int32{},
		slots:  map[string]int32{},
		fields: map[string]resolved{},
		res:    map[string]*regexp.Regexp{},
		bodies: map[*Expr]body{},

		suspicious: map[int32]bool{},
	}
	if s, ok := src.(EventTyper); ok {
		c.types = map[string]bool{}
		kinds, counts := src.(EventCounter)
		for _, t := range s.EventTypes() {
			c.types[t] = true
			if counts {
				c.types[kinds.EventKind(t)] = true
			}
		}
	}
	return c
}

// Program returns the program with all conditions that were added.
func (c *Compiler) Program() *Program { return c.prog }

// Add checks a condition against the source and adds it to the program. All
// macros in it must have been resolved. An error is an [*Error], for the first
// check that is wrong; then nothing refers to what was added.
func (c *Compiler) Add(e *Expr) (Result, error) {
	var r Result
	n, err := c.node(e, &r)
	if err != nil {
		return Result{}, err
	}
	c.prog.nodes[n].shared = true // rules with equal conditions share it
	r.Cond = Cond(n)
	return r, nil
}

func (c *Compiler) node(e *Expr, r *Result) (int32, error) {
	switch e.Kind {
	case Macro:
		if len(e.Children) == 0 {
			return 0, errorAt(e.Text, e.Off, "the macro %s is not defined", e.Name)
		}
		return c.macro(e.Children[0], r)
	case Check:
		ck, err := c.check(e, r)
		if err != nil {
			return 0, err
		}
		return c.intern(node{kind: Check, check: ck}, c.checkCost(ck)), nil
	}
	var kids []int32
	for _, child := range e.Children {
		k, err := c.node(child, r)
		if err != nil {
			return 0, err
		}
		kids = append(kids, k)
	}
	if e.Kind == Not {
		return c.intern(node{kind: Not, kids: kids}, c.costs[kids[0]]), nil
	}
	// What is cheap comes first. The order cannot be told from outside: a check
	// changes nothing.
	slices.SortFunc(kids, func(a, b int32) int {
		if d := c.costs[a] - c.costs[b]; d != 0 {
			return d
		}
		return int(a - b)
	})
	kids = slices.Compact(kids)
	if len(kids) == 1 {
		return kids[0], nil
	}
	cost := 0
	for _, k := range kids[1:] {
		cost += c.costs[k]
	}
	return c.intern(node{kind: e.Kind, kids: kids}, min(c.costs[kids[0]]+cost/2, 1<<20)), nil
}

// macro compiles the body of a macro, once.
func (c *Compiler) macro(e *Expr, r *Result) (int32, error) {
	b, ok := c.bodies[e]
	if !ok {
		var err error
		if b.node, err = c.node(e, &b.result); err != nil {
			return 0, err
		}
		c.bodies[e] = b
	}
	for _, s := range b.result.Unsupported {
		r.Unsupported = appendNew(r.Unsupported, s)
	}
	for _, w := range b.result.Warnings {
		if !slices.Contains(r.Warnings, w) {
			r.Warnings = append(r.Warnings, w)
		}
	}
	for _, w := range b.result.Remarks {
		if !slices.Contains(r.Remarks, w) {
			r.Remarks = append(r.Remarks, w)
		}
	}
	c.prog.nodes[b.node].shared = true
	return b.node, nil
}

// intern returns the node that is equal to n, which it adds if there is none.
func (c *Compiler) intern(n node, cost int) int32 {
	key := make([]byte, 0, 8+8*len(n.kids))
	key = strconv.AppendInt(key, int64(n.kind), 10)
	key = strconv.AppendInt(append(key, ' '), int64(n.check), 10)
	for _, k := range n.kids {
		key = strconv.AppendInt(append(key, ' '), int64(k), 10)
	}
	if i, ok := c.nodes[string(key)]; ok {
		c.prog.nodes[i].shared = true
		return i
	}
	i := int32(len(c.prog.nodes))
	c.prog.nodes = append(c.prog.nodes, n)
	c.costs = append(c.costs, cost)
	c.nodes[string(key)] = i
	return i
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
