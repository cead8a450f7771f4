// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"slices"
	"strings"
)

// warn adds what Falco says of constants that look like something else.
func (c *Compiler) warn(e *Expr, i int, r *Result) {
	text := e.Right.Values[i]
	bare := strings.Map(func(c rune) rune {
		if c < 0x80 && isSpace(byte(c)) {
			return -1
		}
		return c
	}, text)
	if e.Op == OpRegex && isSimpleRegex(text) {
		r.Warnings = append(r.Warnings, errorAt(e.Text, e.Right.offs[i], "the regex '%s' can be written with =, contains, startswith or endswith, which are faster", text))
	}
	if n := fieldName(bare); n > 0 && c.isClass(bare) && (n == len(bare) || bare[n] == '[' && strings.HasSuffix(bare, "]")) && c.isField(bare[:n], bare[n:]) {
		r.Warnings = append(r.Warnings, errorAt(e.Text, e.Right.offs[i], "'%s' is the name of a field, used here as a plain string", text).
			hint("to compare with the field write val(%s)", bare))
	}
	if !strings.HasSuffix(bare, ")") {
		return
	}
	for _, t := range append([]string{"val"}, transformers...) {
		if strings.HasPrefix(bare, t+"(") {
			r.Warnings = append(r.Warnings, errorAt(e.Text, e.Right.offs[i], "'%s' looks like a transformer, used here as a plain string", text))
		}
	}
}

// isClass tells whether a name may be a field's. Most values with a dot in them are
// names of files, and need not be looked up.
func (c *Compiler) isClass(name string) bool {
	s, ok := c.prog.source.(Classifier)
	return !ok || slices.Contains(s.FieldClasses(), name[:identifier(name)])
}

func (c *Compiler) isField(name, arg string) bool {
	res, ok := c.fields[name+arg]
	if !ok {
		res.field, res.err = c.prog.source.Field(name, strings.Trim(arg, "[]"), arg != "")
		c.fields[name+arg] = res
	}
	return res.err == nil
}

// isSimpleRegex tells whether an expression uses nothing that a plain string
// operator could not do: anchors, and any characters at the ends.
func isSimpleRegex(s string) bool {
	for i := 0; i < len(s); i++ {
		if i == 0 && s[i] == '^' || i == len(s)-1 && s[i] == '$' {
			continue
		}
		if (i == 0 && len(s) > 1 || i == len(s)-2) && s[i] == '.' && strings.IndexByte("+*?", s[i+1]) >= 0 {
			i++
			continue
		}
		if strings.IndexByte(`.+*?^$()[]{}|\`, s[i]) >= 0 {
			return false
		}
	}
	return true
}
