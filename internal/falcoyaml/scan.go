// SPDX-License-Identifier: Apache-2.0

package falcoyaml

import (
	"fmt"
	"strings"
)

// end is what stands behind the last byte of a text. The byte itself, within a
// text, ends what anything else would end, too.
const end = 0x04

// maxSimpleKey is how long a key without '?' may be, in bytes.
const maxSimpleKey = 1024

type tokenKind uint8

const (
	tokenDirective tokenKind = iota
	tokenDocStart
	tokenDocEnd
	tokenBlockSeqStart
	tokenBlockMapStart
	tokenBlockSeqEnd
	tokenBlockMapEnd
	tokenBlockEntry
	tokenFlowSeqStart
	tokenFlowMapStart
	tokenFlowSeqEnd
	tokenFlowMapEnd
	tokenFlowEntry
	tokenKey
	tokenValue
	tokenAnchor
	tokenAlias
	tokenTag
	tokenPlain
	tokenQuoted // and literal and folded scalars
)

// status tells whether a token or an indentation counts. What depends on whether
// a ':' follows is open until that is known.
type status uint8

const (
	valid status = iota
	invalid
	open
)

type token struct {
	kind   tokenKind
	status status
	pos    int
	text   string
	params []string // of a directive
	runs   []run
}

// indent is a block collection that begins at a column.
type indent struct {
	column int
	kind   indentKind
	status status
	start  int // number of its start token
}

type indentKind uint8

const (
	noCollection indentKind = iota
	blockMap
	blockSeq
)

// simpleKey is the place where a key might begin, should a ':' follow.
type simpleKey struct {
	pos, line int
	flow      int     // how many flow collections it is in
	indent    *indent // the map that would begin with it, if any
	key       int     // number of its key token
}

// scanner cuts a text into tokens. An error ends it by a panic with *Error, which
// Parse turns into an error again.
type scanner struct {
	text      []byte
	pos       int
	lineStart int
	lines     []int
	past      int  // how much was read past the end
	lineEnd   byte // the byte that ends lines: that of the first line end

	tokens []token
	head   int // the first token that was not taken
	taken  int // how many tokens were dropped from tokens
	ended  bool

	keyAllowed    bool // a simple key may begin here
	scalarAllowed bool // no quoted scalar stands on this line already
	jsonFlow      bool // a ':' needs no blank behind it, after "key" or a collection
	keys          []simpleKey
	indents       []*indent
	flows         []tokenKind // the flow collections that are open, by their start
}

func newScanner(text []byte) *scanner {
	return &scanner{
		text: text, lines: []int{0}, keyAllowed: true, scalarAllowed: true,
		indents: []*indent{{column: -1}},
	}
}

// fail ends the scan with an error at an offset.
func (s *scanner) fail(pos int, hint, format string, args ...any) {
	f := File{Text: s.text, lines: s.lines}
	line, column := f.Position(pos)
	if s.ended && pos == len(s.text) {
		column = 1 // as yaml-cpp has it
	} else if pos == len(s.text) {
		column += s.past
	}
	panic(&Error{Line: line, Column: column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// Below is how the text is read.

func (s *scanner) at(i int) byte {
	if p := s.pos + i; p < len(s.text) {
		return s.text[p]
	}
	return end
}

func (s *scanner) more() bool { return s.pos < len(s.text) }

func (s *scanner) column() int { return s.pos - s.lineStart }

func (s *scanner) next() byte {
	c := s.at(0)
	if !s.more() {
		s.past++
		return c
	}
	s.pos++
	if s.lineEnd == 0 && (c == '\n' || c == '\r') {
		s.lineEnd = '\n'
		if c == '\r' && s.at(0) != '\n' {
			s.lineEnd = '\r'
		}
	}
	if c == s.lineEnd { // before the first line end, a zero byte is one
		s.lineStart = s.pos
		s.lines = append(s.lines, s.pos)
	}
	return c
}

func (s *scanner) skip(n int) {
	for ; n > 0; n-- {
		s.next()
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isBreak(c byte) bool { return c == '\n' || c == '\r' }

func isBlankOrBreak(c byte) bool { return isBlank(c) || isBreak(c) }

// ends tells whether c can stand behind an indicator such as '-'.
func ends(c byte) bool { return isBlankOrBreak(c) || c == end }

// breakLen is the length of the line end at i, 0 when there is none.
func (s *scanner) breakLen(i int) int {
	switch {
	case s.at(i) == '\r' && s.at(i+1) == '\n':
		return 2
	case isBreak(s.at(i)):
		return 1
	}
	return 0
}

func in(c byte, set string) bool { return strings.IndexByte(set, c) >= 0 }

func (s *scanner) indicator(c byte) bool { return s.at(0) == c && ends(s.at(1)) }

func (s *scanner) docMark(c byte) bool {
	return s.at(0) == c && s.at(1) == c && s.at(2) == c && ends(s.at(3))
}

// Below is the queue of tokens.

// empty tells whether all tokens were taken. It scans until the next is certain.
func (s *scanner) empty() bool {
	for {
		if s.head < len(s.tokens) {
			switch s.tokens[s.head].status {
			case valid:
				return false
			case invalid:
				s.head++
				continue
			}
		}
		if s.ended {
			return s.head == len(s.tokens)
		}
		s.scan()
	}
}

// peek returns the next token; there must be one.
func (s *scanner) peek() *token {
	s.empty()
	return &s.tokens[s.head]
}

func (s *scanner) take() {
	if s.empty() {
		return
	}
	s.head++
	if s.head > 1<<10 && s.head > len(s.tokens)/2 {
		s.taken += s.head
		s.tokens = append(s.tokens[:0], s.tokens[s.head:]...)
		s.head = 0
	}
}

// push appends a token and returns its number.
func (s *scanner) push(t token) int {
	s.tokens = append(s.tokens, t)
	return s.taken + len(s.tokens) - 1
}

func (s *scanner) mark(number int, st status) { s.tokens[number-s.taken].status = st }

// Below are keys and indentations.

func (s *scanner) inFlow() bool { return len(s.flows) > 0 }

// mayBeKey notes that a key might begin here.
func (s *scanner) mayBeKey() {
	if !s.keyAllowed {
		return
	}
	if n := len(s.keys); n > 0 && s.keys[n-1].flow == len(s.flows) {
		return
	}
	k := simpleKey{pos: s.pos, line: len(s.lines), flow: len(s.flows)}
	if !s.inFlow() {
		if k.indent = s.pushIndent(blockMap); k.indent != nil {
			k.indent.status = open
			s.mark(k.indent.start, open)
		}
	}
	k.key = s.push(token{kind: tokenKey, status: open, pos: s.pos})
	s.keys = append(s.keys, k)
}

func (s *scanner) settle(k simpleKey, st status) {
	if k.indent != nil {
		k.indent.status = st
		s.mark(k.indent.start, st)
	}
	s.mark(k.key, st)
}

// noKey says that the last place where a key might have begun, within the same
// collection, was none.
func (s *scanner) noKey() {
	if n := len(s.keys); n > 0 && s.keys[n-1].flow == len(s.flows) {
		s.settle(s.keys[n-1], invalid)
		s.keys = s.keys[:n-1]
	}
}

// isKey settles whether what stands before is a key, now that it is at its end.
func (s *scanner) isKey() bool {
	n := len(s.keys)
	if n == 0 || s.keys[n-1].flow != len(s.flows) {
		return false
	}
	k := s.keys[n-1]
	s.keys = s.keys[:n-1]
	if len(s.lines) != k.line || s.pos-k.pos > maxSimpleKey {
		s.settle(k, invalid)
		return false
	}
	s.settle(k, valid)
	return true
}

// pushIndent begins a block collection, if the column is one where it can.
func (s *scanner) pushIndent(kind indentKind) *indent {
	if s.inFlow() {
		return nil
	}
	last := s.indents[len(s.indents)-1]
	column := s.column()
	if column < last.column || column == last.column && !(kind == blockSeq && last.kind == blockMap) {
		return nil
	}
	start := tokenBlockMapStart
	if kind == blockSeq {
		start = tokenBlockSeqStart
	}
	i := &indent{column: column, kind: kind, start: s.push(token{kind: start, pos: s.pos})}
	s.indents = append(s.indents, i)
	return i
}

func (s *scanner) popIndent() {
	i := s.indents[len(s.indents)-1]
	s.indents = s.indents[:len(s.indents)-1]
	switch {
	case i.status != valid:
		s.noKey()
	case i.kind == blockSeq:
		s.push(token{kind: tokenBlockSeqEnd, pos: s.pos})
	case i.kind == blockMap:
		s.push(token{kind: tokenBlockMapEnd, pos: s.pos})
	}
}

// popIndents ends the block collections that end before this column.
func (s *scanner) popIndents() {
	if s.inFlow() {
		return
	}
	column := s.column()
	for n := len(s.indents); n > 0; n = len(s.indents) {
		i := s.indents[n-1]
		if i.column < column || i.column == column && !(i.kind == blockSeq && !s.indicator('-')) {
			break
		}
		s.popIndent()
	}
	for n := len(s.indents); n > 0 && s.indents[n-1].status == invalid; n = len(s.indents) {
		s.popIndent()
	}
}

func (s *scanner) popAll() {
	for !s.inFlow() && len(s.indents) > 0 && s.indents[len(s.indents)-1].kind != noCollection {
		s.popIndent()
	}
	s.keys = s.keys[:0]
}

func (s *scanner) topColumn() int {
	if len(s.indents) == 0 {
		return 0
	}
	return s.indents[len(s.indents)-1].column
}

// Below are the tokens.

func (s *scanner) scan() {
	s.skipBlanks()
	s.popIndents()
	c, first := s.at(0), s.column() == 0
	switch {
	case !s.more():
		s.lineStart = s.pos
		s.popAll()
		s.keyAllowed, s.scalarAllowed, s.ended = false, false, true
	case first && c == '%':
		s.directive()
	case first && s.docMark('-'):
		s.docBoundary(tokenDocStart)
	case first && s.docMark('.'):
		s.docBoundary(tokenDocEnd)
	case c == '[' || c == '{':
		s.flowStart()
	case c == ']' || c == '}':
		s.flowEnd()
	case c == ',':
		switch {
		case first:
			s.fail(s.pos, "put the value into quotes", "a value cannot begin with a comma")
		case !s.scalarAllowed:
			s.unexpectedScalar()
		}
		s.flowEntry()
	case s.indicator('-'):
		s.blockEntry()
	case c == '?' && isBlankOrBreak(s.at(1)):
		s.explicitKey()
	case s.atValue():
		s.value()
	case c == '*' || c == '&':
		s.anchorOrAlias()
	case c == '!':
		s.tag()
	case !s.inFlow() && (c == '|' || c == '>'):
		s.blockScalar()
	case !s.scalarAllowed:
		s.unexpectedScalar()
	case c == '\'' || c == '"':
		s.quotedScalar()
	case s.atPlain():
		s.plainScalar()
	default:
		s.fail(s.pos, "put the value into quotes", "a value cannot begin with %q", string(rune(c)))
	}
}

func (s *scanner) unexpectedScalar() {
	s.fail(s.pos, "put all of the value into quotes, and escape those within", "text behind a string in quotes")
}

func (s *scanner) skipBlanks() {
	for {
		for s.more() && isBlank(s.at(0)) {
			if s.at(0) == '\t' && !s.inFlow() {
				s.keyAllowed = false
			}
			s.next()
		}
		if s.at(0) == '#' {
			s.skipLine()
		}
		n := s.breakLen(0)
		if n == 0 {
			return
		}
		s.skip(n)
		s.noKey()
		s.scalarAllowed = true
		if !s.inFlow() {
			s.keyAllowed = true
		}
	}
}

func (s *scanner) skipLine() {
	for s.more() && !isBreak(s.at(0)) {
		s.pos++
	}
}

func (s *scanner) directive() {
	s.popAll()
	s.keyAllowed, s.jsonFlow = false, false
	t := token{kind: tokenDirective, pos: s.pos}
	s.next()
	word := func() string {
		start := s.pos
		for s.more() && !isBlankOrBreak(s.at(0)) {
			s.pos++
		}
		return string(s.text[start:s.pos])
	}
	t.text = word()
	for {
		for isBlank(s.at(0)) {
			s.next()
		}
		if !s.more() || isBreak(s.at(0)) || s.at(0) == '#' {
			break
		}
		t.params = append(t.params, word())
	}
	s.push(t)
}

func (s *scanner) docBoundary(kind tokenKind) {
	s.popAll()
	s.keyAllowed, s.jsonFlow = false, false
	s.push(token{kind: kind, pos: s.pos})
	s.skip(3)
}

func (s *scanner) flowStart() {
	s.mayBeKey()
	s.keyAllowed, s.jsonFlow = true, false
	t := token{kind: tokenFlowSeqStart, pos: s.pos}
	if s.next() == '{' {
		t.kind = tokenFlowMapStart
	}
	s.flows = append(s.flows, t.kind)
	s.push(t)
}

// soleEntry ends an entry of a flow collection that might have been a key
// without a value.
func (s *scanner) soleEntry() {
	if !s.inFlow() {
		return
	}
	if s.flows[len(s.flows)-1] == tokenFlowSeqStart {
		s.noKey()
	} else if s.isKey() {
		s.push(token{kind: tokenValue, pos: s.pos})
	}
}

func (s *scanner) flowEnd() {
	const msg, hint = "a closing %c without the opening one", "put the value into quotes when the bracket belongs to it"
	c := s.at(0)
	if !s.inFlow() {
		s.fail(s.pos, hint, msg, c)
	}
	s.soleEntry()
	s.keyAllowed, s.jsonFlow = false, true
	t := token{kind: tokenFlowSeqEnd, pos: s.pos}
	start := tokenFlowSeqStart
	if c == '}' {
		t.kind, start = tokenFlowMapEnd, tokenFlowMapStart
	}
	s.next()
	if s.flows[len(s.flows)-1] != start {
		s.fail(t.pos, hint, msg, c)
	}
	s.flows = s.flows[:len(s.flows)-1]
	s.push(t)
}

func (s *scanner) flowEntry() {
	s.soleEntry()
	s.keyAllowed, s.jsonFlow = true, false
	s.push(token{kind: tokenFlowEntry, pos: s.pos})
	s.next()
}

func (s *scanner) blockEntry() {
	if s.inFlow() || !s.keyAllowed {
		s.fail(s.pos, "begin it on a line of its own, or put the value into quotes", "an item of a list cannot begin here")
	}
	s.pushIndent(blockSeq)
	s.keyAllowed, s.jsonFlow = true, false
	s.push(token{kind: tokenBlockEntry, pos: s.pos})
	s.next()
}

func (s *scanner) explicitKey() {
	if !s.inFlow() {
		if !s.keyAllowed {
			s.fail(s.pos, "put the value into quotes", "a key cannot begin here")
		}
		s.pushIndent(blockMap)
	}
	s.keyAllowed = !s.inFlow()
	s.push(token{kind: tokenKey, pos: s.pos})
	s.next()
}

func (s *scanner) atValue() bool {
	if s.at(0) != ':' {
		return false
	}
	c := s.at(1)
	switch {
	case !s.inFlow():
		return ends(c)
	case s.jsonFlow:
		return true
	}
	return isBlankOrBreak(c) || in(c, ",]}")
}

func (s *scanner) value() {
	isKey := s.isKey()
	s.jsonFlow = false
	if isKey {
		s.keyAllowed = false
	} else {
		if !s.inFlow() {
			if !s.keyAllowed {
				s.fail(s.pos, "put a value that holds a colon and a blank into quotes", "a second ':' on the line")
			}
			s.pushIndent(blockMap)
		}
		s.keyAllowed = !s.inFlow()
	}
	s.scalarAllowed = true
	s.push(token{kind: tokenValue, pos: s.pos})
	s.next()
}

func (s *scanner) anchorOrAlias() {
	s.mayBeKey()
	s.keyAllowed, s.jsonFlow = false, false
	t := token{kind: tokenAnchor, pos: s.pos}
	what := "an anchor"
	if s.next() == '*' {
		t.kind, what = tokenAlias, "an alias"
	}
	const hint = "put a value that begins with * or & into quotes"
	start := s.pos
	for s.more() && !isBlankOrBreak(s.at(0)) && !in(s.at(0), "[]{},") {
		s.pos++
	}
	if s.pos == start {
		s.fail(s.pos, hint, "%s without a name", what)
	}
	if s.more() && !isBlankOrBreak(s.at(0)) && in(s.at(0), "[{") {
		s.fail(s.pos, hint, "%q cannot stand in the name of %s", string(rune(s.at(0))), what)
	}
	t.text = string(s.text[start:s.pos])
	s.push(t)
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// tagPart takes the characters of a tag: words, the punctuation given, and %XX.
func (s *scanner) tagPart(punctuation string) string {
	start := s.pos
	for s.more() {
		if c := s.at(0); isWord(c) || in(c, punctuation) {
			s.pos++
		} else if c == '%' && isHex(s.at(1)) && isHex(s.at(2)) {
			s.pos += 3
		} else {
			break
		}
	}
	return string(s.text[start:s.pos])
}

const (
	tagPunctuation = "#;/?:@&=+$_.~*'()"
	uriPunctuation = "#;/?:@&=+$,_.!~*'()[]"
)

// tag reads a tag. What it says of a value's type is of no interest: a tag
// only keeps a value from being null.
func (s *scanner) tag() {
	s.mayBeKey()
	s.keyAllowed, s.jsonFlow = false, false
	t := s.push(token{kind: tokenTag, pos: s.pos, text: "!"})
	s.next()
	if s.at(0) == '<' {
		s.next()
		s.tokens[t-s.taken].text = s.tagPart(uriPunctuation)
		if s.at(0) != '>' {
			s.fail(s.pos, "put a value that begins with ! into quotes", "a tag that begins with !< has no closing >")
		}
		s.next()
		return
	}
	for s.more() && isWord(s.at(0)) {
		s.pos++
	}
	odd := s.pos
	s.tagPart(tagPunctuation)
	if s.at(0) != '!' {
		return
	}
	if odd != s.pos {
		s.fail(odd, "put a value that begins with ! into quotes", "%q cannot stand in the handle of a tag", string(rune(s.text[odd])))
	}
	s.next()
	if s.tagPart(tagPunctuation) == "" {
		s.fail(s.pos, "put a value that begins with ! into quotes", "a tag ends after its handle")
	}
}
