// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"slices"
	"strings"
)

// Kind is the kind of a node of a condition.
type Kind uint8

// The kinds of nodes.
const (
	And   Kind = iota + 1 // all of Children, two or more
	Or                    // any of Children, two or more
	Not                   // not Children[0]
	Check                 // Left Op Right, or Left exists
	Macro                 // the macro Name; Children[0] is its body once resolved
)

// Expr is a node of a condition. A tree is not changed after it was resolved,
// and bodies of macros are shared by all that refer to them.
type Expr struct {
	Kind     Kind
	Children []*Expr

	Name string // of a macro

	Left  *Operand // of a check
	Op    Op
	Right *Operand // nil with exists

	Text *Text // the text that holds this node
	Off  int   // where it begins there
	End  int   // where it ends
}

// Pos returns the place in the rules file where the node begins.
func (e *Expr) Pos() Pos { return e.Text.Pos(e.Off) }

// Operand is one side of a check: a field, a function of operands, or constants.
// Exactly one of Field, Func and constants is what it is.
type Operand struct {
	Field  string // proc.aname
	Arg    string // the 2 of proc.aname[2]
	HasArg bool

	Func string     // tolower, val, …
	Args []*Operand // of Func

	Const  bool     // Values are constants
	List   bool     // they were written as a list: (a, b)
	Bare   bool     // the one value was a bare word where a list is expected
	Values []string // as written, without quotes and escapes
	offs   []int    // where each value begins

	Text *Text
	Off  int
}

// Pos returns the place in the rules file where the operand begins.
func (o *Operand) Pos() Pos { return o.Text.Pos(o.Off) }

// ValuePos returns the place where the constant of that index was written: in a
// list's item, when it came from a list.
func (o *Operand) ValuePos(i int) Pos { return o.Text.Pos(o.offs[i]) }

// emptyLists are the lists without items that a check compares with: where they are
// defined. Nothing but their places is left of them in the text.
func (e *Expr) emptyLists() []Pos {
	if e.Right == nil || !e.Right.List {
		return nil
	}
	var empty []Pos
	t := e.Text
	for i := t.mark(e.Right.Off); i < len(t.marks) && int(t.marks[i].off) < e.End; i++ {
		pos := t.at(i, int(t.marks[i].off))
		if !strings.HasPrefix(pos.In, "list ") || slices.ContainsFunc(empty, func(p Pos) bool { return p.In == pos.In }) {
			continue
		}
		if !slices.ContainsFunc(e.Right.offs, func(off int) bool { return t.Pos(off).In == pos.In }) {
			empty = append(empty, pos)
		}
	}
	return empty
}

// IsWord tells whether the constant of that index was written without quotes.
func (o *Operand) IsWord(i int) bool {
	text := o.Text.String()
	return o.offs[i] < len(text) && text[o.offs[i]] != '"' && text[o.offs[i]] != '\''
}

// Without returns constants without the one of that index.
func (o *Operand) Without(i int) *Operand {
	c := *o
	c.Values = slices.Delete(slices.Clone(o.Values), i, i+1)
	c.offs = slices.Delete(slices.Clone(o.offs), i, i+1)
	return &c
}

// With returns the operand with another constant in place of its first.
func (o *Operand) With(value string) *Operand {
	c := *o
	c.Values = slices.Clone(o.Values)
	c.Values[0] = value
	return &c
}

// Op is an operator of checks, as Falco prints it.
type Op string

// The operators. "==" is kept as it was written; it means "=".
const (
	OpExists      Op = "exists"
	OpEq          Op = "="
	OpEqEq        Op = "=="
	OpNe          Op = "!="
	OpLt          Op = "<"
	OpLe          Op = "<="
	OpGt          Op = ">"
	OpGe          Op = ">="
	OpContains    Op = "contains"
	OpIContains   Op = "icontains"
	OpBContains   Op = "bcontains"
	OpStartsWith  Op = "startswith"
	OpBStartsWith Op = "bstartswith"
	OpEndsWith    Op = "endswith"
	OpGlob        Op = "glob"
	OpIGlob       Op = "iglob"
	OpRegex       Op = "regex"
	OpIn          Op = "in"
	OpIntersects  Op = "intersects"
	OpPMatch      Op = "pmatch"
)

// Operators lists all operators in the order in which Falco's parser tries them.
func Operators() []Op {
	return append(append(append([]Op{OpExists}, numOps...), strOps...), listOps...)
}

// IsOperator tells whether s is an operator.
func IsOperator(s string) bool {
	for _, op := range Operators() {
		if string(op) == s {
			return true
		}
	}
	return false
}

// IsListOperator tells whether s is an operator with a list on its right.
func IsListOperator(s string) bool {
	return s == string(OpIn) || s == string(OpIntersects) || s == string(OpPMatch)
}

var (
	numOps  = []Op{OpLe, OpLt, OpGe, OpGt}
	strOps  = []Op{OpEqEq, OpEq, OpNe, OpGlob, OpIGlob, OpContains, OpIContains, OpBContains, OpStartsWith, OpBStartsWith, OpEndsWith, OpRegex}
	listOps = []Op{OpIntersects, OpIn, OpPMatch}

	transformers    = []string{"tolower", "toupper", "b64", "basename", "len"}
	allTransformers = slices.Concat([]string{"val"}, transformers)
)

// Walk calls f for e and all nodes below it, bodies of macros included, until f
// returns false for a node, whose children it then leaves out.
func (e *Expr) Walk(f func(*Expr) bool) {
	if !f(e) {
		return
	}
	for _, c := range e.Children {
		c.Walk(f)
	}
}

// Fields calls f for each field of the operand.
func (o *Operand) Fields(f func(*Operand)) {
	if o.Field != "" {
		f(o)
	}
	for _, a := range o.Args {
		a.Fields(f)
	}
}
