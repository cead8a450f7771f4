// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Explainer watches the events of a run and keeps the one that came closest to
// satisfying a condition. It is not safe for concurrent use.
type Explainer struct {
	prog    *Program
	m       *Machine
	root    *part
	types   TypeSet
	evtType int32 // slot of evt.type, -1 where events have no types

	res     Explanation
	best    float64
	another bool // the nearest lacks nothing but the type
	seen    map[string]int
}

// part is a node of the condition with what is known of it for the event at
// hand. Bodies of macros are parts that several others share.
type part struct {
	e     *Expr
	kids  []*part
	check int32
	conj  int   // how many parts must be true at once
	empty []Pos // the lists without items that it compares with

	gen uint32 // when the rest was worked out
	is  Truth
	sat float64 // how much of it was true, of conj
}

// Explanation says why a condition was true for none of the events of a run.
type Explanation struct {
	Events  int      `json:"events"`            // how many there were
	Wanted  int      `json:"wanted"`            // how many were of a type that the condition can be true for
	Matched int      `json:"matched,omitempty"` // for how many it was true after all
	Unknown int      `json:"unknown,omitempty"` // for how many it hung on what is not known
	Types   []string `json:"types,omitempty"`   // those types; empty when it can be true for any type but ButTypes

	ButTypes []string `json:"butTypes,omitempty"`
	// Asking are the checks that ask for those types, where no event was of one.
	Asking []Asking    `json:"asking,omitempty"`
	Seen   []TypeCount `json:"seen,omitempty"` // the types of the events, most frequent first

	// SeenAll tells that Seen has types that no rule asks for, too.
	SeenAll bool `json:"seenAll,omitempty"`

	// Empty are the lists without items that the condition compares evt.type with,
	// or anything where it can be true for no type.
	Empty []Pos `json:"emptyLists,omitempty"`

	Nearest *NearMiss `json:"nearest,omitempty"`
	Doubt   *Doubt    `json:"doubt,omitempty"`
}

// Doubt is an event for which it cannot be known whether the condition was true.
type Doubt struct {
	Event   string   `json:"event,omitempty"` // as in [NearMiss]
	Number  int      `json:"number"`
	Clauses []Clause `json:"clauses"` // those that are not known, and decide
	// Passing tells that another run may know.
	Passing bool `json:"passing,omitempty"`
}

// String says in one line what is not known, and why.
func (d *Doubt) String() string {
	var reasons []string
	fields := map[string][]string{} // by reason
	for _, c := range d.Clauses {
		for _, a := range c.Actual {
			if a.Unknown == "" {
				continue
			}
			if fields[a.Unknown] == nil {
				reasons = append(reasons, a.Unknown)
			}
			if name := "`" + a.Field + "`"; !slices.Contains(fields[a.Unknown], name) {
				fields[a.Unknown] = append(fields[a.Unknown], name)
			}
		}
	}
	var parts []string
	for _, why := range reasons {
		parts = append(parts, strings.Join(fields[why], " and ")+" cannot be known here: "+why)
	}
	return strings.Join(parts, "; ")
}

// TypeCount is how many events of a type there were.
type TypeCount struct {
	Type  string `json:"type"`
	Count int    `json:"count"`
}

// Asking is a check of evt.type.
type Asking struct {
	Text string `json:"text"`
	Pos  Pos    `json:"pos"`
}

// NearMiss is the event that satisfied the most of a condition, and why that
// was not enough.
type NearMiss struct {
	Event  string `json:"event,omitempty"` // its type, or what it says of itself where events have none
	Number int    `json:"number"`          // which of the wanted events it was, from 1; 0 when it lacked nothing but the type
	True   int    `json:"true"`            // so many parts of the condition were true,
	Parts  int    `json:"parts"`           // of so many that had to be

	// Excluded tells that the event was what a not (…) excludes: Clauses were
	// true then, and should not have been all at once. Otherwise there is one
	// clause, which was false.
	Excluded bool     `json:"excluded,omitempty"`
	Clauses  []Clause `json:"clauses"`

	// Alternatives is the number of alternatives of which the clause is the
	// nearest, 0 or 1 when there were none.
	Alternatives int `json:"alternatives,omitempty"`
	// MoreFalse is how many other parts were false, too.
	MoreFalse int `json:"moreFalse,omitempty"`
}

// Clause is a check that decided.
type Clause struct {
	Text string `json:"text"`         // fd.name startswith /etc/
	Pos  Pos    `json:"pos"`          // where it stands
	In   []Ref  `json:"in,omitempty"` // what it is part of, from outside in
	True bool   `json:"true"`
	// Unknown tells that it is neither true nor false.
	Unknown bool          `json:"unknown,omitempty"`
	Actual  []ActualValue `json:"actual"` // what its fields were

	// Empty are the lists without items that it compares with.
	Empty []Pos `json:"emptyLists,omitempty"`
	// Word is the one value that it compares with, where that reads like a list's
	// name.
	Word string `json:"-"`
}

// Ref is a macro, an exception or a negation on the way to a clause.
type Ref struct {
	Kind string `json:"kind"` // macro, exception, not
	Name string `json:"name,omitempty"`
	Pos  Pos    `json:"pos"` // where it is named
}

// ActualValue is what a field was in the event.
type ActualValue struct {
	Field   string `json:"field"`
	Value   string `json:"value,omitempty"` // strings in quotes
	Missing bool   `json:"missing,omitempty"`
	Why     string `json:"why,omitempty"`     // why it is missing, when it always is
	Unknown string `json:"unknown,omitempty"` // why it is not known
}

// NewExplainer returns an explainer for a condition whose macros have been
// resolved. An error is an [*Error], as of [Compiler.Add].
func NewExplainer(src Source, e *Expr) (*Explainer, error) {
	c := NewCompiler(src)
	if _, err := c.Add(e); err != nil {
		return nil, err
	}
	x := &Explainer{prog: c.prog, types: EventTypes(e), evtType: -1, best: -1, seen: map[string]int{}}
	if _, ok := src.(EventTyper); ok {
		if slot, err := c.fieldSlot(&Operand{Field: "evt.type", Text: e.Text}, &Result{}); err == nil {
			x.evtType = slot
		}
	} else {
		x.types = TypeSet{allBut: true}
	}
	b := builder{c, map[*Expr]*part{}}
	x.root = b.build(e)
	if x.types.allBut {
		x.res.ButTypes = x.types.Listed()
	} else {
		x.res.Types = x.types.Listed()
	}
	e.Walk(func(e *Expr) bool {
		if e.Kind != Check || e.Left.Field != "evt.type" && (x.types.allBut || len(x.res.Types) > 0) {
			return true
		}
		if asks := (Asking{e.short(), e.Pos()}); e.Left.Field == "evt.type" && !slices.Contains(x.res.Asking, asks) {
			x.res.Asking = append(x.res.Asking, asks)
		}
		for _, pos := range e.emptyLists() {
			if !slices.Contains(x.res.Empty, pos) {
				x.res.Empty = append(x.res.Empty, pos)
			}
		}
		return true
	})
	x.m = x.prog.NewMachine()
	return x, nil
}

// Fresh returns an explainer of the same condition that has seen no event. It costs
// less than a new one, and may be called from several goroutines of one that watches
// nothing itself.
func (x *Explainer) Fresh() *Explainer {
	y := *x
	y.m, y.best, y.another, y.seen = x.prog.NewMachine(), -1, false, map[string]int{}
	y.res = Explanation{Types: x.res.Types, ButTypes: x.res.ButTypes, Asking: x.res.Asking, Empty: x.res.Empty}
	copies := map[*part]*part{}
	var fresh func(p *part) *part
	fresh = func(p *part) *part {
		if copies[p] == nil {
			q := &part{e: p.e, check: p.check, conj: p.conj, empty: p.empty}
			for _, k := range p.kids {
				q.kids = append(q.kids, fresh(k))
			}
			copies[p] = q
		}
		return copies[p]
	}
	y.root = fresh(x.root)
	return &y
}

type builder struct {
	c    *Compiler
	done map[*Expr]*part
}

func (b *builder) build(e *Expr) *part {
	if p := b.done[e]; p != nil {
		return p
	}
	p := &part{e: e, conj: 1}
	b.done[e] = p
	if e.Kind == Check {
		p.check, _ = b.c.check(e, &Result{}) // Add has found it right
		p.empty = e.emptyLists()
		return p
	}
	for _, child := range e.Children {
		p.kids = append(p.kids, b.build(child))
	}
	switch e.Kind {
	case And:
		p.conj = 0
		for _, k := range p.kids {
			p.conj += k.conj
		}
	case Macro:
		p.conj = p.kids[0].conj
	}
	return p
}

// Observe looks at an event. Nothing of the event is kept but text.
func (x *Explainer) Observe(ev any) {
	x.res.Events++
	x.m.Reset(ev)
	typ := ""
	if x.evtType >= 0 {
		if v, has := x.m.value(x.evtType); has == True {
			typ = v.Str
			if n, ok := x.seen[typ]; ok {
				x.seen[typ] = n + 1
			} else {
				x.seen[strings.Clone(typ)] = 1
			}
		}
		if !x.types.Has(typ) {
			x.observeAnother(typ)
			return
		}
	}
	x.res.Wanted++
	x.eval(x.root)
	if s, ok := ev.(fmt.Stringer); ok && x.evtType < 0 && x.root.is != True {
		typ = s.String()
	}
	switch x.root.is {
	case True:
		x.res.Matched++
		return
	case Unknown:
		x.res.Unknown++
		x.doubt(typ)
		return
	}
	// Of equals the last counts: what an action is about comes at its end.
	if x.another || x.root.sat < x.best {
		return
	}
	x.best = x.root.sat
	x.res.Nearest = x.nearMiss(typ)
	x.res.Nearest.Number = x.res.Wanted
}

// observeAnother looks at an event of a type that the condition cannot be true for. If
// that is all that it lacks, no event of a wanted type came closer.
func (x *Explainer) observeAnother(typ string) {
	if x.eval(x.root); x.root.is != False || x.root.conj == 1 || x.root.sat < float64(x.root.conj-1) {
		return
	}
	near := x.nearMiss(typ)
	if actual := near.Clauses[0].Actual; len(near.Clauses) == 1 && actual[0].Field == "evt.type" {
		x.another, x.res.Nearest = true, near
	}
}

// nearMiss describes the event at hand, for which the condition was false.
func (x *Explainer) nearMiss(typ string) *NearMiss {
	near := &NearMiss{Event: strings.Clone(typ), Parts: x.root.conj, True: min(int(x.root.sat+1e-9), x.root.conj-1)}
	d := describer{x: x, near: near}
	near.MoreFalse = x.countFalse(x.root) - 1
	d.describe(x.root, true, nil)
	return near
}

// doubt notes that the condition hangs on what is not known of the event. The
// first such event is kept, but rather one of which no run would know it.
func (x *Explainer) doubt(typ string) {
	if x.res.Doubt != nil && !x.res.Doubt.Passing {
		return
	}
	d := describer{x: x, near: &NearMiss{}, passing: true}
	d.unknown(x.root, nil)
	if x.res.Doubt == nil || !d.passing {
		x.res.Doubt = &Doubt{Event: strings.Clone(typ), Number: x.res.Wanted, Clauses: d.near.Clauses, Passing: d.passing}
	}
}

// Result returns what was found so far.
func (x *Explainer) Result() *Explanation {
	res := x.res
	res.Seen = nil
	if res.Wanted > 0 {
		res.Asking = nil
	}
	for t, n := range x.seen {
		res.Seen = append(res.Seen, TypeCount{t, n})
	}
	slices.SortFunc(res.Seen, func(a, b TypeCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Type, b.Type)
	})
	return &res
}

// eval works out the part and all below it, true or not.
func (x *Explainer) eval(p *part) {
	if p.gen == x.m.gen {
		return
	}
	p.gen = x.m.gen
	for _, k := range p.kids {
		x.eval(k)
	}
	p.sat = 0
	switch p.e.Kind {
	case Check:
		c := &x.prog.checks[p.check]
		p.is = x.m.check(c)
		if p.is == False {
			p.sat = x.nearness(p.e, c)
		}
	case And:
		p.is = True
		for _, k := range p.kids {
			if p.is != False && k.is != True {
				p.is = k.is
			}
			p.sat += k.sat
		}
	case Or:
		p.is = False
		for _, k := range p.kids {
			if p.is != True && k.is != False {
				p.is = k.is
			}
			p.sat = max(p.sat, k.sat/float64(k.conj))
		}
	case Not:
		p.is = p.kids[0].is.not()
	case Macro:
		p.is, p.sat = p.kids[0].is, p.kids[0].sat
	}
	if p.is == True {
		p.sat = float64(p.conj)
	}
}

// nearness rates a false check from 0 to below 1, so that of two files that do
// not lie in /etc/ the one in /tmp/etc/ is the closer.
func (x *Explainer) nearness(e *Expr, c *check) float64 {
	v, has := x.m.value(c.left)
	if has != True || e.Right == nil || !e.Right.Const || !isString(c.typ) || c.list || c.any || c.all {
		return 0
	}
	best := 0.0
	for i, want := range e.Right.Values {
		if i == 100 {
			break
		}
		want = strings.Trim(want, "*")
		if len(want) < 2 || len(v.Str) > 4096 {
			continue
		}
		if strings.Contains(v.Str, want) {
			best = max(best, 0.5)
			continue
		}
		n := 0
		for n < len(want) && n < len(v.Str) && want[n] == v.Str[n] {
			n++
		}
		k := 0
		for k < len(want) && k < len(v.Str) && want[len(want)-1-k] == v.Str[len(v.Str)-1-k] {
			k++
		}
		best = max(best, 0.4*float64(max(n, k))/float64(len(want)))
	}
	return best
}

// countFalse is how many of the parts that must be true at once are false.
func (x *Explainer) countFalse(p *part) int {
	switch p.e.Kind {
	case And, Macro:
		n := 0
		for _, k := range p.kids {
			n += x.countFalse(k)
		}
		return n
	}
	if p.is == False {
		return 1
	}
	return 0
}

// maxClauses is how many clauses of an exclusion are shown.
const maxClauses = 4

// describer walks from the condition to the clauses that decided.
type describer struct {
	x       *Explainer
	near    *NearMiss
	passing bool // that of what is not known, another run may know all
}

// unknown finds what leaves it open whether p is true.
func (d *describer) unknown(p *part, in []Ref) {
	in = withException(p, in)
	switch p.e.Kind {
	case Check:
		d.clause(p, in)
		for _, v := range d.x.operands(p) {
			d.passing = d.passing && v.Passing
		}
		return
	case Macro:
		in = appendRef(in, Ref{"macro", p.e.Name, p.e.Pos()})
	case Not:
		in = appendRef(in, Ref{Kind: "not", Pos: p.e.Pos()})
	}
	for _, k := range p.kids {
		if k.is == Unknown {
			d.unknown(k, in)
		}
	}
}

// operands are the reasons for which the sides of a check are not known.
func (x *Explainer) operands(p *part) (reasons []*Reason) {
	ck := &x.prog.checks[p.check]
	for _, slot := range []int32{ck.left, ck.right} {
		if slot < 0 {
			continue
		}
		v, _ := x.m.value(slot)
		if v.Unknown != nil {
			reasons = append(reasons, v.Unknown)
		}
		for i := range v.List {
			if v.List[i].Unknown != nil {
				reasons = append(reasons, v.List[i].Unknown)
			}
		}
	}
	return reasons
}

// withException adds the exception that p was made of, if it was.
func withException(p *part, in []Ref) []Ref {
	name, ok := strings.CutPrefix(p.e.Pos().In, "exception ")
	if ok && !slices.ContainsFunc(in, func(r Ref) bool { return r.Kind == "exception" && r.Name == name }) {
		return appendRef(in, Ref{"exception", name, p.e.Pos()})
	}
	return in
}

// describe finds why p is not what it should have been.
func (d *describer) describe(p *part, want bool, in []Ref) {
	in = withException(p, in)
	switch p.e.Kind {
	case Check:
		d.clause(p, in)
	case Macro:
		d.describe(p.kids[0], want, appendRef(in, Ref{"macro", p.e.Name, p.e.Pos()}))
	case Not:
		if want && !slices.ContainsFunc(in, func(r Ref) bool { return r.Kind == "not" }) {
			d.near.Excluded = true
		}
		d.describe(p.kids[0], !want, appendRef(in, Ref{Kind: "not", Pos: p.e.Pos()}))
	case And, Or:
		if (p.e.Kind == And) == want { // one part was not, the first is named
			for _, k := range p.kids {
				if k.is == truthOf(!want) {
					d.describe(k, want, in)
					return
				}
			}
			return
		}
		if want { // no alternative was true: the nearest is named
			best := p.kids[0]
			for _, k := range p.kids[1:] {
				if k.sat/float64(k.conj) > best.sat/float64(best.conj) {
					best = k
				}
			}
			for _, k := range p.kids { // but rather one that never can be
				if d.x.emptied(k) {
					best = k
				}
			}
			d.near.Alternatives = max(d.near.Alternatives, 1) * len(p.kids)
			d.describe(best, want, in)
			return
		}
		for _, k := range p.kids { // all parts were true, and each is a reason
			d.describe(k, want, in)
		}
	}
}

// emptied tells whether a part is false for nothing but a list without items.
func (x *Explainer) emptied(p *part) bool {
	switch p.e.Kind {
	case Check:
		return p.is == False && len(p.empty) > 0
	case Macro:
		return x.emptied(p.kids[0])
	case And:
		return x.countFalse(p) == 1 && slices.ContainsFunc(p.kids, x.emptied)
	}
	return false
}

// appendRef appends to a copy: siblings share what came before.
func appendRef(in []Ref, r Ref) []Ref { return append(slices.Clip(in), r) }

func (d *describer) clause(p *part, in []Ref) {
	same := func(c Clause) bool { return c.Text == p.e.short() && c.Pos == p.e.Pos() }
	if len(d.near.Clauses) == maxClauses || slices.ContainsFunc(d.near.Clauses, same) {
		return
	}
	c := Clause{Text: p.e.short(), Pos: p.e.Pos(), In: in, True: p.is == True, Unknown: p.is == Unknown, Empty: p.empty}
	if o := p.e.Right; o != nil && o.List && len(o.Values) == 1 && o.ValuePos(0).In == "" && o.IsWord(0) && IsIdentifier(o.Values[0]) {
		c.Word = o.Values[0]
	}
	ck := &d.x.prog.checks[p.check]
	c.Actual = append(c.Actual, d.x.actual(ck.left))
	if ck.right >= 0 {
		c.Actual = append(c.Actual, d.x.actual(ck.right))
	}
	d.near.Clauses = append(d.near.Clauses, c)
}

// actual captures the value in a slot.
func (x *Explainer) actual(i int32) ActualValue {
	s := &x.prog.slots[i]
	a := ActualValue{Field: s.name}
	v, has := x.m.value(i)
	if has == Unknown {
		a.Unknown = v.Unknown.Text
		return a
	}
	for k := range v.List {
		if v.List[k].Unknown != nil {
			a.Unknown = v.List[k].Unknown.Text
		}
	}
	if has == False {
		a.Missing = true
		f := s.field
		for j := s.of; f == nil; j = x.prog.slots[j].of {
			f = x.prog.slots[j].field
		}
		a.Why = f.Unsupported
		return a
	}
	switch {
	case s.any:
		var vs []string
		for k := range v.List {
			vs = append(vs, valueText(s, &v.List[k], x.m.ev))
		}
		a.Value = shorten(strings.Join(vs, ", "))
		a.Missing = len(vs) == 0
	case s.list:
		var vs []string
		for k := range v.List {
			vs = append(vs, valueText(s, &v.List[k], x.m.ev))
		}
		a.Value = shorten("(" + strings.Join(vs, ", ") + ")")
	default:
		a.Value = valueText(s, v, x.m.ev)
	}
	return a
}

// maxActual is how long a value may be in an explanation.
const maxActual = 160

func valueText(s *slot, v *Value, ev any) string {
	if v.Unknown != nil {
		return "?"
	}
	if isString(s.typ) {
		text := v.Str
		if len(text) > maxActual {
			return strconv.Quote(text[:maxActual]) + "…"
		}
		return strconv.Quote(text)
	}
	if s.field != nil && s.field.Format != nil && !s.list && !s.any {
		return s.field.Format(ev, v)
	}
	return v.Text(s.typ, false)
}

func shorten(s string) string {
	if len(s) > 2*maxActual {
		return strings.ToValidUTF8(s[:2*maxActual], "") + "…"
	}
	return s
}

// short prints a check as it was written: with the names of lists rather than
// their values, of which there may be hundreds.
func (e *Expr) short() string {
	if e.Right == nil || !e.Right.List {
		return shorten(e.String())
	}
	var items []string
	last := ""
	for i, v := range e.Right.Values {
		list, named := strings.CutPrefix(e.Text.Pos(e.Right.offs[i]).In, "list ")
		if named && list == last {
			continue
		}
		last = ""
		if named {
			last = list
			v = list
		} else {
			v = Escape(v)
		}
		if len(items) == 8 {
			items = append(items, "…")
			break
		}
		items = append(items, v)
	}
	return shorten(e.Left.String() + " " + string(e.Op) + " (" + strings.Join(items, ", ") + ")")
}
