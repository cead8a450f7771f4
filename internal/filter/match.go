// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"bytes"
	"errors"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// matcher is the right side of a check: it tells whether a value of the left
// side satisfies it.
type matcher interface {
	match(v *Value) bool
}

type (
	always      struct{}
	strEq       string
	strNe       string
	strContains string
	strFold     string // in lower case
	strPrefix   string
	strSuffix   string
	strGlob     struct {
		pattern string
		fold    bool
	}
	strOrder struct {
		op Op
		s  string
	}
	strRegex struct{ re *regexp.Regexp }
	numEq    int64
	numNe    int64
	intOrder struct {
		op Op
		n  int64
	}
	uintOrder struct {
		op Op
		n  uint64
	}
	floatOrder struct {
		op Op
		n  float64
	}
	numSet  []int64
	addrEq  netip.Addr
	addrSet []netip.Addr
	netSet  []netip.Prefix
	negated struct{ m matcher }
)

func (always) match(*Value) bool          { return true }
func (m strEq) match(v *Value) bool       { return v.Str == string(m) }
func (m strNe) match(v *Value) bool       { return v.Str != string(m) }
func (m strContains) match(v *Value) bool { return strings.Contains(v.Str, string(m)) }
func (m strFold) match(v *Value) bool     { return containsFold(v.Str, string(m)) }
func (m strPrefix) match(v *Value) bool   { return strings.HasPrefix(v.Str, string(m)) }
func (m strSuffix) match(v *Value) bool   { return strings.HasSuffix(v.Str, string(m)) }
func (m strGlob) match(v *Value) bool     { return glob(m.pattern, v.Str, m.fold) }
func (m strOrder) match(v *Value) bool    { return ordered(m.op, strings.Compare(v.Str, m.s)) }
func (m numEq) match(v *Value) bool       { return v.Num == int64(m) }
func (m numNe) match(v *Value) bool       { return v.Num != int64(m) }
func (m intOrder) match(v *Value) bool    { return ordered(m.op, compare(v.Num, m.n)) }
func (m uintOrder) match(v *Value) bool   { return ordered(m.op, compare(uint64(v.Num), m.n)) }
func (m floatOrder) match(v *Value) bool  { return ordered(m.op, compare(v.Float, m.n)) }
func (m addrEq) match(v *Value) bool      { return v.Addr == netip.Addr(m) }
func (m negated) match(v *Value) bool     { return !m.m.match(v) }

func (m strRegex) match(v *Value) bool { return m.re.MatchString(v.Str) }

// never is no value.
var never = negated{always{}}

func (m numSet) match(v *Value) bool {
	for _, n := range m {
		if n == v.Num {
			return true
		}
	}
	return false
}

func (m addrSet) match(v *Value) bool {
	for _, a := range m {
		if a == v.Addr {
			return true
		}
	}
	return false
}

func (m netSet) match(v *Value) bool {
	for _, n := range m {
		if n.Contains(v.Addr) {
			return true
		}
	}
	return false
}

type pathSet struct{ tree *paths }

func (m pathSet) match(v *Value) bool { return m.tree.match(v.Str) }

// strSet is a set of strings. Most values that are looked up are not in it, and
// most of those have a length that none of its members has.
type strSet struct {
	lengths uint64 // bit n: some member has n bytes; bit 63: or more
	few     []string
	many    map[string]struct{}
}

func newStrSet(values []string) *strSet {
	m := &strSet{}
	for _, s := range values {
		m.lengths |= 1 << min(len(s), 63)
	}
	if len(values) <= 4 {
		m.few = values
		return m
	}
	m.many = make(map[string]struct{}, len(values))
	for _, s := range values {
		m.many[s] = struct{}{}
	}
	return m
}

func (m *strSet) match(v *Value) bool {
	if m.lengths>>min(len(v.Str), 63)&1 == 0 {
		return false
	}
	if m.many != nil {
		_, ok := m.many[v.Str]
		return ok
	}
	for _, s := range m.few {
		if s == v.Str {
			return true
		}
	}
	return false
}

func ordered(op Op, c int) bool {
	switch op {
	case OpLt:
		return c < 0
	case OpLe:
		return c <= 0
	case OpGt:
		return c > 0
	case OpGe:
		return c >= 0
	}
	return false
}

func compare[T int64 | uint64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// matchFields compares two values of one type, for checks with a field on the
// right.
func matchFields(op Op, t Type, list bool, a, b *Value) bool {
	switch op {
	case OpIn:
		if list {
			for i := range a.List {
				if !contains(t, b.List, &a.List[i]) {
					return false
				}
			}
			return true
		}
		return equal(t, a, b)
	case OpIntersects:
		if list {
			for i := range a.List {
				if contains(t, b.List, &a.List[i]) {
					return true
				}
			}
			return false
		}
		return equal(t, a, b)
	case OpEq:
		return equal(t, a, b)
	case OpNe:
		return !equal(t, a, b)
	case OpContains, OpBContains:
		return strings.Contains(a.Str, b.Str)
	case OpIContains:
		return bytes.Contains(bytes.ToLower([]byte(a.Str)), bytes.ToLower([]byte(b.Str)))
	case OpStartsWith, OpBStartsWith:
		return strings.HasPrefix(a.Str, b.Str)
	case OpEndsWith:
		return strings.HasSuffix(a.Str, b.Str)
	case OpGlob, OpIGlob:
		return glob(b.Str, a.Str, op == OpIGlob)
	}
	switch {
	case isString(t):
		return ordered(op, strings.Compare(a.Str, b.Str))
	case t == Double:
		return ordered(op, compare(a.Float, b.Float))
	case isUnsigned(t):
		return ordered(op, compare(uint64(a.Num), uint64(b.Num)))
	}
	return ordered(op, compare(a.Num, b.Num))
}

func equal(t Type, a, b *Value) bool {
	switch {
	case isString(t):
		return a.Str == b.Str
	case t == IPAddr || t == IPNet:
		return a.Addr == b.Addr
	case t == Double:
		return a.Float == b.Float
	}
	return a.Num == b.Num
}

func contains(t Type, list []Value, v *Value) bool {
	for i := range list {
		if equal(t, &list[i], v) {
			return true
		}
	}
	return false
}

type floatSet []float64

func (m floatSet) match(v *Value) bool {
	for _, f := range m {
		if f == v.Float {
			return true
		}
	}
	return false
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
