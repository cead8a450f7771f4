// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Pos is a place in a rules file. Lines and columns count from 1, columns in
// bytes. In names the part of the rules that the place belongs to, when that is
// not the condition at hand: "list shell_binaries", "exception ssh_keys".
type Pos struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	In     string `json:"in,omitempty"`
}

// String is "file:line:column", shortened by what is not known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.File == "":
		return fmt.Sprintf("%d:%d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Text is the text of a condition that remembers where each part of it came
// from. The zero Text is empty and ready to be written to.
type Text struct {
	buf   strings.Builder
	marks []mark // by ascending offset
}

// mark says that the text from off on, up to the next mark, came from pos.
// Within a fixed mark every byte has that same position.
type mark struct {
	off          int32
	line, column int32
	fixed        bool
	where        *where
}

// where is the file and the part of the rules that places have in common. There are
// as many marks as words, and thousands of rules: so they are kept small.
type where struct{ file, in string }

func (m *mark) is(pos Pos) bool {
	return m.line == int32(pos.Line) && m.column == int32(pos.Column) && m.where.file == pos.File && m.where.in == pos.In
}

// NewText returns a text that came from nowhere but itself: lines and columns
// count from its start.
func NewText(s string) *Text {
	t := &Text{}
	line := 1
	for {
		head, rest, more := strings.Cut(s, "\n")
		if more {
			head += "\n"
		}
		t.Write(head, Pos{Line: line, Column: 1})
		if !more {
			return t
		}
		s = rest
		line++
	}
}

// String returns the text alone.
func (t *Text) String() string { return t.buf.String() }

// Len returns the length of the text in bytes.
func (t *Text) Len() int { return t.buf.Len() }

// Grow makes room for about so many bytes in so many pieces.
func (t *Text) Grow(bytes, pieces int) {
	t.buf.Grow(bytes)
	t.marks = slices.Grow(t.marks, pieces)
}

// Write appends s, whose first byte came from pos and whose other bytes came
// from the columns after it.
func (t *Text) Write(s string, pos Pos) { t.write(s, pos, false) }

// WriteFixed appends s, all of which came from pos.
func (t *Text) WriteFixed(s string, pos Pos) { t.write(s, pos, true) }

func (t *Text) write(s string, pos Pos, fixed bool) {
	if s == "" {
		return
	}
	if n := len(t.marks); n == 0 || !fixed || !t.marks[n-1].fixed || !t.marks[n-1].is(pos) {
		t.marks = append(t.marks, mark{int32(t.buf.Len()), int32(pos.Line), int32(pos.Column), fixed, t.whereOf(pos)})
	}
	t.buf.WriteString(s)
}

// whereOf returns what a position has in common with those before it, most often.
func (t *Text) whereOf(pos Pos) *where {
	for i := len(t.marks) - 1; i >= max(0, len(t.marks)-4); i-- {
		if w := t.marks[i].where; w.file == pos.File && w.in == pos.In {
			return w
		}
	}
	return &where{pos.File, pos.In}
}

// WriteText appends the part of u from start to end, with its positions.
func (t *Text) WriteText(u *Text, start, end int) {
	s := u.String()
	for i := u.mark(start); start < end; i++ {
		stop := end
		if i+1 < len(u.marks) && int(u.marks[i+1].off) < end {
			stop = int(u.marks[i+1].off)
		}
		t.write(s[start:stop], u.at(i, start), u.marks[i].fixed)
		start = stop
	}
}

// Pos returns the place that the byte at off came from. An offset behind the
// end is the place behind the last byte.
func (t *Text) Pos(off int) Pos {
	if len(t.marks) == 0 {
		return Pos{}
	}
	return t.at(t.mark(off), off)
}

// mark returns the index of the mark that governs off.
func (t *Text) mark(off int) int {
	i := sort.Search(len(t.marks), func(i int) bool { return int(t.marks[i].off) > off })
	return max(i-1, 0)
}

func (t *Text) at(i, off int) Pos {
	m := &t.marks[i]
	pos := Pos{File: m.where.file, Line: int(m.line), Column: int(m.column), In: m.where.in}
	if !m.fixed {
		pos.Column += off - int(m.off)
	}
	return pos
}

// Error is what is wrong with a condition, and where.
type Error struct {
	Pos  Pos
	Off  int    // the offset in the condition's text
	Msg  string // what is wrong
	Hint string // what to do about it, may be empty

	// UnknownField: the condition names a field or an event type that the
	// source does not have, which a rule may ask to be forgiven.
	UnknownField bool
}

func (e *Error) Error() string {
	msg := e.Msg
	if e.Hint != "" {
		msg += " (" + e.Hint + ")"
	}
	if at := e.Pos.String(); at != "" {
		return at + ": " + msg
	}
	return msg
}

func errorAt(t *Text, off int, format string, args ...any) *Error {
	return &Error{Pos: t.Pos(off), Off: off, Msg: fmt.Errorf(format, args...).Error()}
}

func (e *Error) hint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}
