// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"fmt"
	"slices"
	"strings"
)

// Shape says what a value may be. The language is written down in shapes:
// files are checked against them, and the JSON Schema is made from them.
type Shape struct {
	kinds   []Kind
	doc     string
	empty   bool // a text may be empty
	choices []string
	least   int // how many items of a list, or entries; of a number where no text may stand, the least one
	most    int // likewise, the most or the greatest, if not 0

	items  *Shape   // of a list; of an object whose keys are the author's
	keys   string   // what such a key is
	fields []*Field // of an object
	forbid func(key string) string

	// select names the field whose value chooses further fields.
	selects  string
	variants []variant

	binding bool // ${name.field} may stand for it
	check   func(c *Checker, n *Node)
}

// Field is a key of an object.
type Field struct {
	name     string
	doc      string
	required bool
	shape    *Shape
	addition bool // not in event-generator's language
}

type variant struct {
	value  string
	doc    string
	fields []*Field
}

func (s *Shape) field(name string) *Field {
	for _, f := range s.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Checker collects what is wrong with a file.
type Checker struct {
	file     string
	problems Problems
	seen     map[Problem]bool
	skip     bool     // placeholders stand for values
	named    []string // files that the test names
}

func (c *Checker) add(pos Pos, hint, format string, args ...any) {
	p := Problem{pos, fmt.Sprintf(format, args...), hint}
	if !c.seen[p] {
		c.seen[p] = true
		c.problems = append(c.problems, &p)
	}
}

// Wrong tells what is wrong with a value, and what to write instead. Of one that came in
// for a placeholder it names the place of that, too.
func (c *Checker) Wrong(n *Node, hint, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if n.filledAt.Line != 0 {
		what += fmt.Sprintf(", for the placeholder in line %d", n.filledAt.Line)
	}
	c.add(n.pos, hint, "%s", what)
}

// maxProblems ends the checking of a file in which nothing is right.
const maxProblems = 100

// check checks a value that is at path.
func (c *Checker) check(s *Shape, n *Node, path string) {
	if len(c.problems) >= maxProblems {
		return
	}
	if c.skip && n.kind == text && placeholder.MatchString(n.text) {
		return // it is checked with the values of each case
	}
	if s.binding && n.kind == text && isBinding(n.text) {
		return
	}
	if !slices.Contains(s.kinds, n.kind) || n.float && !slices.Contains(s.kinds, text) {
		if n.kind == null && !slices.Contains(s.kinds, null) {
			c.Wrong(n, "leave the key out, or give it a value", "%s has no value", path)
			return
		}
		is := n.kind.String()
		if n.float {
			is = "a number that is no integer"
		}
		c.Wrong(n, wholeNumber(s), "%s must be %s, and is %s", path, s.kindsText(), is)
		return
	}
	switch n.kind {
	case text, number, boolean:
		c.checkScalar(s, n, path)
	case list:
		if len(n.items) < s.least {
			c.Wrong(n, "leave the key out, or add an item", "%s is empty", path)
		}
		if s.most > 0 && len(n.items) > s.most {
			c.Wrong(n, "", "%s has %d items, and must have %d at most", path, len(n.items), s.most)
		}
		for i, item := range n.items {
			c.check(s.items, item, fmt.Sprintf("%s[%d]", path, i))
		}
	case object:
		c.checkObject(s, n, path)
	}
	if s.check != nil {
		s.check(c, n)
	}
}

func (s *Shape) kindsText() string {
	var names []string
	for _, k := range s.kinds {
		// Where a text may stand, what YAML takes for a number is one, too.
		if k != null && !(slices.Contains(s.kinds, text) && (k == number || k == boolean)) {
			names = append(names, k.String())
		}
	}
	if len(s.choices) > 0 && len(names) == 1 {
		return "one of " + strings.Join(s.choices, ", ")
	}
	return strings.Join(names, " or ")
}

func (c *Checker) checkScalar(s *Shape, n *Node, path string) {
	switch {
	case n.kind == number && slices.Contains(s.kinds, number) && !n.float:
		c.checkNumber(s, n, path)
		return
	case n.kind == text && n.text == "" && !s.empty:
		c.Wrong(n, "", "%s is empty", path)
		return
	}
	if len(s.choices) > 0 && !slices.Contains(s.choices, n.text) {
		c.Wrong(n, nearestOf(n.text, s.choices), "%q is no value of %s", n.text, path)
	}
}

// checkNumber checks a number where no text may stand.
func (c *Checker) checkNumber(s *Shape, n *Node, path string) {
	if slices.Contains(s.kinds, text) {
		return
	}
	most := s.most
	if most == 0 {
		most = maxNumber
	}
	if n.big || n.number < int64(s.least) || n.number > int64(most) {
		c.Wrong(n, wholeNumber(s), "%s must be from %d to %d, and is %s", path, s.least, most, n.text)
	}
}

// wholeNumber is a hint where a number may stand, and no text.
func wholeNumber(s *Shape) string {
	if !slices.Contains(s.kinds, number) || slices.Contains(s.kinds, text) {
		return ""
	}
	return fmt.Sprintf("a whole number such as %d", max(s.least, 1))
}

// maxNumber is the greatest number where nothing smaller is.
const maxNumber = 1_000_000

func (c *Checker) checkObject(s *Shape, n *Node, path string) {
	if s.items != nil { // the keys are the author's
		if len(n.entries) < s.least {
			c.Wrong(n, "leave the key out, or add an entry", "%s is empty", path)
		}
		for _, e := range n.entries {
			if s.forbid != nil {
				if why := s.forbid(e.key); why != "" {
					c.add(e.pos, "", "%s", why)
				}
			}
			c.check(s.items, e.value, path+"."+e.key)
		}
		return
	}
	fields := s.fields
	if s.selects != "" {
		chosen := n.Get(s.selects)
		if chosen != nil && chosen.kind == text {
			i := slices.IndexFunc(s.variants, func(v variant) bool { return v.value == chosen.text })
			switch {
			case i >= 0:
				fields = append(slices.Clone(fields), s.variants[i].fields...)
			case c.skip && placeholder.MatchString(chosen.text):
				for _, v := range s.variants {
					for _, f := range v.fields {
						f := *f
						f.required = false
						fields = append(fields, &f)
					}
				}
			default: // that the choice is wrong is said once, and nothing of what hangs on it
				c.checkChoice(s, n, path)
				return
			}
		}
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
		if f.required && n.Get(f.name) == nil {
			c.Wrong(n, fieldHint(f), "%s lacks the key %s", path, f.name)
		}
	}
	for _, e := range n.entries {
		if strings.HasPrefix(e.key, "x-") {
			continue // for the author and other tools
		}
		i := slices.IndexFunc(fields, func(f *Field) bool { return f.name == e.key })
		if i < 0 {
			c.add(e.pos, nearestOf(e.key, names), "there is no key %q in %s", e.key, path)
			continue
		}
		if e.value.kind == null && !fields[i].required {
			continue // as if it were not there: a case may say so
		}
		c.check(fields[i].shape, e.value, join(path, e.key))
	}
}

func (c *Checker) checkChoice(s *Shape, n *Node, path string) {
	f := s.field(s.selects)
	c.check(f.shape, n.Get(s.selects), join(path, s.selects))
}

func fieldHint(f *Field) string {
	if len(f.shape.choices) > 0 && len(f.shape.choices) <= 12 {
		return "one of " + strings.Join(f.shape.choices, ", ")
	}
	return f.doc
}

func join(path, key string) string {
	if path == "the file" {
		return key
	}
	return path + "." + key
}
