// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A tree is one JSON value, parsed once so that rules can look up many paths
// in it without allocation. Node 0 is the value itself.
//
// encoding/json is not used for it because fields show values as they were
// sent: members in their order, numbers with their digits. Nor is
// valyala/fastjson, which Falco's plugins use and whose depth, [maxDepth], this
// one keeps: its values do not know where they stand, so that an error could name
// neither line nor column, and it says no offset of what is malformed.
type tree struct {
	text  string
	nodes []node
}

// A node is a value of a tree.
type node struct {
	kind       kind
	escaped    bool   // a string that has backslashes
	key        string // a member's name
	start, end int32  // its text, of strings without the quotes
	child      int32  // the first member or element, 0 for none
	next       int32  // the next one of the same parent, 0 for none
}

type kind uint8

const (
	absent kind = iota
	object
	array
	str
	number
	boolean
	null
)

// maxDepth bounds how deep values may be nested. The parser of Falco's plugins
// stops at the same depth.
const maxDepth = 300

// maxText bounds the length of a value's text, which positions must fit.
const maxText = 1 << 30

// A syntaxError is malformed JSON.
type syntaxError struct {
	offset int
	msg    string
}

func (e *syntaxError) Error() string { return e.msg }

// parseTree parses text, which must hold one JSON value and nothing else.
func parseTree(text string) (*tree, error) {
	if len(text) > maxText {
		return nil, &syntaxError{0, fmt.Sprintf("more than %d bytes", maxText)}
	}
	p := parser{text: text, tree: &tree{text: text, nodes: make([]node, 0, 16+len(text)/24)}}
	if err := p.document(); err != nil {
		return nil, err
	}
	if !p.space {
		return p.tree, nil
	}
	// What rules see of an object is its text without space between its parts,
	// which is how API servers send it anyway.
	var compact bytes.Buffer
	compact.Grow(len(text))
	if err := json.Compact(&compact, []byte(text)); err != nil {
		return nil, &syntaxError{0, err.Error()}
	}
	return parseTree(compact.String())
}

// skipValue returns the end of the JSON value that text starts with, after
// optional space, and where the value starts.
func skipValue(text string) (start, end int, err error) {
	p := parser{text: text}
	p.skipSpace()
	start = p.pos
	if _, err := p.value(0); err != nil {
		return start, p.pos, err
	}
	return start, p.pos, nil
}

// A parser reads JSON. Without a tree it only checks.
type parser struct {
	text  string
	pos   int
	space bool // there was space between parts
	tree  *tree
}

func (p *parser) errorf(format string, args ...any) error {
	return &syntaxError{p.pos, fmt.Sprintf(format, args...)}
}

// found describes what stands at the position, for errors.
func (p *parser) found() string {
	if p.pos >= len(p.text) {
		return "end of input"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return strconv.QuoteRune(r)
}

func (p *parser) document() error {
	p.skipSpace()
	if _, err := p.value(0); err != nil {
		return err
	}
	p.skipSpace()
	if p.pos < len(p.text) {
		return p.errorf("unexpected %s after the value", p.found())
	}
	return nil
}

func (p *parser) skipSpace() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
			p.space = true
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) add(k kind) int32 {
	if p.tree == nil {
		return 0
	}
	p.tree.nodes = append(p.tree.nodes, node{kind: k, start: int32(p.pos)})
	return int32(len(p.tree.nodes) - 1)
}

// finish says that the value of a node ends here.
func (p *parser) finish(n int32) {
	if p.tree != nil {
		p.tree.nodes[n].end = int32(p.pos)
	}
}

func (p *parser) value(depth int) (int32, error) {
	if depth > maxDepth {
		return 0, p.errorf("more than %d levels of nested values", maxDepth)
	}
	switch c := p.peek(); {
	case c == '{' || c == '[':
		return p.compound(c, depth)
	case c == '"':
		n := p.add(str)
		escaped, err := p.str()
		if err != nil {
			return 0, err
		}
		p.finish(n)
		if p.tree != nil {
			node := &p.tree.nodes[n]
			node.escaped = escaped
			node.start++
			node.end--
		}
		return n, nil
	case c == '-' || '0' <= c && c <= '9':
		n := p.add(number)
		if err := p.number(); err != nil {
			return 0, err
		}
		p.finish(n)
		return n, nil
	}
	for _, word := range [...]struct {
		text string
		kind kind
	}{{"true", boolean}, {"false", boolean}, {"null", null}} {
		if strings.HasPrefix(p.text[p.pos:], word.text) {
			n := p.add(word.kind)
			p.pos += len(word.text)
			p.finish(n)
			return n, nil
		}
	}
	return 0, p.errorf("want a JSON value, found %s", p.found())
}

// compound parses an object or an array.
func (p *parser) compound(open byte, depth int) (int32, error) {
	kind, closing := object, byte('}')
	if open == '[' {
		kind, closing = array, ']'
	}
	n := p.add(kind)
	p.pos++
	p.skipSpace()
	last := int32(0)
	for first := true; p.peek() != closing; first = false {
		if !first {
			if p.peek() != ',' {
				return 0, p.errorf("want ',' or %q, found %s", closing, p.found())
			}
			p.pos++
			p.skipSpace()
		}
		var key string
		if kind == object {
			if p.peek() != '"' {
				return 0, p.errorf("want a member's name in quotes, found %s", p.found())
			}
			start := p.pos
			escaped, err := p.str()
			if err != nil {
				return 0, err
			}
			if p.tree != nil {
				key = p.text[start+1 : p.pos-1]
				if escaped {
					key = unescape(key)
				}
			}
			p.skipSpace()
			if p.peek() != ':' {
				return 0, p.errorf("want ':' after a member's name, found %s", p.found())
			}
			p.pos++
			p.skipSpace()
		}
		c, err := p.value(depth + 1)
		if err != nil {
			return 0, err
		}
		if p.tree != nil {
			p.tree.nodes[c].key = key
			if last == 0 {
				p.tree.nodes[n].child = c
			} else {
				p.tree.nodes[last].next = c
			}
			last = c
		}
		p.skipSpace()
	}
	p.pos++
	p.finish(n)
	return n, nil
}

// str passes a string and tells whether it has escapes.
func (p *parser) str() (escaped bool, err error) {
	open := p.pos
	p.pos++
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return escaped, nil
		case c == '\\':
			escaped = true
			p.pos++
			switch p.peek() {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					p.pos++
					if !isHex(p.peek()) {
						return false, p.errorf("want four hexadecimal digits after \\u, found %s", p.found())
					}
				}
			default:
				return false, p.errorf("unknown escape: found %s after a backslash", p.found())
			}
		case c < 0x20:
			return false, p.errorf("control character %s in a string", p.found())
		}
		p.pos++
	}
	p.pos = open
	return false, p.errorf("a string without its closing quote")
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (p *parser) digits() error {
	if c := p.peek(); c < '0' || c > '9' {
		return p.errorf("want a digit, found %s", p.found())
	}
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	return nil
}

func (p *parser) number() error {
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if err := p.digits(); err != nil {
		return err
	}
	if p.peek() == '.' {
		p.pos++
		if err := p.digits(); err != nil {
			return err
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		return p.digits()
	}
	return nil
}

// unescape resolves the escapes of a string's text, which has been checked.
func unescape(s string) string {
	var v string
	if err := json.Unmarshal([]byte(`"`+s+`"`), &v); err != nil {
		return s
	}
	return v
}

// get walks from a node through members by name and elements by number, as
// Falco's plugins do, and returns the node it comes to, or -1.
func (t *tree) get(n int32, keys ...string) int32 {
	for _, key := range keys {
		if n = t.step(n, key); n < 0 {
			return -1
		}
	}
	return n
}

func (t *tree) step(n int32, key string) int32 {
	if n < 0 {
		return -1
	}
	switch t.nodes[n].kind {
	case object:
		for c := t.nodes[n].child; c != 0; c = t.nodes[c].next {
			if t.nodes[c].key == key {
				return c
			}
		}
	case array:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 {
			return -1
		}
		return t.element(n, uint64(i))
	}
	return -1
}

// element returns an array's element, or -1.
func (t *tree) element(n int32, i uint64) int32 {
	for c := t.nodes[n].child; c != 0; c = t.nodes[c].next {
		if i == 0 {
			return c
		}
		i--
	}
	return -1
}

func (t *tree) kind(n int32) kind {
	if n < 0 {
		return absent
	}
	return t.nodes[n].kind
}

// string returns a node as fields show it: a string's content, or the JSON
// text of anything else.
func (t *tree) string(n int32) string {
	node := &t.nodes[n]
	s := t.text[node.start:node.end]
	if node.escaped {
		s = unescape(s)
	}
	// Falco hands values on as C strings.
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return s
}
