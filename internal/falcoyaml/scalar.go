// SPDX-License-Identifier: Apache-2.0

package falcoyaml

import "unicode/utf8"

// style is how a scalar is written.
type style uint8

const (
	plain style = iota
	plainInFlow
	singleQuoted
	doubleQuoted
	literal
	folded
)

// chomp says what becomes of the line ends at the end of a block scalar.
type chomp uint8

const (
	clip chomp = iota
	strip
	keep
)

// scalar is a value while it is read.
type scalar struct {
	style        style
	indent       int  // what lines begin with that is not part of the value
	detectIndent bool // the first line that is not empty tells
	chomp        chomp

	value   []byte
	runs    []run
	escaped int // the length of value after the last escape, -1 without one
	// newLine: it ended because a line begins further to the left.
	newLine bool
}

func (c *scalar) write(b []byte, src int) {
	if len(b) == 0 {
		return
	}
	if n := len(c.runs); n == 0 || c.runs[n-1].src+len(c.value)-c.runs[n-1].off != src {
		c.runs = append(c.runs, run{len(c.value), src})
	}
	c.value = append(c.value, b...)
}

func (c *scalar) cut(n int) {
	c.value = c.value[:n]
	for len(c.runs) > 0 && c.runs[len(c.runs)-1].off >= n {
		c.runs = c.runs[:len(c.runs)-1]
	}
}

func (c *scalar) quoted() bool { return c.style == singleQuoted || c.style == doubleQuoted }

func (c *scalar) block() bool { return c.style == literal || c.style == folded }

// escape is the byte that begins an escape; a zero byte does where there are none.
func (c *scalar) escape() byte {
	switch c.style {
	case singleQuoted:
		return '\''
	case doubleQuoted:
		return '\\'
	}
	return 0
}

// atEnd tells whether the scalar ends here, other than by its indentation.
func (s *scanner) atEnd(st style) bool {
	c := s.at(0)
	switch st {
	case singleQuoted:
		return c == '\'' && s.at(1) != '\''
	case doubleQuoted:
		return c == '"'
	case literal, folded:
		return c == end
	case plainInFlow:
		if in(c, ",?[]{}") || c == ':' && (ends(s.at(1)) || in(s.at(1), ",]}")) {
			return true
		}
	case plain:
		if c == ':' && ends(s.at(1)) {
			return true
		}
	}
	if isBlank(c) {
		return s.at(1) == '#'
	}
	n := s.breakLen(0)
	return n > 0 && s.at(n) == '#'
}

// scalar reads a scalar up to its end.
func (s *scanner) scalar(c *scalar) {
	c.escaped = -1
	var (
		found       bool         // a line that is not empty
		started     = !c.block() // the line end that a block scalar begins with is gone
		wasEmpty    bool
		wasMore     bool // the line before was indented further
		pending     int  // empty lines of a folded scalar
		pendingMore bool // they follow a line that was indented further
	)
	for s.more() {
		// The rest of the line.
		solid := len(c.value) // the length without blanks at the end
		continued := false    // the line end is escaped
		docMark := false
		chunk := s.pos
		for !s.atEnd(c.style) && !isBreak(s.at(0)) && s.more() {
			if s.column() == 0 && (s.docMark('-') || s.docMark('.')) && !c.block() {
				if c.quoted() {
					s.fail(s.pos, "is a quote missing?", "a new document begins in a string")
				}
				docMark = true
				break
			}
			found, started = true, true
			b := s.at(0)
			if b == c.escape() {
				c.write(s.text[chunk:s.pos], chunk)
				if b == '\\' && isBreak(s.at(1)) {
					s.next()
					continued = true
				} else {
					at := s.pos
					c.write(s.escape(), at)
				}
				chunk = s.pos
				solid, c.escaped = len(c.value), len(c.value)
				if continued {
					break
				}
				continue
			}
			s.next()
			if !isBlank(b) {
				solid = len(c.value) + s.pos - chunk
			}
		}
		c.write(s.text[chunk:s.pos], chunk)
		if !s.more() {
			if c.quoted() {
				s.fail(s.pos, "is a quote missing?", "the file ends in a string")
			}
			break
		}
		if docMark {
			break
		}
		if s.atEnd(c.style) {
			if c.quoted() {
				s.next()
			}
			break
		}
		if !c.block() {
			c.cut(solid)
		}

		// The line end, and what the next line begins with.
		at := s.pos
		s.skip(s.breakLen(0))
		for s.at(0) == ' ' && (s.column() < c.indent || c.detectIndent && !found) && !s.atEnd(c.style) {
			s.pos++
		}
		if c.detectIndent && !found {
			c.indent = max(c.indent, s.column())
		}
		for isBlank(s.at(0)) {
			if s.at(0) == '\t' && s.column() < c.indent && !c.quoted() {
				s.fail(s.pos, "write blanks instead", "a tab among the blanks that a line is indented by")
			}
			if c.block() || s.atEnd(c.style) {
				break
			}
			s.pos++
		}
		isEmpty, isMore := isBreak(s.at(0)), isBlank(s.at(0))
		if c.style == folded && pending == 0 && isEmpty {
			pendingMore = wasMore
		}
		if started {
			newLine := func() { c.write([]byte{'\n'}, at) }
			switch {
			case c.style == literal:
				newLine()
			case c.style != folded: // flow scalars
				if isEmpty {
					newLine()
				} else if !wasEmpty && !continued {
					c.write([]byte{' '}, at)
				}
			case !wasEmpty && !isEmpty && !wasMore && !isMore && s.column() >= c.indent:
				c.write([]byte{' '}, at)
			case isEmpty:
				pending++
			default:
				newLine()
			}
			if c.style == folded && !isEmpty && pending > 0 {
				for ; pending > 1; pending-- {
					newLine()
				}
				if pendingMore || isMore || !found {
					newLine()
				}
				pending = 0
			}
		}
		wasEmpty, wasMore, started = isEmpty, isMore, true
		if !isEmpty && s.column() < c.indent {
			c.newLine = true
			break
		}
	}
	c.finish()
}

// finish cuts what does not count at the end. As in yaml-cpp, the byte after an
// escape counts, whatever it is.
func (c *scalar) finish() {
	last := func(set string) int { // where the last byte is that is not in set
		i := len(c.value) - 1
		for i >= 0 && in(c.value[i], set) {
			i--
		}
		return max(i, c.escaped)
	}
	if !c.quoted() && !c.block() {
		if n := last(" \t") + 1; n > 0 && n < len(c.value) {
			c.cut(n)
		}
	}
	ends := c.chomp
	if !c.quoted() && !c.block() {
		ends = strip
	}
	switch n := last("\n") + 1; {
	case ends == keep || n >= len(c.value):
	case n == 0:
		c.cut(0)
	case ends == strip:
		c.cut(n)
	default:
		c.cut(n + 1)
	}
}

func (s *scanner) atPlain() bool {
	c, next := s.at(0), s.at(1)
	switch {
	case isBlankOrBreak(c) || in(c, ",[]{}#&*!|>'\"%@`"):
		return false
	case !s.inFlow():
		return !(in(c, "-?:") && ends(next))
	}
	return !(c == '?' || in(c, "-:") && (isBlank(next) || next == end))
}

func (s *scanner) plainScalar() {
	c := scalar{style: plain, indent: s.topColumn() + 1}
	if s.inFlow() {
		c = scalar{style: plainInFlow}
	}
	s.mayBeKey()
	pos := s.pos
	s.scalar(&c)
	s.keyAllowed, s.jsonFlow = c.newLine, false
	s.push(token{kind: tokenPlain, pos: pos, text: string(c.value), runs: c.runs})
}

func (s *scanner) quotedScalar() {
	c := scalar{style: doubleQuoted}
	if s.at(0) == '\'' {
		c.style = singleQuoted
	}
	s.mayBeKey()
	pos := s.pos
	s.next()
	s.scalar(&c)
	s.keyAllowed, s.scalarAllowed, s.jsonFlow = false, s.inFlow(), true
	s.push(token{kind: tokenQuoted, pos: pos, text: string(c.value), runs: c.runs})
}

func (s *scanner) blockScalar() {
	c := scalar{style: literal, indent: 1, detectIndent: true}
	pos := s.pos
	if s.next() == '>' {
		c.style = folded
	}
	isDigit := func(b byte) bool { return b >= '0' && b <= '9' }
	isChomp := func(b byte) bool { return b == '+' || b == '-' }
	n := 0
	switch a, b := s.at(0), s.at(1); {
	case isChomp(a) && isDigit(b), isDigit(a) && isChomp(b):
		n = 2
	case isChomp(a), isDigit(a):
		n = 1
	}
	for ; n > 0; n-- {
		switch b := s.next(); b {
		case '+':
			c.chomp = keep
		case '-':
			c.chomp = strip
		case '0':
			s.fail(s.pos, "", "a block of text cannot be indented by 0")
		default:
			c.indent, c.detectIndent = int(b-'0'), false
		}
	}
	for isBlank(s.at(0)) {
		s.next()
	}
	if s.at(0) == '#' {
		s.skipLine()
	}
	if s.more() && !isBreak(s.at(0)) {
		s.fail(s.pos, "begin the text on the next line, or put a value that begins with | or > into quotes", "text behind a | or >")
	}
	if top := s.topColumn(); top >= 0 {
		c.indent += top
	}
	s.scalar(&c)
	s.keyAllowed, s.jsonFlow = true, false
	s.push(token{kind: tokenQuoted, pos: pos, text: string(c.value), runs: c.runs})
}

// escapes are what single characters behind a backslash stand for. Two of them
// make no UTF-8 of their characters, as in yaml-cpp.
var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
	' ': " ", '"': `"`, '\'': "'", '\\': `\`, '/': "/", 'N': "\x85", '_': "\xa0", 'L': "\u2028", 'P': "\u2029",
}

// escape reads an escape and returns what it stands for.
func (s *scanner) escape() []byte {
	s.next()
	c := s.next()
	if text, ok := escapes[c]; ok {
		return []byte(text)
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits == 0 {
		s.fail(s.pos, `write \\ for a backslash, or use ' for the quotes`, "unknown escape %q", `\`+string(rune(c)))
	}
	start := s.pos
	s.skip(digits)
	value := uint32(0)
	for _, d := range s.text[start:s.pos] {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d >= 'a' && d <= 'f':
			d -= 'a' - 10
		case d >= 'A' && d <= 'F':
			d -= 'A' - 10
		default:
			s.fail(s.pos, "", `\%c takes %d hexadecimal digits`, c, digits)
		}
		value = value<<4 | uint32(d)
	}
	if s.pos-start < digits {
		s.fail(s.pos, "", `\%c takes %d hexadecimal digits`, c, digits)
	}
	if value >= 0xD800 && value <= 0xDFFF || value > utf8.MaxRune {
		s.fail(s.pos, "", "%d is no character of Unicode", value)
	}
	return utf8.AppendRune(nil, rune(value))
}
