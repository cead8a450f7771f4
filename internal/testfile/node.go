// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

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
}

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

	repeated Problems // keys that are there twice, of which the first counts
}

var errTooMuch = errors.New("the file has too many values, or they are too deep in one another")

// parse reads a file's only document, and tells the keys that are there twice.
func parse(file string, data []byte) (n *Node, repeated Problems, err error) {
	defer func() {
		if r := recover(); r != nil { // a fault of the YAML package must not end the tests
			err = &Problem{Pos: Pos{File: file}, Text: fmt.Sprintf("the YAML cannot be read: %v", r)}
		}
	}()
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
	return n, r.repeated, err
}

// syntaxError takes the place out of an error of the YAML package.
func syntaxError(file string, err error) *Problem {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		p := at.GetToken().Position
		return &Problem{Pos: Pos{file, p.Line, p.Column}, Text: "the YAML cannot be read: " + at.GetMessage()}
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return &Problem{Pos: Pos{File: file}, Text: "the YAML cannot be read: " + line}
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

func (r *reader) read(n ast.Node) (*Node, error) {
	r.nodes++
	r.depth++
	defer func() { r.depth-- }()
	if r.nodes > maxNodes || r.depth > maxDepth {
		return nil, r.fail(n, "%v", errTooMuch)
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
		return r.read(n.Value)
	default:
		return nil, r.fail(n, "the YAML cannot be read: %s is not expected here", n.Type())
	}
	return out, nil
}

func (r *reader) alias(n *ast.AliasNode) (*Node, error) {
	name := n.Value.String()
	to := r.anchors[name]
	if to == nil {
		return nil, r.fail(n, "there is no anchor &%s before this alias", name)
	}
	if r.open[name] {
		return nil, r.fail(n, "the alias *%s is inside what it stands for", name)
	}
	r.open[name] = true
	defer delete(r.open, name)
	return r.read(to)
}

func (r *reader) entries(out *Node, values []*ast.MappingValueNode) error {
	type merged struct {
		from *Node
		at   ast.Node
	}
	var merges []merged // after all else, for the object's own keys win
	for _, v := range values {
		value, err := r.read(v.Value)
		if err != nil {
			return err
		}
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			merges = append(merges, merged{value, v.Key})
			continue
		}
		key := v.Key.GetToken().Value
		if i := slices.IndexFunc(out.entries, func(e entry) bool { return e.key == key }); i >= 0 {
			r.repeated = append(r.repeated, &Problem{
				Pos: r.pos(v.Key), Text: fmt.Sprintf("the key %q is here twice", key), Hint: fmt.Sprintf("the first is in line %d", out.entries[i].pos.Line),
			})
			continue
		}
		out.entries = append(out.entries, entry{key, r.pos(v.Key), value})
	}
	for _, m := range merges {
		if err := r.merge(out, m.from, m.at); err != nil {
			return err
		}
	}
	return nil
}

// merge takes in what << stands for; the keys that are there already win.
func (r *reader) merge(out, from *Node, at ast.Node) error {
	if from.kind == list {
		for _, item := range from.items {
			if err := r.merge(out, item, at); err != nil {
				return err
			}
		}
		return nil
	}
	if from.kind != object {
		return r.fail(at, "<< needs an object, not %s", from.kind)
	}
	for _, e := range from.entries {
		if out.Get(e.key) == nil {
			out.entries = append(out.entries, e)
		}
	}
	return nil
}
