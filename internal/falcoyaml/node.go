// SPDX-License-Identifier: Apache-2.0

package falcoyaml

import (
	"fmt"
	"sort"
)

// Kind is the kind of a node.
type Kind uint8

// The kinds of nodes.
const (
	Null   Kind = iota // empty, or a plain ~, null, Null or NULL
	Scalar             // everything else that is no collection; it has no type
	Sequence
	Map
)

// Node is a value in a document.
type Node struct {
	Kind  Kind
	Value string  // of a scalar
	Items []*Node // of a sequence; of a map its keys and values in turn
	Off   int     // where it begins in the file's text

	runs []run // where the bytes of Value stand
}

// run says that the bytes of a value from off on, up to the next run, stand one
// after another in the text, from src on.
type run struct{ off, src int }

// Get returns the value of the first key of that name in a map, nil when there
// is none.
func (n *Node) Get(key string) *Node {
	if n.Kind != Map {
		return nil
	}
	for i := 0; i+1 < len(n.Items); i += 2 {
		if k := n.Items[i]; k.Kind == Scalar && k.Value == key {
			return n.Items[i+1]
		}
	}
	return nil
}

// Runs calls f for the pieces of a scalar's value that stand in one piece in the
// text, with where they do.
func (n *Node) Runs(f func(piece string, off int)) {
	for i, r := range n.runs {
		end := len(n.Value)
		if i+1 < len(n.runs) {
			end = n.runs[i+1].off
		}
		f(n.Value[r.off:end], r.src)
	}
}

// File is a file that was read.
type File struct {
	// Text is the file as UTF-8, without a byte order mark: the text that all
	// offsets are in.
	Text []byte

	// Documents are the roots of those documents that Falco looks at: all up to
	// the first that is empty.
	Documents []*Node

	// Ignored is the offset of what follows a document that is empty, which Falco
	// never sees; 0 when nothing does.
	Ignored int

	lines []int // where each line begins
}

// Position returns the line and the column, in bytes, of an offset. Both count
// from 1.
func (f *File) Position(off int) (line, column int) {
	i := sort.SearchInts(f.lines, off+1) - 1
	if i < 0 {
		return 1, 1
	}
	return i + 1, min(off, len(f.Text)) - f.lines[i] + 1
}

// Line returns the line of that number, which counts from 1, without its end.
func (f *File) Line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	start, end := f.lines[n-1], len(f.Text)
	if n < len(f.lines) {
		end = f.lines[n]
	}
	for end > start && (f.Text[end-1] == '\n' || f.Text[end-1] == '\r') {
		end--
	}
	return string(f.Text[start:end])
}

// Error says why a file is no YAML to Falco.
type Error struct {
	Line, Column int
	Msg          string
	Hint         string // what to do about it, may be empty
}

func (e *Error) Error() string { return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg) }
