// SPDX-License-Identifier: Apache-2.0

package filter

import "errors"

// operand returns the slot of an operand, or -1 when it is of a plugin that is
// not here.
func (c *Compiler) operand(o *Operand, r *Result) (int32, error) {
	if o.Field != "" {
		return c.fieldSlot(o, r)
	}
	of, err := c.operand(o.Args[0], r)
	if err != nil || of < 0 || o.Func == "val" {
		return of, err
	}
	arg := &c.prog.slots[of]
	if c.field(of).NoTransform {
		return 0, errorAt(o.Text, o.Off, "%s does not take transformers", o.Args[0])
	}
	t, list, ok := transformType(o.Func, arg.typ, arg.list)
	if !ok {
		return 0, errorAt(o.Text, o.Off, "%s() does not take %s of type %s", o.Func, o.Args[0], typeName(arg))
	}
	return c.internSlot(slot{name: o.String(), fn: o.Func, of: of, typ: t, list: list, any: arg.any}), nil
}

func (c *Compiler) fieldSlot(o *Operand, r *Result) (int32, error) {
	name := o.Name()
	res, ok := c.fields[name]
	if !ok {
		res.field, res.err = c.prog.source.Field(o.Field, o.Arg, o.Arg != "")
		c.fields[name] = res
	}
	if res.err != nil {
		err := errorAt(o.Text, o.Off, "%w", res.err)
		var wrong *ArgumentError
		err.UnknownField = !errors.As(res.err, &wrong)
		return 0, err
	}
	f := res.field
	if f.Unsupported != "" {
		r.Unsupported = appendNew(r.Unsupported, name+": "+f.Unsupported)
	}
	if f.Foreign {
		return -1, nil
	}
	return c.internSlot(slot{name: name, field: f, typ: f.Type, list: f.List, any: f.Any}), nil
}

func (c *Compiler) internSlot(s slot) int32 {
	if i, ok := c.slots[s.name]; ok {
		return i
	}
	i := int32(len(c.prog.slots))
	c.prog.slots = append(c.prog.slots, s)
	c.slots[s.name] = i
	return i
}
