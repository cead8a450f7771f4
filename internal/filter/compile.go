// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/spelling"
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

// wordSet numbers the words and returns the set of them.
func (s *slot) wordSet(words []string, negated bool) *wordSet {
	if s.words == nil {
		s.words = map[string]int32{}
	}
	ids := make([]int32, len(words))
	for i, w := range words {
		id, ok := s.words[w]
		if !ok {
			id = int32(len(s.words))
			s.words[w] = id
			s.lengths |= 1 << min(len(w), 63)
		}
		ids[i] = id
	}
	set := &wordSet{negated: negated, low: slices.Min(ids) >> 6}
	set.bits = make([]uint64, slices.Max(ids)>>6-set.low+1)
	for _, id := range ids {
		set.bits[id>>6-set.low] |= 1 << (id & 63)
	}
	return set
}

func (c *Compiler) field(i int32) *Field {
	s := &c.prog.slots[i]
	for s.field == nil {
		s = &c.prog.slots[s.of]
	}
	return s.field
}

func (c *Compiler) stringMatcher(e *Expr, op Op, values []string, r *Result) (matcher, error) {
	s := values[0]
	switch op {
	case OpEq:
		return strEq(s), nil
	case OpNe:
		return strNe(s), nil
	case OpContains, OpBContains:
		return strContains(s), nil
	case OpIContains:
		return strFold(lowerASCII(s)), nil
	case OpStartsWith, OpBStartsWith:
		return strPrefix(s), nil
	case OpEndsWith:
		return strSuffix(s), nil
	case OpGlob, OpIGlob:
		return strGlob{s, op == OpIGlob}, nil
	case OpRegex:
		re, err := c.regexp(s)
		if err != nil {
			remark := errorAt(e.Text, e.Right.offs[0], "the regex '%s' never matches: %v", s, err)
			if syntaxErr := (*syntax.Error)(nil); errors.As(err, &syntaxErr) && syntaxErr.Code == syntax.ErrInvalidEscape {
				remark.hint("Falco reads RE2's POSIX syntax: write [0-9] for \\d, [[:space:]] for \\s")
			}
			r.Remarks = append(r.Remarks, remark)
			return never, nil
		}
		return strRegex{re}, nil
	case OpIn, OpIntersects:
		if len(values) == 1 {
			return strEq(s), nil
		}
		return newStrSet(values), nil
	case OpPMatch:
		tree := &paths{}
		for _, p := range values {
			tree.add(p)
		}
		return pathSet{tree}, nil
	}
	return strOrder{op, s}, nil
}

// regexp compiles a regular expression, which has to match the whole value:
// Falco anchors it at both ends. It is RE2's POSIX syntax, without \d and the
// like. Falco loads what is no regular expression, too, and never matches it.
func (c *Compiler) regexp(s string) (*regexp.Regexp, error) {
	if re := c.res[s]; re != nil {
		return re, nil
	}
	parsed, err := syntax.Parse(s, syntax.POSIX)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(`\A(?:` + parsed.String() + `)\z`)
	if err != nil {
		return nil, err
	}
	c.res[s] = re
	return re, nil
}

func numberMatcher(t Type, op Op, nums []int64) matcher {
	switch op {
	case OpEq:
		return numEq(nums[0])
	case OpNe:
		return numNe(nums[0])
	case OpIn, OpIntersects:
		if len(nums) == 1 {
			return numEq(nums[0])
		}
		return numSet(nums)
	}
	if isUnsigned(t) {
		return uintOrder{op, uint64(nums[0])}
	}
	return intOrder{op, nums[0]}
}

func floatMatcher(op Op, nums []int64) matcher {
	set := make(floatSet, len(nums))
	for i, n := range nums {
		set[i] = float64(n)
	}
	switch op {
	case OpEq, OpIn, OpIntersects:
		return set
	case OpNe:
		return negated{set}
	}
	return floatOrder{op, set[0]}
}

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

// warn adds what Falco says of constants that look like something else.
func (c *Compiler) warn(e *Expr, i int, r *Result) {
	text := e.Right.Values[i]
	bare := strings.Map(func(c rune) rune {
		if c < 0x80 && isSpace(byte(c)) {
			return -1
		}
		return c
	}, text)
	if e.Op == OpRegex && isSimpleRegex(text) {
		r.Warnings = append(r.Warnings, errorAt(e.Text, e.Right.offs[i], "the regex '%s' can be written with =, contains, startswith or endswith, which are faster", text))
	}
	if n := fieldName(bare); n > 0 && c.isClass(bare) && (n == len(bare) || bare[n] == '[' && strings.HasSuffix(bare, "]")) && c.isField(bare[:n], bare[n:]) {
		r.Warnings = append(r.Warnings, errorAt(e.Text, e.Right.offs[i], "'%s' is the name of a field, used here as a plain string", text).
			hint("to compare with the field write val(%s)", bare))
	}
	if !strings.HasSuffix(bare, ")") {
		return
	}
	for _, t := range append([]string{"val"}, transformers...) {
		if strings.HasPrefix(bare, t+"(") {
			r.Warnings = append(r.Warnings, errorAt(e.Text, e.Right.offs[i], "'%s' looks like a transformer, used here as a plain string", text))
		}
	}
}

// isClass tells whether a name may be a field's. Most values with a dot in them are
// names of files, and need not be looked up.
func (c *Compiler) isClass(name string) bool {
	s, ok := c.prog.source.(Classifier)
	return !ok || slices.Contains(s.FieldClasses(), name[:identifier(name)])
}

func (c *Compiler) isField(name, arg string) bool {
	res, ok := c.fields[name+arg]
	if !ok {
		res.field, res.err = c.prog.source.Field(name, strings.Trim(arg, "[]"), arg != "")
		c.fields[name+arg] = res
	}
	return res.err == nil
}

// isSimpleRegex tells whether an expression uses nothing that a plain string
// operator could not do: anchors, and any characters at the ends.
func isSimpleRegex(s string) bool {
	for i := 0; i < len(s); i++ {
		if i == 0 && s[i] == '^' || i == len(s)-1 && s[i] == '$' {
			continue
		}
		if (i == 0 && len(s) > 1 || i == len(s)-2) && s[i] == '.' && strings.IndexByte("+*?", s[i+1]) >= 0 {
			i++
			continue
		}
		if strings.IndexByte(`.+*?^$()[]{}|\`, s[i]) >= 0 {
			return false
		}
	}
	return true
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

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
