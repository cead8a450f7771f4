// SPDX-License-Identifier: Apache-2.0

package falcoyaml

import (
	"strconv"
	"strings"
)

// maxDepth is how deep nodes may nest, as in yaml-cpp.
const maxDepth = 500

// Parse reads a file. An error is an [*Error]; the file is not nil then either,
// so that positions can be shown. It keeps data and does not change it.
func Parse(data []byte) (f *File, err error) {
	p := &parser{scanner: newScanner(decode(data))}
	f = &File{Text: p.text}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			err = e
		}
		p.readLines()
		f.lines = p.lines
	}()
	for {
		p.directives()
		if p.empty() {
			return f, nil
		}
		root := p.document()
		if root.Kind == Null {
			f.Ignored = p.rest()
			return f, nil
		}
		f.Documents = append(f.Documents, root)
	}
}

type parser struct {
	*scanner
	anchors map[string]*Node
	nesting []tokenKind // the collections that are open; tokenKey for a pair in a sequence
	depth   int

	hasVersion bool
	tagHandles map[string]bool
}

// rest returns where the first token that is left begins, 0 when there is none.
func (p *parser) rest() (off int) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(*Error); !ok {
				panic(r)
			}
			off = p.pos
		}
	}()
	if p.empty() {
		return 0
	}
	return p.peek().pos
}

// readLines finds the lines that were not come to.
func (p *parser) readLines() {
	for p.more() {
		p.next()
	}
}

func (p *parser) directives() {
	read := false
	for !p.empty() && p.peek().kind == tokenDirective {
		if !read {
			read = true
			p.hasVersion, p.tagHandles = false, map[string]bool{}
		}
		t := p.peek()
		switch t.text {
		case "YAML":
			p.version(t)
		case "TAG":
			if len(t.params) != 2 {
				p.fail(t.pos, "", "%%TAG takes a handle and a prefix")
			}
			if p.tagHandles[t.params[0]] {
				p.fail(t.pos, "", "%%TAG says twice what %s is", t.params[0])
			}
			p.tagHandles[t.params[0]] = true
		}
		p.take()
	}
}

func (p *parser) version(t *token) {
	if len(t.params) != 1 {
		p.fail(t.pos, "", "%%YAML takes one version")
	}
	if p.hasVersion {
		p.fail(t.pos, "", "%%YAML stands here twice")
	}
	major, minor, ok := cutAny(t.params[0])
	n, err := strconv.ParseInt(major, 10, 32)
	if _, err2 := strconv.ParseInt(minor, 10, 32); !ok || err != nil || err2 != nil {
		p.fail(t.pos, "", "%s is no version of YAML", t.params[0])
	}
	if n > 1 {
		p.fail(t.pos, "", "the version of YAML is too new: %s", t.params[0])
	}
	p.hasVersion = true
}

// cutAny cuts a version into two numbers with any byte between them.
func cutAny(s string) (major, minor string, ok bool) {
	n := 0
	if n < len(s) && in(s[n], "+-") {
		n++
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	if n == len(s) {
		return s, "", false
	}
	return s[:n], s[n+1:], true
}

func (p *parser) document() *Node {
	p.anchors, p.nesting, p.depth = map[string]*Node{}, nil, 0
	if p.peek().kind == tokenDocStart {
		p.take()
	}
	root := p.node()
	for !p.empty() && p.peek().kind == tokenDocEnd {
		p.take()
	}
	return root
}

// node reads the next node, which may be nothing at all.
func (p *parser) node() *Node {
	if p.depth++; p.depth >= maxDepth {
		p.fail(p.pos, "", "collections nest deeper than %d", maxDepth)
	}
	n := p.nodeHere()
	p.depth--
	return n
}

func (p *parser) nodeHere() *Node {
	if p.empty() {
		return &Node{Off: p.pos}
	}
	t := p.peek()
	n := &Node{Off: t.pos}
	switch t.kind {
	case tokenValue: // a map with a null key
		n.Kind = Map
		p.pairWithoutKey(n)
		return n
	case tokenAlias:
		to := p.anchors[t.text]
		if to == nil {
			p.fail(t.pos, "put a value that begins with * into quotes", "no anchor has the name %s", strings.ToValidUTF8(t.text, "?"))
		}
		p.take()
		return to
	}
	tagged, anchored := false, ""
	for ; !p.empty(); p.take() {
		t = p.peek()
		if t.kind == tokenTag {
			if tagged {
				p.fail(t.pos, "", "a second tag for one node")
			}
			tagged = t.text != "" // !<> is none
		} else if t.kind == tokenAnchor {
			if anchored != "" {
				p.fail(t.pos, "", "a second anchor for one node")
			}
			anchored = t.text
		} else {
			break
		}
	}
	if anchored != "" {
		p.anchors[anchored] = n
	}
	if p.empty() {
		return n
	}
	t = p.peek()
	switch t.kind {
	case tokenPlain, tokenQuoted:
		if t.kind == tokenQuoted || tagged || !isNull(t.text) {
			n.Kind, n.Value, n.runs, n.Off = Scalar, t.text, t.runs, t.pos
		}
		p.take()
	case tokenFlowSeqStart:
		n.Kind = Sequence
		p.flowSequence(n)
	case tokenBlockSeqStart:
		n.Kind = Sequence
		p.blockSequence(n)
	case tokenFlowMapStart:
		n.Kind = Map
		p.flowMap(n)
	case tokenBlockMapStart:
		n.Kind = Map
		p.blockMap(n)
	default:
		switch {
		case t.kind == tokenKey && len(p.nesting) > 0 && p.nesting[len(p.nesting)-1] == tokenFlowSeqStart:
			n.Kind = Map
			p.pair(n)
		case tagged:
			n.Kind = Scalar // with an empty value
		}
	}
	return n
}

func isNull(s string) bool {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

func (p *parser) enter(kind tokenKind) { p.nesting = append(p.nesting, kind) }

func (p *parser) leave() { p.nesting = p.nesting[:len(p.nesting)-1] }

const cutShort = "is the line indented as the ones before it?"

func (p *parser) blockSequence(n *Node) {
	p.take()
	p.enter(tokenBlockSeqStart)
	for {
		if p.empty() {
			p.fail(p.pos, cutShort, "the list has no end")
		}
		t := p.peek()
		if t.kind != tokenBlockEntry && t.kind != tokenBlockSeqEnd {
			p.fail(t.pos, cutShort, "this is no item of the list before it")
		}
		kind := t.kind
		p.take()
		if kind == tokenBlockSeqEnd {
			break
		}
		if !p.empty() {
			if t := p.peek(); t.kind == tokenBlockEntry || t.kind == tokenBlockSeqEnd {
				n.Items = append(n.Items, &Node{Off: t.pos})
				continue
			}
		}
		n.Items = append(n.Items, p.node())
	}
	p.leave()
}

func (p *parser) flowSequence(n *Node) {
	const msg, hint = "the list in [ ] has no end", "is a ] or a comma missing?"
	p.take()
	p.enter(tokenFlowSeqStart)
	for {
		if p.empty() {
			p.fail(p.pos, hint, msg)
		}
		if p.peek().kind == tokenFlowSeqEnd {
			p.take()
			break
		}
		n.Items = append(n.Items, p.node())
		if p.empty() {
			p.fail(p.pos, hint, msg)
		}
		if t := p.peek(); t.kind == tokenFlowEntry {
			p.take()
		} else if t.kind != tokenFlowSeqEnd {
			p.fail(t.pos, hint, msg)
		}
	}
	p.leave()
}

// mapValue reads the value of a key, if there is one.
func (p *parser) mapValue(off int) *Node {
	if !p.empty() && p.peek().kind == tokenValue {
		p.take()
		return p.node()
	}
	return &Node{Off: off}
}

func (p *parser) blockMap(n *Node) {
	p.take()
	p.enter(tokenBlockMapStart)
	for {
		if p.empty() {
			p.fail(p.pos, cutShort, "the mapping has no end")
		}
		t := *p.peek()
		if t.kind == tokenBlockMapEnd {
			p.take()
			break
		}
		key := &Node{Off: t.pos}
		switch t.kind {
		case tokenKey:
			p.take()
			key = p.node()
		case tokenValue:
		default:
			p.fail(t.pos, cutShort, "this is no key of the mapping before it")
		}
		n.Items = append(n.Items, key, p.mapValue(t.pos))
	}
	p.leave()
}

func (p *parser) flowMap(n *Node) {
	const msg, hint = "the mapping in { } has no end", "is a } or a comma missing?"
	p.take()
	p.enter(tokenFlowMapStart)
	for {
		if p.empty() {
			p.fail(p.pos, hint, msg)
		}
		t := *p.peek()
		if t.kind == tokenFlowMapEnd {
			p.take()
			break
		}
		key := &Node{Off: t.pos}
		if t.kind == tokenKey {
			p.take()
			key = p.node()
		}
		n.Items = append(n.Items, key, p.mapValue(t.pos))
		if p.empty() {
			p.fail(p.pos, hint, msg)
		}
		if t := p.peek(); t.kind == tokenFlowEntry {
			p.take()
		} else if t.kind != tokenFlowMapEnd {
			p.fail(t.pos, hint, msg)
		}
	}
	p.leave()
}

// pair reads the one pair of a map without braces, in a flow sequence.
func (p *parser) pair(n *Node) {
	p.enter(tokenKey)
	off := p.peek().pos
	p.take()
	key := p.node()
	n.Items = append(n.Items, key, p.mapValue(off))
	p.leave()
}

func (p *parser) pairWithoutKey(n *Node) {
	p.enter(tokenKey)
	key := &Node{Off: p.peek().pos}
	p.take()
	n.Items = append(n.Items, key, p.node())
	p.leave()
}
