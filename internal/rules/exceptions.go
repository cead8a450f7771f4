// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"

	"github.com/falcotest/go-falcotest/internal/falcoyaml"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// maxNesting is how deep the values of an exception may nest.
const maxNesting = 10

// exceptions reads the exceptions of a rule. When they are to be appended,
// fields may be missing.
func (r *reader) exceptions(n *falcoyaml.Node, out *[]*exception, add bool) error {
	seq := n.Get("exceptions")
	if seq == nil || seq.Kind == falcoyaml.Null {
		return nil
	}
	if seq.Kind != falcoyaml.Sequence {
		return r.fail(seq, "the exceptions of a rule must be a sequence")
	}
	for _, x := range seq.Items {
		if x.Kind != falcoyaml.Map {
			return r.fail(x, "an exception must be a mapping").hint("it has name, fields, comps and values")
		}
		ex := &exception{pos: r.file.pos(x)}
		if err := r.stringValue(x, "name", &ex.name); err != nil {
			return err
		}
		ex.pos.In = "exception " + ex.name
		r.checkKeys(x, []string{"name", "fields", "comps", "values"})
		for _, other := range *out {
			if other.name == ex.name {
				r.warn(ExceptionNameNotUnique, x, "the rule has several exceptions of the name %s", cut(ex.name, 60))
			}
		}
		if err := r.entryOf(x, "fields", &ex.fields, add); err != nil {
			return err
		}
		if err := r.entryOf(x, "comps", &ex.comps, true); err != nil {
			return err
		}
		values := x.Get("values")
		if values == nil {
			if add {
				r.warn(AppendNoValues, x, "the exception %s is appended to without values", cut(ex.name, 60))
			}
		} else {
			if values.Kind != falcoyaml.Sequence {
				return r.fail(values, "the values of an exception must be a sequence")
			}
			for _, v := range values.Items {
				var e entry
				if err := r.entry(v, &e, 0); err != nil {
					return err
				}
				ex.values = append(ex.values, e)
			}
		}
		*out = append(*out, ex)
	}
	return nil
}

func (r *reader) entryOf(m *falcoyaml.Node, key string, out *entry, optional bool) error {
	v := m.Get(key)
	if v == nil {
		if optional {
			return nil
		}
		return r.fail(m, "the exception has no key '%s'", key)
	}
	return r.entry(v, out, 0)
}

func (r *reader) entry(n *falcoyaml.Node, out *entry, depth int) error {
	if err := r.file.count(1); err != nil {
		return err
	}
	out.pos = r.file.pos(n)
	switch n.Kind {
	case falcoyaml.Scalar:
		if n.Value == "" {
			return r.fail(n, "the value must not be empty")
		}
		out.text = n.Value
	case falcoyaml.Sequence:
		if depth++; depth > maxNesting {
			return r.fail(n, "the values nest deeper than %d lists", maxNesting)
		}
		out.list = true
		for _, c := range n.Items {
			var e entry
			if err := r.entry(c, &e, depth); err != nil {
				return err
			}
			out.items = append(out.items, e)
		}
	}
	return nil // what is null or a mapping counts as nothing
}

// addExceptions appends exceptions to a rule: new ones, or values of ones that
// it has.
func (r *reader) addExceptions(u *rule, exs []*exception) error {
	for _, ex := range exs {
		var prev *exception
		for _, e := range u.exceptions {
			if e.name == ex.name {
				prev = e
				break
			}
		}
		switch {
		case prev == nil && !ex.fields.set():
			return r.invalid(ex.pos, "the exception %s must have a 'fields' property", ex.name).hint("the rule has no exception of that name to add values to")
		case prev == nil && len(ex.values) == 0:
			return r.invalid(ex.pos, "the exception %s must have a 'values' property with a list of values", ex.name)
		case prev == nil:
			if err := r.checkException(r.sources[u.source], ex); err != nil {
				return err
			}
			u.exceptions = append(u.exceptions, ex)
		case ex.fields.set():
			return r.invalid(ex.pos, "fields cannot be appended to the existing exception %s, only values", ex.name)
		case ex.comps.set():
			return r.invalid(ex.pos, "comps cannot be appended to the existing exception %s, only values", ex.name)
		default:
			prev.values = append(prev.values, ex.values...)
		}
	}
	return nil
}

// checkException fills in the operators that an exception does not name, and
// checks them and the fields. The source is nil when it is not known.
func (r *reader) checkException(src filter.Source, ex *exception) error {
	fields := []entry{ex.fields}
	if ex.fields.list {
		fields = ex.fields.items
		if !ex.comps.set() {
			ex.comps.list = true
			for range fields {
				ex.comps.items = append(ex.comps.items, entry{text: "="})
			}
		}
		if len(ex.comps.items) != len(fields) {
			return r.invalid(ex.pos, "the exception %s has %d fields but %d comps", ex.name, len(fields), len(ex.comps.items)).hint("give one comparison operator for each field")
		}
		for _, c := range ex.comps.items {
			if !filter.IsOperator(c.text) {
				return r.invalid(ex.pos, "'%s' is not a supported comparison operator", cut(c.text, 40))
			}
		}
	} else {
		if !ex.comps.set() {
			ex.comps.text = "in"
		}
		switch {
		case ex.comps.list:
			return r.invalid(ex.pos, "fields and comps of the exception %s must both be strings", ex.name).hint("write comps as one word, or fields as a list")
		case !filter.IsListOperator(ex.comps.text):
			return r.invalid(ex.pos, "with a single field, comps must be one of in, pmatch, intersects, not '%s'", cut(ex.comps.text, 40))
		}
	}
	if src == nil {
		return nil
	}
	for _, f := range fields {
		if err := checkField(src, f.text); err != nil {
			pos := f.pos
			pos.In = ex.pos.In
			return r.invalid(pos, "'%s' is not a supported filter field: %v", cut(f.text, 60), err)
		}
	}
	return nil
}

// checkField tells what is wrong with what stands on the left of a check.
func checkField(src filter.Source, s string) error {
	e, err := filter.ParseString(s + " exists")
	if err != nil {
		return err
	}
	if e.Kind != filter.Check {
		return errNoField
	}
	e.Left.Fields(func(o *filter.Operand) {
		if _, ferr := src.Field(o.Field, o.Arg, o.Arg != ""); ferr != nil && err == nil {
			err = ferr
		}
	})
	return err
}

// withExceptions is the rule's condition and not any of its exceptions.
func (u *rule) withExceptions() (*filter.Text, error) {
	if len(u.exceptions) == 0 {
		return u.cond, nil
	}
	out := &filter.Text{}
	out.WriteFixed("(", u.cond.Pos(0))
	out.WriteText(u.cond, 0, u.cond.Len())
	out.WriteFixed(")", u.cond.Pos(u.cond.Len()))
	for _, ex := range u.exceptions {
		t, err := ex.condition()
		if err != nil {
			return nil, err
		}
		if t.Len() > 0 {
			out.WriteFixed(" and not ", ex.pos)
			out.WriteText(t, 0, t.Len())
		}
		if out.Len() > maxFile {
			return nil, errTooLong
		}
	}
	return out, nil
}

// condition is what an exception excludes; empty when it has no values. The
// text is put together as Falco does, down to its quoting.
func (ex *exception) condition() (*filter.Text, error) {
	t := &filter.Text{}
	write := func(s string, at filter.Pos) {
		at.In = ex.pos.In
		if at.Line == 0 {
			at = ex.pos
		}
		t.WriteFixed(s, at)
	}
	if len(ex.values) == 0 {
		return t, nil
	}
	if !ex.fields.list {
		write("("+ex.fields.text+" "+ex.comps.text+" (", ex.fields.pos)
		for i, v := range ex.values {
			if v.list {
				return nil, &exceptionError{v.pos, ex, "the values of an exception with a single field must be strings, not lists"}
			}
			if i > 0 {
				write(", ", v.pos)
			}
			write(quote(v.text), v.pos)
		}
		write("))", ex.pos)
		return t, nil
	}
	write("(", ex.pos)
	for i, row := range ex.values {
		if len(row.items) != len(ex.fields.items) {
			return nil, &exceptionError{row.pos, ex, "fields and values of an exception must have equal length"}
		}
		if i > 0 {
			write(" or ", row.pos)
		}
		write("(", row.pos)
		for k, field := range ex.fields.items {
			if k > 0 {
				write(" and ", row.pos)
			}
			v, op := row.items[k], ex.comps.items[k].text
			write(" "+field.text+" "+op+" ", v.pos)
			switch {
			case v.list:
				write("(", v.pos)
				empty := true
				for _, item := range v.items {
					if !empty {
						write(", ", item.pos)
					}
					write(quote(item.text), item.pos)
					empty = empty && item.text == ""
				}
				write(")", v.pos)
			case filter.IsListOperator(op) && !strings.HasPrefix(v.text, "("):
				write("("+v.text+")", v.pos)
			case filter.IsListOperator(op):
				write(v.text, v.pos)
			default:
				write(quote(v.text), v.pos)
			}
		}
		write(")", row.pos)
	}
	write(")", ex.pos)
	return t, nil
}

// exceptionError is an error in the values of an exception.
type exceptionError struct {
	pos filter.Pos
	ex  *exception
	msg string
}

func (e *exceptionError) Error() string { return e.msg }

// public returns the exception as the set shows it.
func (ex *exception) public() *Exception {
	out := &Exception{Name: ex.name, Single: !ex.fields.list, Pos: ex.pos}
	if out.Single {
		out.Fields, out.Comps = []string{ex.fields.text}, []string{ex.comps.text}
	}
	for i := range ex.fields.items {
		out.Fields = append(out.Fields, ex.fields.items[i].text)
		out.Comps = append(out.Comps, ex.comps.items[i].text)
	}
	for _, row := range ex.values {
		if out.Single {
			out.Values = append(out.Values, []any{row.text})
			continue
		}
		var values []any
		for _, v := range row.items {
			if !v.list {
				values = append(values, v.text)
				continue
			}
			var items []string
			for _, it := range v.items {
				items = append(items, it.text)
			}
			values = append(values, items)
		}
		out.Values = append(out.Values, values)
	}
	return out
}
