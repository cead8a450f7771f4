// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/spelling"
)

// check types a check and returns its index.
func (c *Compiler) check(e *Expr, r *Result) (int32, error) {
	left, err := c.operand(e.Left, r)
	if err != nil {
		return 0, err
	}
	if left < 0 { // of a plugin that is not here: nothing to type
		if e.Right != nil && !e.Right.Const {
			if _, err := c.operand(e.Right, r); err != nil {
				return 0, err
			}
		}
		return c.never(), nil
	}
	s := &c.prog.slots[left]
	ck := check{op: e.Op, left: left, right: -1, typ: s.typ, list: s.list}
	if ck.op == OpEqEq {
		ck.op = OpEq
	}
	if s.typ == Dynamic {
		return 0, errorAt(e.Text, e.Off, "%s has no type that could be compared", s.name)
	}
	if !supports(s.typ, s.list, ck.op) {
		return 0, errorAt(e.Text, e.Off, "operator '%s' is not supported for %s fields: %s is of type %s", e.Op, kindOf(s.typ, s.list), e.Left, typeName(s)).
			hint("it takes %s", supported(s.typ, s.list))
	}
	switch f := c.field(left); {
	case e.Op == OpExists:
	case f.NoCompare:
		return 0, errorAt(e.Text, e.Off, "operator '%s' is not supported for %s, of which only 'exists' can be asked", e.Op, e.Left)
	case f.NoConst && e.Right.Const:
		return 0, errorAt(e.Text, e.Right.Off, "Falco reads no values of the type of %s", e.Left)
	}
	switch {
	case e.Op == OpExists:
		ck.want = always{}
		return c.internCheck(ck, "exists"), nil
	case !e.Right.Const:
		return c.checkFields(e, ck, r)
	}
	return c.checkConst(e, ck, r)
}

// checkFields types a check with a field or a transformer on the right.
func (c *Compiler) checkFields(e *Expr, ck check, r *Result) (int32, error) {
	right, err := c.operand(e.Right, r)
	if err != nil {
		return 0, err
	}
	if right < 0 {
		return c.never(), nil
	}
	ls, rs := &c.prog.slots[ck.left], &c.prog.slots[right]
	switch {
	case ck.op == OpPMatch || ck.op == OpRegex:
		return 0, errorAt(e.Text, e.Right.Off, "operator '%s' takes no field on the right", e.Op)
	case ls.typ == IPNet:
		return 0, errorAt(e.Text, e.Right.Off, "%s takes no field on the right", e.Left)
	case c.noRight(ck.left):
		return 0, errorAt(e.Text, e.Right.Off, "%s takes no field on the right", e.Left)
	case c.noRight(right):
		return 0, errorAt(e.Text, e.Right.Off, "%s cannot stand on the right of a check", e.Right)
	case ls.typ != rs.typ || ls.list != rs.list:
		return 0, errorAt(e.Text, e.Right.Off, "%s is of type %s and cannot be compared with %s of type %s", e.Left, typeName(ls), e.Right, typeName(rs))
	}
	ck.right = right
	return c.internCheck(ck, strconv.Itoa(int(right))), nil
}

// noRight tells whether a slot's field takes no part in checks between fields.
func (c *Compiler) noRight(i int32) bool {
	s := &c.prog.slots[i]
	for s.field == nil {
		s = &c.prog.slots[s.of]
	}
	return s.field.NoRight || s.any
}

// checkConst types a check with constants on the right.
func (c *Compiler) checkConst(e *Expr, ck check, r *Result) (int32, error) {
	s := &c.prog.slots[ck.left]
	if strings.HasPrefix(s.name, "evt.around[") && ck.op != OpEq {
		return 0, errorAt(e.Text, e.Off, "evt.around supports the operator '=' only")
	}
	key := strings.Join(e.Right.Values, "\x00")
	if i, ok := c.findCheck(ck, key); ok && !c.suspicious[i] {
		return i, nil
	}
	var strs []string
	var nums []int64
	var addrs []netip.Addr
	var nets []netip.Prefix
	before := len(r.Warnings) + len(r.Remarks)
	for i, text := range e.Right.Values {
		v, n, err := parseValue(s.typ, ck.op, text)
		if err != nil {
			return 0, errorAt(e.Text, e.Right.offs[i], "%s is of type %s: %w", e.Left, typeName(s), err)
		}
		if c.types != nil && !c.types[text] && c.field(ck.left).Name == "evt.type" {
			err := errorAt(e.Text, e.Right.offs[i], "unknown event type %s", text)
			err.UnknownField = true
			if near := spelling.Nearest(text, c.typeNames()); near != "" {
				err.hint("did you mean %s?", near)
			}
			return 0, err
		}
		switch {
		case isString(s.typ):
			strs = append(strs, v.Str)
		case s.typ == IPAddr:
			addrs = append(addrs, v.Addr)
		case s.typ == IPNet:
			nets = append(nets, n)
		default:
			nums = append(nums, v.Num)
		}
		c.warn(e, i, r)
	}
	if s.any && s.typ == IPNet && len(nets) > 1 {
		// fd.net compares with the first network alone, in every version up
		// to 0.43.
		nets = nets[:1]
		r.Remarks = append(r.Remarks, errorAt(e.Text, e.Right.offs[1], "Falco compares %s with the first value of a list only", e.Left).
			hint("write a check for each network, with 'or' between them"))
	}
	switch {
	case len(e.Right.Values) == 0:
		ck.want, ck.none = never, true
	case s.any && (ck.op == OpIn || ck.op == OpIntersects) && !isString(s.typ) && s.typ != Port && s.typ != IPNet:
		// fd.ip and proc.apid: Falco 0.43 compares values of length zero here,
		// so that the check is never true.
		ck.want, ck.none = never, true
		r.Remarks = append(r.Remarks, errorAt(e.Text, e.Off, "Falco 0.43 never finds %s in a list", e.Left).
			hint("write %s = … for each value, with 'or' between them", e.Left))
	case s.typ == CharBuf && !s.list && !s.any && (ck.op == OpEq || ck.op == OpNe || ck.op == OpIn || ck.op == OpIntersects):
		ck.words = s.wordSet(strs, ck.op == OpNe)
	case isString(s.typ):
		m, err := c.stringMatcher(e, ck.op, strs, r)
		if err != nil {
			return 0, err
		}
		ck.want = m
	case s.typ == IPAddr && ck.op == OpNe:
		ck.want = negated{addrEq(addrs[0])}
	case s.typ == IPAddr && len(addrs) == 1:
		ck.want = addrEq(addrs[0])
	case s.typ == IPAddr:
		ck.want = addrSet(addrs)
	case s.typ == IPNet && ck.op == OpNe:
		ck.want = negated{netSet(nets)}
	case s.typ == IPNet:
		ck.want = netSet(nets)
	case s.typ == Double:
		ck.want = floatMatcher(ck.op, nums)
	default:
		ck.want = numberMatcher(s.typ, ck.op, nums)
	}
	ck.any = s.any
	if s.any && ck.op == OpNe && c.field(ck.left).NotEqualAll {
		ck.any, ck.all = false, true
	}
	i := c.internCheck(ck, key)
	if len(r.Warnings)+len(r.Remarks) > before {
		c.suspicious[i] = true
	}
	return i, nil
}

func (c *Compiler) field(i int32) *Field {
	s := &c.prog.slots[i]
	for s.field == nil {
		s = &c.prog.slots[s.of]
	}
	return s.field
}

// findCheck returns the check that is equal to ck with right on its right side,
// if there is one.
func (c *Compiler) findCheck(ck check, right string) (int32, bool) {
	i, ok := c.checks[checkKey{ck.left, ck.right, ck.op, right}]
	return i, ok
}

func (c *Compiler) internCheck(ck check, right string) int32 {
	if i, ok := c.findCheck(ck, right); ok {
		return i
	}
	i := int32(len(c.prog.checks))
	c.prog.checks = append(c.prog.checks, ck)
	c.checks[checkKey{ck.left, ck.right, ck.op, right}] = i
	return i
}

// never returns a check that stands for what cannot be evaluated.
func (c *Compiler) never() int32 {
	i := c.internSlot(slot{name: "", field: &Field{}})
	return c.internCheck(check{op: OpExists, left: i, right: -1, want: always{}}, "")
}

// checkCost estimates what a check costs in comparison with others.
func (c *Compiler) checkCost(i int32) int {
	ck := &c.prog.checks[i]
	s := &c.prog.slots[ck.left]
	if s.name == "evt.type" {
		return 0 // also the one that tells most
	}
	cost := 2
	switch ck.want.(type) {
	case nil, numEq, numNe, intOrder, uintOrder, always: // nil: words
		cost = 1
	case *strSet, strPrefix, strSuffix, addrSet, netSet, numSet:
		cost = 3
	case strContains, strFold, strGlob, pathSet:
		cost = 8
	case strRegex:
		cost = 60
	}
	if s.field == nil || s.any || s.list {
		cost += 10
	}
	return cost
}

func (c *Compiler) typeNames() []string {
	names := make([]string, 0, len(c.types))
	for t := range c.types {
		names = append(names, t)
	}
	slices.Sort(names)
	return names
}

// supported lists the operators of a type.
func supported(t Type, list bool) string {
	var ops []string
	for _, op := range Operators() {
		if op != OpEqEq && supports(t, list, op) {
			ops = append(ops, string(op))
		}
	}
	return strings.Join(ops, " ")
}

func typeName(s *slot) string {
	if s.list {
		return s.typ.String() + " list"
	}
	return s.typ.String()
}
