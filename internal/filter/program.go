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
	prog *Program
	ev   any

	// A cached value counts when its stamp is that of the event at hand, so
	// that nothing has to be cleared between events.
	gen    uint32
	values []Value
	have   []uint32 // per slot: generation<<1 | has a value
	known  []uint32 // per node: generation<<1 | is true
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
	if m.gen > 1<<31-1 {
		clear(m.have)
		clear(m.known)
		clear(m.worded)
		m.gen = 1
	}
}

// Eval tells whether the condition is true for the event at hand.
func (m *Machine) Eval(c Cond) bool { return m.eval(int32(c)) }

func (m *Machine) eval(i int32) bool {
	n := &m.prog.nodes[i]
	if n.shared {
		if k := m.known[i]; k>>1 == m.gen {
			return k&1 != 0
		}
	}
	var ok bool
	switch n.kind {
	case Check:
		ok = m.check(&m.prog.checks[n.check])
	case And:
		ok = true
		for _, k := range n.kids {
			if !m.eval(k) {
				ok = false
				break
			}
		}
	case Or:
		for _, k := range n.kids {
			if m.eval(k) {
				ok = true
				break
			}
		}
	case Not:
		ok = !m.eval(n.kids[0])
	}
	if n.shared {
		k := m.gen << 1
		if ok {
			k |= 1
		}
		m.known[i] = k
	}
	return ok
}

// check evaluates one check. A value that the event does not have makes it
// false, whatever the operator.
func (m *Machine) check(c *check) bool {
	v, ok := m.value(c.left)
	if !ok || c.op == OpExists {
		return ok
	}
	if c.words != nil {
		return c.words.has(m.word(c.left, v))
	}
	if c.right >= 0 {
		r, ok := m.value(c.right)
		return ok && matchFields(c.op, c.typ, c.list, v, r)
	}
	switch {
	case c.any, c.list && c.op == OpIntersects:
		for i := range v.List {
			if c.want.match(&v.List[i]) {
				return true
			}
		}
		return false
	case c.all:
		for i := range v.List {
			if !c.want.match(&v.List[i]) {
				return false
			}
		}
		return len(v.List) > 0
	case c.list && c.op == OpIn:
		// All of the event's values must be in the list; none are.
		for i := range v.List {
			if !c.want.match(&v.List[i]) {
				return false
			}
		}
		return true
	}
	return c.want.match(v)
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
func (m *Machine) value(i int32) (*Value, bool) {
	v := &m.values[i]
	if h := m.have[i]; h>>1 == m.gen {
		return v, h&1 != 0
	}
	s := &m.prog.slots[i]
	var ok bool
	if s.field != nil {
		if s.field.Get != nil {
			v.Str, v.Num, v.List = "", 0, v.List[:0] // the list's memory is used again
			ok = s.field.Get(m.ev, v)
		}
	} else {
		var of *Value
		if of, ok = m.value(s.of); ok {
			*v = *of
			ok = transform(s.fn, m.prog.slots[s.of].list, v, &m.bufs[i])
		}
	}
	h := m.gen << 1
	if ok {
		h |= 1
	}
	m.have[i] = h
	return v, ok
}
