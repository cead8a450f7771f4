// SPDX-License-Identifier: Apache-2.0

package filter

import "strings"

// String prints the condition as Falco prints compiled conditions: with
// parentheses around each 'and' and 'or', and macros that were resolved
// replaced by their bodies.
func (e *Expr) String() string {
	var b strings.Builder
	e.print(&b)
	return b.String()
}

func (e *Expr) print(b *strings.Builder) {
	switch e.Kind {
	case And, Or:
		word := " and "
		if e.Kind == Or {
			word = " or "
		}
		b.WriteByte('(')
		for i, c := range e.Children {
			if i > 0 {
				b.WriteString(word)
			}
			c.print(b)
		}
		b.WriteByte(')')
	case Not:
		b.WriteString("not ")
		e.Children[0].print(b)
	case Macro:
		if len(e.Children) == 1 {
			e.Children[0].print(b)
		} else {
			b.WriteString(e.Name)
		}
	case Check:
		e.Left.print(b)
		b.WriteByte(' ')
		b.WriteString(string(e.Op))
		if e.Right != nil {
			b.WriteByte(' ')
			e.Right.print(b)
		}
	}
}

// String prints the operand as Falco prints it.
func (o *Operand) String() string {
	var b strings.Builder
	o.print(&b)
	return b.String()
}

func (o *Operand) print(b *strings.Builder) {
	switch {
	case o.Field != "":
		b.WriteString(o.Field)
		if o.Arg != "" {
			b.WriteString("[" + Escape(o.Arg) + "]")
		}
	case o.Func != "":
		b.WriteString(o.Func)
		b.WriteByte('(')
		for i, a := range o.Args {
			if i > 0 {
				b.WriteString(", ")
			}
			a.print(b)
		}
		b.WriteByte(')')
	case o.List:
		b.WriteByte('(')
		for i, v := range o.Values {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(Escape(v))
		}
		b.WriteByte(')')
	default:
		b.WriteString(Escape(o.Values[0]))
	}
}

// Name is the field with its argument, as conditions write it: proc.aname[2].
func (o *Operand) Name() string {
	if o.Arg == "" {
		return o.Field
	}
	return o.Field + "[" + o.Arg + "]"
}

var escaper = strings.NewReplacer("\b", `\b`, "\f", `\f`, "\n", `\n`, "\r", `\r`, "\t", `\t`, `\`, `\\`, `"`, `\"`)

// Escape writes a value as Falco prints it: in quotes when it holds a blank, a
// quote, an equals sign or something to escape.
func Escape(s string) string {
	if !strings.ContainsAny(s, "\b\f\n\r\t =\\\"'") {
		return s
	}
	return `"` + escaper.Replace(s) + `"`
}
