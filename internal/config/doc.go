// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
)

// column is where the text starts in the table; width is where it is wrapped.
const (
	column = 28
	width  = 76
)

// Table returns all settings as lines for a Go doc comment's block of literal
// text: the variable, the option, what it sets and its default.
func Table() string {
	var b strings.Builder
	for _, s := range all {
		text := s.Option + ": " + s.Doc
		if s.Unset != "" {
			text += " (" + s.Unset + ")"
		}
		start := s.Variable
		line := ""
		flush := func() {
			if len(start) > column-2 { // a line of its own
				fmt.Fprintf(&b, "%s\n", start)
				start = ""
			}
			fmt.Fprintf(&b, "%-*s%s\n", column-1, start, line)
			start, line = "", ""
		}
		for word := range strings.FieldsSeq(text) {
			if line != "" && column+len(line)+1+len(word) > width {
				flush()
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		flush()
	}
	return b.String()
}
