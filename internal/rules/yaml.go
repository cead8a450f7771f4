// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// maxNodes bounds how many nodes of a YAML file are looked at, those that
// aliases repeat included: a small file can say "ten times that" ten times.
const maxNodes = 1 << 21

// file is a rules file while it is read.
type file struct {
	name  string
	data  []byte
	lines []int // where each line begins
	nodes int   // how many nodes were looked at

	docs []*yaml.Node // the file's documents, once parsed
	err  error        // why they could not be
}

func newFile(name string, data []byte) *file {
	f := &file{name: name, data: data, lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return f
}

// line returns the line of that number, which counts from 1, without its end.
func (f *file) line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	rest := f.data[f.lines[n-1]:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return string(rest)
}

// offset returns where a node begins in the file. The YAML package counts
// columns in characters.
func (f *file) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(f.lines) {
		return len(f.data)
	}
	off := f.lines[n.Line-1]
	for c := 1; c < n.Column && off < len(f.data) && f.data[off] != '\n'; c++ {
		_, size := utf8.DecodeRune(f.data[off:])
		off += size
	}
	return off
}

// pos returns the place of a node.
func (f *file) pos(n *yaml.Node) filter.Pos {
	if n.Line < 1 || n.Line > len(f.lines) {
		return filter.Pos{File: f.name}
	}
	return filter.Pos{File: f.name, Line: n.Line, Column: f.offset(n) - f.lines[n.Line-1] + 1}
}

// parse parses all documents of the file.
func (f *file) parse() {
	defer func() {
		if r := recover(); r != nil { // a fault of the YAML package must not end the tests
			f.err = fmt.Errorf("the YAML cannot be read: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(f.data))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			f.err = err
			return
		}
		f.docs = append(f.docs, &doc)
	}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlError cuts the line's number out of an error of the YAML package.
func yamlError(err error) (line int, msg string) {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return 0, err.Error()
	}
	line, _ = strconv.Atoi(m[1])
	return line, err.Error()[len(m[0]):]
}

// resolve follows aliases, and counts the node.
func (f *file) resolve(n *yaml.Node) (*yaml.Node, error) {
	for hops := 0; n.Kind == yaml.AliasNode; hops++ {
		if n.Alias == nil || hops > 100 {
			return nil, errAliases
		}
		n = n.Alias
	}
	if f.nodes++; f.nodes > maxNodes {
		return nil, errAliases
	}
	return n, nil
}

var errAliases = errors.New("the file holds too many items, or repeats them too often by aliases")

// value returns the value of a key of a mapping, nil when it has none.
func (f *file) value(m *yaml.Node, key string) (*yaml.Node, error) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key && m.Content[i].Kind == yaml.ScalarNode {
			return f.resolve(m.Content[i+1])
		}
	}
	return nil, nil
}

// isNull tells whether a node is empty, ~ or null.
func isNull(n *yaml.Node) bool {
	return n.Kind == 0 || n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 && n.Tag == "!!null"
}

// text returns a scalar's value with the place of each of its bytes in the
// file, whatever the style in which it was written.
func (f *file) text(n *yaml.Node) *filter.Text {
	t := &filter.Text{}
	off := f.offset(n)
	line := n.Line
	switch n.Style {
	case yaml.LiteralStyle, yaml.FoldedStyle: // the node begins at its | or >
		for off < len(f.data) && f.data[off] != '\n' {
			off++
		}
		off++
		line++
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		off++
	}
	s := scalarSource{f: f, style: n.Style, off: off, line: line}

	// Bytes that follow each other in the value and in the file are written
	// at once.
	runStart, runPos, next := 0, filter.Pos{}, -1
	for i := 0; i < len(n.Value); {
		at, width := s.take(n.Value[i:])
		if at != next {
			t.Write(n.Value[runStart:i], runPos)
			runStart, runPos = i, s.pos(at)
		}
		i += width
		next = at + width
		if s.f.at(at) == '\n' {
			next = -1 // the column begins anew
		}
	}
	t.Write(n.Value[runStart:], runPos)
	return t
}

func (f *file) at(off int) byte {
	if off < len(f.data) {
		return f.data[off]
	}
	return 0
}

// scalarSource walks through the source of a scalar alongside its value.
type scalarSource struct {
	f     *file
	style yaml.Style
	off   int
	line  int // of off
}

// take returns where the first character of value, which is what is left of
// the scalar's value, stands in the file, and how many bytes of it it takes.
func (s *scalarSource) take(value string) (at, width int) {
	c := value[0]
	if c == ' ' || c == '\t' || c == '\n' {
		at = s.off
		if s.f.at(s.off) == c {
			s.step(1) // otherwise a line end that became a blank, or the like
		}
		return at, 1
	}
	for s.off < len(s.f.data) {
		d := s.f.data[s.off]
		if d != c && (d == ' ' || d == '\t' || d == '\n' || d == '\r') {
			s.step(1)
			continue
		}
		if d == '\\' && s.style == yaml.DoubleQuotedStyle {
			if s.f.at(s.off+1) == '\n' { // the line goes on
				s.step(2)
				continue
			}
			at, n := s.off, escapeLen(s.f.data[s.off:])
			s.step(n)
			_, width := utf8.DecodeRuneInString(value)
			return at, width
		}
		break
	}
	at = s.off
	if s.f.at(s.off) == c {
		s.step(1)
		if c == '\'' && s.style == yaml.SingleQuotedStyle {
			s.step(1)
		}
	}
	return at, 1
}

func (s *scalarSource) step(n int) {
	for ; n > 0 && s.off < len(s.f.data); n-- {
		if s.f.data[s.off] == '\n' {
			s.line++
		}
		s.off++
	}
}

// pos returns the place of an offset at or little before s.off.
func (s *scalarSource) pos(off int) filter.Pos {
	line := min(s.line, len(s.f.lines))
	for line > 1 && s.f.lines[line-1] > off {
		line--
	}
	if line < 1 {
		return filter.Pos{File: s.f.name}
	}
	return filter.Pos{File: s.f.name, Line: line, Column: off - s.f.lines[line-1] + 1}
}

// escapeLen is the length of the escape at the start of a double-quoted source.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case 'x':
		return min(4, len(b))
	case 'u':
		return min(6, len(b))
	case 'U':
		return min(10, len(b))
	}
	return 2
}

// parseBool reads a truth value as Falco's YAML library does.
func parseBool(s string) (v, ok bool) {
	lower := strings.ToLower(s)
	if s != lower && s != strings.ToUpper(s) && s != strings.ToUpper(s[:1])+lower[1:] {
		return false, false
	}
	switch lower {
	case "y", "yes", "true", "on":
		return true, true
	case "n", "no", "false", "off":
		return false, true
	}
	return false, false
}
