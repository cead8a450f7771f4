// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep parentheses, negations and transformers may nest. Falco
// has a limit that it does not heed; it crashes somewhere between 8,000 and 9,000.
const MaxDepth = 8_000

// Parse parses a condition in which all lists have been put in place of their
// names. Macros stay in the tree as nodes of [Macro] without a body. An error
// is an [*Error].
func Parse(t *Text) (*Expr, error) {
	p := &parser{text: t, in: t.String()}
	if p.in == "" {
		return nil, errorAt(t, 0, "the condition is empty")
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.pos != len(p.in) {
		err := p.errorf("unexpected %s, expecting 'and', 'or' or the end", p.next())
		if p.in[p.pos] == ')' {
			return nil, err.hint("a ')' too many?")
		}
		for _, t := range newTransformers {
			if p.in[p.pos] == '(' && strings.HasSuffix(p.in[:p.pos], t) {
				return nil, err.hint("%s() came with an engine newer than 0.58, after Falco 0.43", t)
			}
		}
		return nil, err
	}
	return e, nil
}

// newTransformers came after engine 0.58.
var newTransformers = []string{"join", "concat", "getopt"}

// ParseString parses a condition that comes from no file.
func ParseString(s string) (*Expr, error) { return Parse(NewText(s)) }

// parser is a recursive descent over the text. What its tokens are is fixed by
// Falco's parser, down to where it asks for a blank and where it does not.
type parser struct {
	text  *Text
	in    string
	pos   int
	depth int
}

func (p *parser) errorf(format string, args ...any) *Error {
	return errorAt(p.text, p.pos, format, args...)
}

// next is the next word, for messages.
func (p *parser) next() string {
	rest := p.in[p.pos:]
	if rest == "" {
		return "the end of the condition"
	}
	n := strings.IndexAny(rest, " \t\r\n")
	if n < 0 {
		n = len(rest)
	}
	if n > 40 {
		return "'" + strings.ToValidUTF8(rest[:40], "") + "…'"
	}
	return "'" + rest[:max(n, 1)] + "'"
}

func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.errorf("the condition nests deeper than %d levels", MaxDepth)
	}
	return nil
}

func (p *parser) or() (*Expr, error) { return p.sequence(Or, "or", p.and) }

func (p *parser) and() (*Expr, error) { return p.sequence(And, "and", p.not) }

// sequence parses one or more operands with the word between them. After the
// word must be a blank or a parenthesis.
func (p *parser) sequence(kind Kind, word string, operand func() (*Expr, error)) (*Expr, error) {
	p.blank()
	e := &Expr{Kind: kind, Text: p.text, Off: p.pos}
	next := operand
	for {
		child, err := next()
		if err != nil {
			return nil, err
		}
		e.Children = append(e.Children, child)
		e.End = p.pos
		p.blank()
		if !p.str(word) {
			break
		}
		switch {
		case p.blank():
			next = operand
		case p.peek('('): // "or(a) and b" is an error to Falco
			next = p.check
		default:
			return nil, p.errorf("expected a blank or '(' after '%s'", word)
		}
	}
	if len(e.Children) == 1 {
		return e.Children[0], nil
	}
	return e, nil
}

func (p *parser) not() (*Expr, error) {
	p.blank()
	start, negated := p.pos, false
	for {
		if rest, ok := strings.CutPrefix(p.in[p.pos:], "not"); ok && (rest != "" && (isSpace(rest[0]) || rest[0] == '(')) {
			p.pos += len("not")
			negated = !negated
			if rest[0] == '(' {
				break
			}
			for p.pos < len(p.in) && isSpace(p.in[p.pos]) {
				p.pos++
			}
			continue
		}
		break
	}
	child, err := p.check()
	if err != nil {
		return nil, err
	}
	if !negated {
		return child, nil
	}
	return &Expr{Kind: Not, Children: []*Expr{child}, Text: p.text, Off: start, End: p.pos}, nil
}

func (p *parser) check() (*Expr, error) {
	p.blank()
	start := p.pos
	if p.str("(") {
		if err := p.enter(); err != nil {
			return nil, err
		}
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		p.blank()
		if !p.str(")") {
			return nil, p.errorf("expected ')' before %s", p.next()).hint("the '(' is at %s", p.text.Pos(start))
		}
		p.depth--
		return e, nil
	}
	left, err := p.field()
	if err != nil {
		return nil, err
	}
	if left == nil {
		left, err = p.transformer(true)
		if err != nil {
			return nil, err
		}
	}
	if left != nil {
		return p.condition(left)
	}
	if name := p.identifier(); name != "" {
		return &Expr{Kind: Macro, Name: name, Text: p.text, Off: start, End: p.pos}, nil
	}
	return nil, p.errorf("expected '(', a field or the name of a macro before %s", p.next())
}

// field parses a field with its argument, if there is one here.
func (p *parser) field() (*Operand, error) {
	n := fieldName(p.in[p.pos:])
	if n == 0 {
		return nil, nil
	}
	o := &Operand{Field: p.in[p.pos : p.pos+n], Text: p.text, Off: p.pos}
	p.pos += n
	if !p.str("[") {
		return o, nil
	}
	arg, ok, err := p.quoted()
	if err != nil {
		return nil, err
	}
	if !ok {
		if arg = p.word(`]["'`); arg == "" {
			return nil, p.errorf("expected the argument of %s: a quoted or a bare string", o.Field)
		}
	}
	if !p.str("]") {
		return nil, p.errorf("expected ']' after the argument of %s", o.Field)
	}
	o.Arg, o.HasArg = arg, true
	return o, nil
}

// transformer parses a transformer with its arguments, if there is one here. On
// the left of a check, val() is none.
func (p *parser) transformer(left bool) (*Operand, error) {
	start := p.pos
	name := ""
	for _, t := range allTransformers {
		if strings.HasPrefix(p.in[p.pos:], t+"(") && !(left && t == "val") {
			name = t
			break
		}
	}
	if name == "" {
		return nil, nil
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.pos += len(name) + 1
	o := &Operand{Func: name, Text: p.text, Off: start}
	p.blank()
	arg, err := p.argument(name)
	if err != nil {
		return nil, err
	}
	o.Args = []*Operand{arg}
	p.blank()
	if !p.str(")") {
		return nil, p.errorf("expected ')' at the end of %s(", name)
	}
	p.depth--
	return o, nil
}

// argument parses the argument of a transformer: a field, or another transformer,
// which val does not take.
func (p *parser) argument(of string) (*Operand, error) {
	if o, err := p.field(); o != nil || err != nil {
		return o, err
	}
	if of != "val" {
		if o, err := p.transformer(true); o != nil || err != nil {
			return o, err
		}
	}
	return nil, p.errorf("expected a field or a transformer in %s(", of)
}

// condition parses what follows the left side of a check.
func (p *parser) condition(left *Operand) (*Expr, error) {
	e := &Expr{Kind: Check, Left: left, Text: p.text, Off: left.Off}
	p.blank()
	at := p.pos
	var err error
	switch {
	case p.str(string(OpExists)):
		e.Op = OpExists
	case p.operator(numOps, &e.Op):
		e.Right, err = p.right(p.number, "a number")
	case p.operator(strOps, &e.Op):
		if err = p.noModifier(e.Op); err == nil {
			e.Right, err = p.right(nil, "a string")
		}
	case p.operator(listOps, &e.Op):
		e.Right, err = p.list()
	default:
		p.pos = at
		return nil, p.errorf("expected an operator after %s, not %s", left, p.next()).hint("one of %s", operatorNames())
	}
	if err != nil {
		return nil, err
	}
	e.End = p.pos
	return e, nil
}

// right parses the one value or the transformer on the right of a check.
func (p *parser) right(token func() string, what string) (*Operand, error) {
	p.blank()
	start := p.pos
	if o, err := p.transformer(false); o != nil || err != nil {
		return o, err
	}
	var s string
	var ok bool
	if token != nil {
		s = token()
		ok = s != ""
	} else {
		var err error
		if s, ok, err = p.stringValue(); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, p.errorf("expected %s or a transformer before %s", what, p.next())
	}
	return &Operand{Const: true, Values: []string{s}, offs: []int{start}, Text: p.text, Off: start}, nil
}

// stringValue parses a quoted or a bare string.
func (p *parser) stringValue() (string, bool, error) {
	if s, ok, err := p.quoted(); ok || err != nil {
		return s, ok, err
	}
	s := p.word(`()"'=,`)
	return s, s != "", nil
}

// list parses what stands on the right of a list operator: values in
// parentheses, a transformer, or a bare word.
func (p *parser) list() (*Operand, error) {
	p.blank()
	o := &Operand{Const: true, Text: p.text, Off: p.pos}
	if p.str("(") {
		o.List = true
		for p.blank(); ; p.blank() {
			start := p.pos
			s, ok, err := p.stringValue()
			if err != nil {
				if len(o.Values) == 0 && p.pos > start {
					break // Falco takes a list that begins with a wrong escape for an empty one
				}
				return nil, err
			}
			if !ok {
				if len(o.Values) == 0 {
					break // an empty list
				}
				return nil, p.errorf("expected a value in the list before %s", p.next())
			}
			o.Values = append(o.Values, s)
			o.offs = append(o.offs, start)
			p.blank()
			if !p.str(",") {
				break
			}
		}
		if !p.str(")") {
			return nil, p.errorf("expected ')' or ',' in the list before %s", p.next())
		}
		return o, nil
	}
	if t, err := p.transformer(false); t != nil || err != nil {
		return t, err
	}
	if name := p.identifier(); name != "" {
		o.Bare = true
		o.Values = []string{name}
		o.offs = []int{o.Off}
		return o, nil
	}
	return nil, p.errorf("expected a list or a transformer before %s", p.next()).hint("write the values in parentheses: in (a, b)")
}

// noModifier refuses what newer engines know: a word before a list of values. To
// this one the word is the value, and the list cannot follow it.
func (p *parser) noModifier(op Op) error {
	start := p.pos
	p.blank()
	for _, m := range []string{"oneof", "anyof", "allof"} {
		at := p.pos
		if p.str(m) && p.blank() && p.peek('(') {
			p.pos = at
			return p.errorf("'%s %s' came with engine 0.62, after Falco 0.43", op, m).hint("write a check for each value, with 'or' between them")
		}
		p.pos = at
	}
	p.pos = start
	return nil
}

// operator takes one of ops. After those that are words must be a blank, but
// not after those with a list, nor after exists.
func (p *parser) operator(ops []Op, out *Op) bool {
	start := p.pos
	for _, op := range ops {
		if !p.str(string(op)) {
			continue
		}
		isWord := op[0] >= 'a' && op[0] <= 'z'
		if isWord && !IsListOperator(string(op)) && !p.blank() {
			p.pos = start
			continue
		}
		*out = op
		return true
	}
	return false
}

// Below are the tokens.

func (p *parser) peek(c byte) bool { return p.pos < len(p.in) && p.in[p.pos] == c }

func (p *parser) str(s string) bool {
	if strings.HasPrefix(p.in[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) blank() bool {
	start := p.pos
	for p.pos < len(p.in) && strings.IndexByte(" \t\b\r\n", p.in[p.pos]) >= 0 {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) identifier() string {
	n := identifier(p.in[p.pos:])
	p.pos += n
	return p.in[p.pos-n : p.pos]
}

// word takes all up to a blank, one of the bytes in stop, or what is no UTF-8.
func (p *parser) word(stop string) string {
	start := p.pos
	for p.pos < len(p.in) && !isSpace(p.in[p.pos]) && strings.IndexByte(stop, p.in[p.pos]) < 0 {
		size := 1
		if p.in[p.pos] >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(p.in[p.pos:]); r == utf8.RuneError && size == 1 {
				break
			}
		}
		p.pos += size
	}
	return p.in[start:p.pos]
}

// number takes 0x1F, or -12, 1.5, 2e+3.
func (p *parser) number() string {
	s := p.in[p.pos:]
	n := 0
	digits := func(set string) bool {
		start := n
		for n < len(s) && strings.IndexByte(set, s[n]) >= 0 {
			n++
		}
		return n > start
	}
	const dec, hex = "0123456789", "0123456789abcdefABCDEF"
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X") {
		if n = 2; digits(hex) {
			p.pos += n
			return s[:n]
		}
		n = 0
	}
	if s != "" && (s[0] == '+' || s[0] == '-') {
		n++
	}
	if !digits(dec) {
		return ""
	}
	if n < len(s) && s[n] == '.' {
		n++
		digits(dec)
	}
	if end := n; n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		n++
		if !(n < len(s) && (s[n] == '+' || s[n] == '-')) {
			n = end
		} else if n++; !digits(dec) {
			n = end
		}
	}
	p.pos += n
	return s[:n]
}

// quoted takes a string in ' or ". A quote right after a backslash does not end
// it, not even when that backslash is escaped itself; so does Falco.
func (p *parser) quoted() (string, bool, error) {
	if !p.peek('"') && !p.peek('\'') {
		return "", false, nil
	}
	start, quote := p.pos, p.in[p.pos]
	for i := start + 1; i < len(p.in) && p.in[i] != 0; i++ { // strings end at a zero byte
		if p.in[i] == quote && p.in[i-1] != '\\' {
			p.pos = i + 1
			s, err := p.unescape(start+1, i, quote)
			return s, err == nil, err
		}
	}
	return "", false, p.errorf("the string has no closing %c", quote)
}

func (p *parser) unescape(start, end int, quote byte) (string, error) {
	raw := p.in[start:end]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, nil
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			continue
		}
		if i++; i == len(raw) {
			break // a backslash at the very end stands for nothing
		}
		switch c := raw[i]; c {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case ' ', '\\': // "\ " is a backslash to Falco, for the sake of old rules
			b.WriteByte('\\')
		case '/':
			b.WriteByte('/')
		case '"', '\'':
			if c != quote {
				return "", errorAt(p.text, start+i-1, `invalid escape \%c in a string quoted with %c`, c, quote)
			}
			b.WriteByte(c)
		default:
			return "", errorAt(p.text, start+i-1, `unsupported escape \%c in a string`, c).hint(`for a backslash write \\`)
		}
	}
	return b.String(), nil
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// identifier returns the length of the identifier at the start of s.
func identifier(s string) int {
	if s == "" || !isLetter(s[0]) {
		return 0
	}
	n := 1
	for n < len(s) && (isLetter(s[n]) || s[n] >= '0' && s[n] <= '9' || s[n] == '_') {
		n++
	}
	return n
}

// fieldName returns the length of the field's name at the start of s: two or
// more identifiers with dots between them.
func fieldName(s string) int {
	n, parts := 0, 0
	for {
		k := identifier(s[n:])
		if k == 0 {
			break
		}
		n += k
		parts++
		if n == len(s) || s[n] != '.' || identifier(s[n+1:]) == 0 {
			break
		}
		n++
	}
	if parts < 2 {
		return 0
	}
	return n
}

// IsIdentifier tells whether s can be the name of a macro.
func IsIdentifier(s string) bool { return s != "" && identifier(s) == len(s) }

// IsBareString tells whether s can stand in a condition without quotes.
func IsBareString(s string) bool {
	p := parser{in: s}
	return s != "" && p.word(`()"'=,`) == s
}

func operatorNames() string {
	var names []string
	for _, op := range Operators() {
		names = append(names, string(op))
	}
	return strings.Join(names, " ")
}
