// SPDX-License-Identifier: Apache-2.0

package filter

// Program holds conditions compiled for one source of events. Parts that
// several conditions have in common, such as a macro or a check, exist once.
// A program does not change once its [Compiler] is no longer used, and may then
// be shared by any number of machines in any number of goroutines.
type Program struct {
	source Source
	nodes  []node
	checks []check
	slots  []slot
}

// Cond is a condition in a [Program].
type Cond int32

// node is a part of a condition. Its kids are nodes too; a check has none.
type node struct {
	kind   Kind
	shared bool // more than one node or condition refers to it
	kids   []int32
	check  int32
}

// check compares the value in a slot with constants or with another slot's.
type check struct {
	op    Op
	left  int32
	right int32 // -1 when compared with constants
	want  matcher
	typ   Type
	list  bool
	any   bool // any of the values in the list
	all   bool // all of them
	none  bool // no value satisfies it

	// words is set instead of want for strings that are compared with whole
	// strings only: the numbers of those among the slot's words.
	words *wordSet
}

// slot is a value that is read from the event at most once: a field, or what a
// transformer makes of another slot.
type slot struct {
	name  string
	field *Field
	fn    string // transformer
	of    int32  // what it transforms
	typ   Type
	list  bool
	any   bool

	// words numbers all strings that conditions compare the whole value with.
	// A value is looked up once for an event; whether it is in one list or
	// another is then a matter of a bit.
	words   map[string]int32
	lengths uint64 // of the words: bit n for n bytes, bit 63 for that many or more
}

// wordSet is a set of the numbers of words.
type wordSet struct {
	negated bool
	low     int32 // the first word of bits
	bits    []uint64
}

func (s *wordSet) has(id int32) bool {
	i := id>>6 - s.low
	return (id >= 0 && uint32(i) < uint32(len(s.bits)) && s.bits[i]>>(id&63)&1 != 0) != s.negated
}

// Source returns the source that the program was compiled for.
func (p *Program) Source() Source { return p.source }

// Machine evaluates the conditions of a program for one event at a time. It is
// not safe for concurrent use: each goroutine has its own.
type Machine struct {
	prog   *Program
	ev     any
	assume bool // take what stands in for values that are not known

	// A cached value counts when its stamp is that of the event at hand, so
	// that nothing has to be cleared between events.
	gen    uint32
	values []Value
	have   []uint32 // per slot: generation<<2 | whether it has a value
	known  []uint32 // per node: generation<<2 | its truth
	words  []int32  // per slot: the number of its word, -1 for none, where worded
	worded []uint32 // per slot: generation for which words was looked up
	bufs   [][]byte // per slot: what its transformer made
}

// NewMachine returns a machine for the program. Conditions that are added to
// the program later need another one.
func (p *Program) NewMachine() *Machine {
	return &Machine{
		prog:   p,
		values: make([]Value, len(p.slots)),
		have:   make([]uint32, len(p.slots)),
		known:  make([]uint32, len(p.nodes)),
		words:  make([]int32, len(p.slots)),
		worded: make([]uint32, len(p.slots)),
		bufs:   make([][]byte, len(p.slots)),
	}
}

// Reset makes ev the event that conditions are evaluated for. The machine reads
// it until the next Reset.
func (m *Machine) Reset(ev any) {
	m.ev = ev
	m.gen++
	if m.gen > 1<<30-1 {
		clear(m.have)
		clear(m.known)
		clear(m.worded)
		m.gen = 1
	}
}

// Eval tells whether the condition is true for the event at hand. It is not when
// that cannot be known; see [Machine.Truth].
func (m *Machine) Eval(c Cond) bool { return m.eval(int32(c)) == True }

// Truth tells what the condition is for the event at hand.
func (m *Machine) Truth(c Cond) Truth { return m.eval(int32(c)) }

// Assume tells what the condition is when values that are not known are taken to
// be those that stand in for them, where there are such. It is for conditions
// that are unknown without.
func (m *Machine) Assume(c Cond) Truth {
	m.assume = true
	m.Reset(m.ev)
	is := m.eval(int32(c))
	m.assume = false
	m.Reset(m.ev)
	return is
}

func (m *Machine) eval(i int32) Truth {
	n := &m.prog.nodes[i]
	if n.shared {
		if k := m.known[i]; k>>2 == m.gen {
			return Truth(k & 3)
		}
	}
	var is Truth
	switch n.kind {
	case Check:
		is = m.check(&m.prog.checks[n.check])
	case And:
		is = True
		for _, k := range n.kids {
			if t := m.eval(k); t != True {
				if is = t; t == False {
					break
				}
			}
		}
	case Or:
		for _, k := range n.kids {
			if t := m.eval(k); t != False {
				if is = t; t == True {
					break
				}
			}
		}
	case Not:
		is = m.eval(n.kids[0]).not()
	}
	if n.shared {
		m.known[i] = m.gen<<2 | uint32(is)
	}
	return is
}

// check evaluates one check. A value that the event does not have makes it
// false, whatever the operator; one that is not known makes it unknown, unless
// others decide: of several values any one may do.
func (m *Machine) check(c *check) Truth {
	v, has := m.value(c.left)
	if has != True || c.op == OpExists {
		if c.none {
			return False
		}
		return has
	}
	if c.words != nil {
		return truthOf(c.words.has(m.word(c.left, v)))
	}
	if c.right >= 0 {
		r, has := m.value(c.right)
		if has != True {
			return has
		}
		return truthOf(matchFields(c.op, c.typ, c.list, v, r))
	}
	switch {
	case c.none:
		return False
	case c.any, c.list && c.op == OpIntersects:
		return anyOf(c.want, v.List)
	case c.all:
		if len(v.List) == 0 {
			return False
		}
		return allOf(c.want, v.List)
	case c.list && c.op == OpIn:
		// All of the event's values must be in the list; none are.
		return allOf(c.want, v.List)
	}
	return truthOf(c.want.match(v))
}

func anyOf(want matcher, list []Value) Truth {
	is := False
	for i := range list {
		if list[i].Unknown != nil {
			is = Unknown
		} else if want.match(&list[i]) {
			return True
		}
	}
	return is
}

func allOf(want matcher, list []Value) Truth {
	is := True
	for i := range list {
		if list[i].Unknown != nil {
			is = Unknown
		} else if !want.match(&list[i]) {
			return False
		}
	}
	return is
}

// word returns the number of the slot's value among its words.
func (m *Machine) word(i int32, v *Value) int32 {
	if m.worded[i] == m.gen {
		return m.words[i]
	}
	s := &m.prog.slots[i]
	id := int32(-1)
	if s.lengths>>min(len(v.Str), 63)&1 != 0 {
		if n, ok := s.words[v.Str]; ok {
			id = n
		}
	}
	m.words[i], m.worded[i] = id, m.gen
	return id
}

// value returns the value in a slot, and whether the event has it.
func (m *Machine) value(i int32) (*Value, Truth) {
	v := &m.values[i]
	if h := m.have[i]; h>>2 == m.gen {
		return v, Truth(h & 3)
	}
	s := &m.prog.slots[i]
	var has Truth
	if s.field != nil {
		if s.field.Get != nil {
			v.Str, v.Num, v.List, v.Unknown = "", 0, v.List[:0], nil // the list's memory is used again
			if s.field.Get(m.ev, v) {
				has = True
			} else if v.Unknown != nil {
				if has = Unknown; m.assume && v.Unknown.StandIn {
					has, v.Unknown = truthOf(!v.Unknown.None), nil
				}
			}
		}
	} else {
		var of *Value
		if of, has = m.value(s.of); has != False {
			*v = *of
		}
		if has == True {
			has = truthOf(transform(s.fn, m.prog.slots[s.of].list, v, &m.bufs[i]))
		}
	}
	m.have[i] = m.gen<<2 | uint32(has)
	return v, has
}
