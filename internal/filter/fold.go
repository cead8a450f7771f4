// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"maps"
	"slices"
)

// Folded is a condition as it is for events of one type.
type Folded struct {
	Cond Cond
	// Never and Always tell that the condition is false, or true, for all
	// events of the type. Cond does not count then.
	Never, Always bool
}

// Fold returns a program in which checks of evt.type and syscall.type are worked
// out beforehand: for each type of event, the conditions that are evaluated for
// it, and in the same order those of the new program that are equal to them for
// events of that type. Both fields must be the type's name for all such events.
func (p *Program) Fold(conds map[string][]Cond) (*Program, map[string][]Folded) {
	f := folder{from: p, to: &Program{source: p.source, checks: p.checks, slots: p.slots}}
	out := make(map[string][]Folded, len(conds))
	for _, t := range slices.Sorted(maps.Keys(conds)) {
		f.value = Value{Str: t}
		f.memo = make(map[int32]folded, len(conds[t])*8)
		list := make([]Folded, len(conds[t]))
		for i, c := range conds[t] {
			n := f.fold(int32(c))
			list[i] = Folded{Cond: Cond(n.node), Never: n.is == isFalse, Always: n.is == isTrue}
		}
		out[t] = list
	}
	return f.to, out
}

type truth uint8

const (
	isOpen truth = iota // depends on the event
	isFalse
	isTrue
)

func known(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

type folded struct {
	is   truth
	node int32
}

type folder struct {
	from, to *Program
	value    Value // the type's name
	memo     map[int32]folded
}

func (f *folder) fold(i int32) folded {
	if n, ok := f.memo[i]; ok {
		if n.is == isOpen {
			f.to.nodes[n.node].shared = true
		}
		return n
	}
	n := f.foldNode(&f.from.nodes[i])
	f.memo[i] = n
	return n
}

func (f *folder) foldNode(n *node) folded {
	switch n.kind {
	case Check:
		if t := f.typeCheck(&f.from.checks[n.check]); t != isOpen {
			return folded{is: t}
		}
		return f.add(node{kind: Check, check: n.check})
	case Not:
		k := f.fold(n.kids[0])
		if k.is != isOpen {
			return folded{is: known(k.is == isFalse)}
		}
		return f.add(node{kind: Not, kids: []int32{k.node}})
	}
	// One false part decides an 'and', one true part an 'or'; parts that do not
	// decide are left out.
	decides := known(n.kind == Or)
	kids := make([]int32, 0, len(n.kids))
	for _, kid := range n.kids {
		k := f.fold(kid)
		switch {
		case k.is == decides:
			return folded{is: decides}
		case k.is == isOpen && !slices.Contains(kids, k.node):
			kids = append(kids, k.node)
		}
	}
	switch len(kids) {
	case 0:
		return folded{is: known(n.kind == And)}
	case 1:
		f.to.nodes[kids[0]].shared = true
		return folded{node: kids[0]}
	}
	return f.add(node{kind: n.kind, kids: slices.Clip(kids)})
}

func (f *folder) add(n node) folded {
	f.to.nodes = append(f.to.nodes, n)
	return folded{node: int32(len(f.to.nodes) - 1)}
}

// typeCheck works a check out where it is one of the event's type.
func (f *folder) typeCheck(c *check) truth {
	s := &f.from.slots[c.left]
	if s.fn != "" || s.name != "evt.type" && s.name != "syscall.type" || c.right >= 0 || c.list || c.any || c.all {
		return isOpen
	}
	if c.op == OpExists {
		return isTrue
	}
	if c.words != nil {
		id, ok := s.words[f.value.Str]
		if !ok {
			id = -1
		}
		return known(c.words.has(id))
	}
	return known(c.want.match(&f.value))
}
