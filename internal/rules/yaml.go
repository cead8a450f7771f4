// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/falcoyaml"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// maxNodes bounds how many nodes of a YAML file are looked at, those that
// aliases repeat included: a small file can say "ten times that" ten times.
const maxNodes = 1 << 21

// file is a rules file while it is read.
type file struct {
	name  string
	data  []byte
	nodes int // how many nodes were looked at

	*falcoyaml.File
	err    error         // why it could not be parsed
	parsed chan struct{} // closed when it is
}

func newFile(name string, data []byte) *file {
	return &file{name: name, data: data, parsed: make(chan struct{})}
}

// parse parses all documents of the file.
func (f *file) parse() {
	f.File, f.err = falcoyaml.Parse(f.data)
	close(f.parsed)
}

// release lets go of what was parsed, once it was read; the text is kept, for messages.
func (f *file) release() {
	if f.File != nil {
		f.Documents = nil
	}
}

// position returns the place of an offset in the file's text.
func (f *file) position(off int) filter.Pos {
	line, column := f.Position(off)
	return filter.Pos{File: f.name, Line: line, Column: column}
}

// pos returns the place of a node.
func (f *file) pos(n *falcoyaml.Node) filter.Pos { return f.position(n.Off) }

// count counts nodes that are about to be looked at.
func (f *file) count(n int) error {
	if f.nodes += n; f.nodes > maxNodes {
		return errAliases
	}
	return nil
}

var errAliases = errors.New("the file holds too many items, or repeats them too often by aliases")

// text returns a scalar's value with the place of each of its bytes in the
// file, whatever the style in which it was written.
func (f *file) text(n *falcoyaml.Node) *filter.Text {
	t := &filter.Text{}
	n.Runs(func(piece string, off int) {
		for piece != "" { // a line end begins the columns anew
			line := len(piece)
			if i := strings.IndexByte(piece, '\n'); i >= 0 {
				line = i + 1
			}
			t.Write(piece[:line], f.position(off))
			piece, off = piece[line:], off+line
		}
	})
	return t
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

// parseUnsigned reads a number as Falco's YAML library does: decimal, octal
// after a 0 or hexadecimal after 0x, perhaps with a plus before and blanks behind.
func parseUnsigned(s string) (uint32, bool) {
	s = strings.TrimPrefix(strings.TrimRight(s, " \t\n\v\f\r"), "+")
	if s == "" || s[0] == '+' || s[0] == '-' || strings.Contains(s, "_") {
		return 0, false
	}
	if len(s) > 1 && s[0] == '0' && (s[1]|0x20 == 'b' || s[1]|0x20 == 'o') { // which only Go knows
		return 0, false
	}
	u, err := strconv.ParseUint(s, 0, 32)
	return uint32(u), err == nil
}
