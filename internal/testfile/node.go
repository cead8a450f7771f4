// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Pos is a place in a file. Lines and columns count from 1, columns in
// characters.
type Pos struct {
	File   string
	Line   int
	Column int
}

// String returns file:line:column.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Kind is a kind of values.
type Kind int

// The kinds.
const (
	null Kind = iota
	text
	number
	boolean
	list
	object

	Text, List, Object = text, list, object
)

var kindNames = [...]string{"nothing", "a text", "a number", "true or false", "a list", "an object"}

func (k Kind) String() string { return kindNames[k] }

// Node is a value of a file.
type Node struct {
	kind    Kind
	pos     Pos
	text    string // of a scalar, as it was written; of a text, what it says
	number  int64
	float   bool // a number that is no integer
	big     bool // an integer of which number is only the bits: it is greater than an int64
	items   []*Node
	entries []entry

	// filledAt is the place of the placeholder that this value came in for.
	filledAt Pos

	told   bool     // what is wrong with it was told where it was read: nothing more is
	faulty bool     // something in it is wrong, of which more would follow
	meant  []string // keys that it lacks, of which an unknown one seems to be the misspelling
}

// sound tells whether nothing in a value is wrong, if it is there.
func (n *Node) sound() bool { return n == nil || !n.told && !n.faulty }

type entry struct {
	key   string
	pos   Pos
	value *Node
}

// Get returns the value of a key, nil when there is none.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// entriesGiven is how many entries of an object say something.
func (n *Node) entriesGiven() int {
	given := 0
	for _, e := range n.entries {
		if e.value.Given() && !strings.HasPrefix(e.key, "x-") {
			given++
		}
	}
	return given
}

// Given tells whether a value is there and is not null.
func (n *Node) Given() bool { return n != nil && n.kind != null }

// place is where the value is written, or the placeholder that it came in for.
func (n *Node) place() Pos {
	if n.filledAt.Line != 0 {
		return n.filledAt
	}
	return n.pos
}

// Str returns the text of a scalar, "" for a value that is not there.
func (n *Node) Str() string {
	if n == nil || n.kind == null {
		return ""
	}
	return n.text
}

// flow writes the value on one line.
func (n *Node) flow() string {
	switch n.kind {
	case null:
		return "null"
	case list:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = item.flow()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case object:
		parts := make([]string, len(n.entries))
		for i, e := range n.entries {
			parts[i] = e.key + ": " + e.value.flow()
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return n.text
}

// describe says what a value is, for a person.
func (n *Node) describe() string {
	switch {
	case n.float:
		return "a number that is no integer"
	case n.kind == text:
		return "the text " + shown(n.text)
	case n.kind == number:
		return "the number " + n.text
	case n.kind == boolean:
		return n.text
	}
	return n.kind.String()
}

// maxNodes bounds how many values a file may have, those that aliases repeat
// included.
const maxNodes = 1 << 18

// maxDepth bounds how deep they may be in one another.
const maxDepth = 64

// reader makes nodes of a syntax tree.
type reader struct {
	file    string
	anchors map[string]ast.Node
	open    map[string]bool // aliases that are being followed
	nodes   int
	depth   int

	problems Problems // with which the rest can be read
}

// parse reads a file's only document, and tells what is wrong although it can be read:
// keys that are there twice, of which the first counts, aliases of nothing.
func parse(file string, data []byte) (n *Node, problems Problems, err error) {
	defer func() {
		if r := recover(); r != nil { // a fault of the YAML package must not end the tests
			err = &Problem{Pos: Pos{File: file}, Text: fmt.Sprintf("the YAML cannot be read: %v", r)}
		}
	}()
	if data, err = plainText(file, data); err != nil {
		return nil, nil, err
	}
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, nil, syntaxError(file, err)
	}
	var docs []ast.Node
	for _, doc := range f.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType && doc.Body.Type() != ast.DirectiveType {
			docs = append(docs, doc.Body)
		}
	}
	switch len(docs) {
	case 0:
		return nil, nil, &Problem{Pos: Pos{file, 1, 1}, Text: "the file is empty", Hint: "it needs the key tests"}
	case 1:
	default:
		p := docs[1].GetToken().Position
		return nil, nil, &Problem{Pos: Pos{file, p.Line, p.Column}, Text: "a second document starts here", Hint: "a file of tests is one YAML document"}
	}
	r := &reader{file: file, anchors: map[string]ast.Node{}, open: map[string]bool{}}
	n, err = r.read(docs[0])
	return n, r.problems, err
}

// plainText drops what editors put into texts, and tells what is no text at all.
func plainText(file string, data []byte) ([]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	line, column := 1, 1
	for rest := data; len(rest) > 0; column++ {
		r, size := utf8.DecodeRune(rest)
		if r == 0 || r == utf8.RuneError && size == 1 {
			return nil, &Problem{Pos{file, line, column}, fmt.Sprintf("the byte %#02x is no text", rest[0]), "save the file as UTF-8"}
		}
		if rest = rest[size:]; r == '\n' {
			line, column = line+1, 0
		}
	}
	return data, nil
}

// syntaxError takes the place out of an error of the YAML package.
func syntaxError(file string, err error) *Problem {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		p := at.GetToken().Position
		return &Problem{Pos{file, p.Line, p.Column}, "the YAML cannot be read: " + at.GetMessage(), syntaxHint(at.GetMessage())}
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return &Problem{Pos: Pos{File: file}, Text: "the YAML cannot be read: " + line}
}

// syntaxHint says what to do about an error of the YAML package.
func syntaxHint(message string) string {
	for _, known := range []struct{ part, hint string }{
		{"character '\t'", "indent with spaces"},
		{"reserved character", "put the text in quotes"},
		{"mapping value is not allowed", "put a text that holds a colon in quotes"},
		{"value is not allowed in this context", "the keys of an object begin in the same column"},
		{"non-map value is specified", "a key ends in a colon; the keys of an object begin in the same column"},
		{"',' or '", "a bracket is not closed, or a text needs quotes"},
		{"flow map", "a { has no }"},
		{"sequence end token", "a [ has no ]"},
		{"end character", "a quote has no end"},
	} {
		if strings.Contains(message, known.part) {
			return known.hint
		}
	}
	return ""
}

func (r *reader) pos(n ast.Node) Pos {
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return Pos{File: r.file}
	}
	return Pos{r.file, t.Position.Line, t.Position.Column}
}

func (r *reader) fail(n ast.Node, format string, args ...any) error {
	return &Problem{Pos: r.pos(n), Text: fmt.Sprintf(format, args...)}
}

// tell notes what is wrong, and returns what stands for the value in the rest.
func (r *reader) tell(n ast.Node, hint, format string, args ...any) *Node {
	r.problems = append(r.problems, &Problem{r.pos(n), fmt.Sprintf(format, args...), hint})
	return &Node{pos: r.pos(n), told: true}
}

func (r *reader) read(n ast.Node) (*Node, error) {
	r.nodes++
	r.depth++
	defer func() { r.depth-- }()
	switch {
	case r.nodes > maxNodes:
		return nil, r.fail(n, "the file has more than %d values, with those that aliases repeat", maxNodes)
	case r.depth > maxDepth:
		return nil, r.fail(n, "a value is in more than %d others", maxDepth)
	}
	out := &Node{pos: r.pos(n)}
	switch n := n.(type) {
	case *ast.NullNode:
		return out, nil
	case *ast.StringNode:
		out.kind, out.text = text, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, n.Value.Value
	case *ast.BoolNode:
		out.kind, out.text = boolean, strconv.FormatBool(n.Value)
	case *ast.IntegerNode:
		out.kind, out.text = number, n.Token.Value
		switch v := n.Value.(type) {
		case int64:
			out.number = v
		case uint64:
			out.number, out.big = int64(v), v > math.MaxInt64
		default:
			out.float = true
		}
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text, out.float = number, n.GetToken().Value, true
	case *ast.SequenceNode:
		out.kind = list
		for _, item := range n.Values {
			v, err := r.read(item)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, v)
		}
	case *ast.MappingNode:
		out.kind = object
		if first := n.Values; len(first) > 0 && !n.IsFlowStyle {
			out.pos = r.pos(first[0].Key)
		}
		return out, r.entries(out, n.Values)
	case *ast.MappingValueNode:
		out.kind, out.pos = object, r.pos(n.Key)
		return out, r.entries(out, []*ast.MappingValueNode{n})
	case *ast.AnchorNode:
		r.anchors[n.Name.String()] = n.Value
		return r.read(n.Value)
	case *ast.AliasNode:
		return r.alias(n)
	case *ast.TagNode:
		v, err := r.read(n.Value)
		if err == nil && n.Start.Value == "!!str" && (v.kind == number || v.kind == boolean) {
			v = &Node{kind: text, pos: v.pos, text: v.text}
		}
		return v, err
	default:
		return nil, r.fail(n, "the YAML cannot be read: %s is not expected here", n.Type())
	}
	return out, nil
}

func (r *reader) alias(n *ast.AliasNode) (*Node, error) {
	name := n.Value.String()
	to := r.anchors[name]
	if to == nil {
		return r.tell(n, nearestOf(name, slices.Sorted(maps.Keys(r.anchors))), "there is no anchor &%s before this alias", name), nil
	}
	if r.open[name] {
		return r.tell(n, "write out what is meant", "the alias *%s is inside what it stands for", name), nil
	}
	r.open[name] = true
	defer delete(r.open, name)
	return r.read(to)
}

func (r *reader) entries(out *Node, values []*ast.MappingValueNode) error {
	own := map[string]Pos{} // keys that stand here, which win over those that << brings
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			continue
		}
		key := v.Key.GetToken().Value
		if first, ok := own[key]; ok {
			r.tell(v.Key, fmt.Sprintf("the first is in line %d", first.Line), "the key %q is here twice", key)
			continue
		}
		own[key] = r.pos(v.Key)
	}
	for _, v := range values {
		value, err := r.read(v.Value)
		if err != nil {
			return err
		}
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			r.merge(out, value, own, v.Value)
			continue
		}
		if key, pos := v.Key.GetToken().Value, r.pos(v.Key); own[key] == pos {
			out.entries = append(out.entries, entry{key, pos, value})
		}
	}
	return nil
}

// merge takes in what << stands for.
func (r *reader) merge(out, from *Node, own map[string]Pos, at ast.Node) {
	switch {
	case from.told:
	case from.kind == list:
		for _, item := range from.items {
			r.merge(out, item, own, at)
		}
	case from.kind != object:
		r.tell(at, "such as <<: *base", "<< needs an object, not %s", from.kind)
	}
	for _, e := range from.entries {
		if _, here := own[e.key]; !here && out.Get(e.key) == nil {
			out.entries = append(out.entries, e)
		}
	}
}
