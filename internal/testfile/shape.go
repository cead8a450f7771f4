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
	kinds    []Kind
	doc      string
	empty    bool   // a text may be empty
	write    string // a hint, if it needs another than its kinds tell
	choices  []string
	examples []any
	least    int // how many items of a list, or entries; of a number where no text may stand, the least one
	most     int // likewise, the most or the greatest, if not 0

	items  *Shape   // of a list; of an object whose keys are the author's
	keys   string   // what such a key is
	fields []*Field // of an object
	forbid func(key string) string

	// select names the field whose value chooses further fields.
	selects  string
	variants []variant

	check func(c *Checker, n *Node)
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
	found    int      // how often something was wrong
	made     int      // cases
	skip     bool     // placeholders stand for values
	part     bool     // what is checked lacks what it should take over from another test
	named    []string // files that the test names
}

// at says where in a file a value is, such as "the test a.steps[0]".
type at string

// add tells a problem, once: not again for each test that takes over the value, by
// extends or an alias, nor for each case.
func (c *Checker) add(pos Pos, hint, format string, args ...any) {
	c.found++
	same := slices.Clone(args)
	for i, arg := range same {
		if _, ok := arg.(at); ok {
			same[i] = ""
		}
	}
	if p := (Problem{pos, fmt.Sprintf(format, same...), hint}); c.seen[p] {
		return
	} else {
		c.seen[p] = true
	}
	c.problems = append(c.problems, &Problem{pos, fmt.Sprintf(format, args...), hint})
}

// Wrong tells what is wrong with a value, and what to write instead. Of one that came in
// for a placeholder it names the place of that, too.
func (c *Checker) Wrong(n *Node, hint, format string, args ...any) {
	if n.filledAt.Line != 0 {
		format, args = format+", for the placeholder in line %d", append(slices.Clip(args), n.filledAt.Line)
	}
	c.add(n.pos, hint, format, args...)
}

// maxProblems ends the checking of a file in which nothing is right.
const maxProblems = 100

// check checks a value that is at path, and notes whether something in it is wrong.
func (c *Checker) check(s *Shape, n *Node, path at) {
	if len(c.problems) >= maxProblems || n.told {
		return
	}
	before := c.found
	c.checkValue(s, n, path)
	n.faulty = n.faulty || c.found > before
}

func (c *Checker) checkValue(s *Shape, n *Node, path at) {
	if c.skip && n.kind == text && placeholder.MatchString(n.text) {
		return // it is checked with the values of each case
	}
	if !slices.Contains(s.kinds, n.kind) || n.float && !slices.Contains(s.kinds, text) {
		if n.kind == null && !slices.Contains(s.kinds, null) {
			c.Wrong(n, "give it a value, or leave it out", "%s has no value", path)
			return
		}
		c.Wrong(n, s.hint(n), "%s must be %s, and is %s", path, s.kindsText(), n.describe())
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
			c.Wrong(n, "leave some out", "%s has %d items, and must have %d at most", path, len(n.items), s.most)
		}
		for i, item := range n.items {
			c.check(s.items, item, at(fmt.Sprintf("%s[%d]", path, i)))
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
	if len(s.choices) > 0 && len(s.choices) <= 12 && len(names) == 1 {
		return "one of " + strings.Join(s.choices, ", ")
	}
	return strings.Join(names, " or ")
}

func (c *Checker) checkScalar(s *Shape, n *Node, path at) {
	switch {
	case n.kind == number && slices.Contains(s.kinds, number) && !n.float:
		c.checkNumber(s, n, path)
		return
	case n.kind == text && n.text == "" && !s.empty:
		c.Wrong(n, "give it a value, or leave it out", "%s is empty", path)
		return
	}
	if len(s.choices) > 0 && !slices.Contains(s.choices, n.text) {
		c.Wrong(n, nearestOf(n.text, s.choices), "%q is no value of %s", n.text, path)
	}
}

// checkNumber checks a number where no text may stand.
func (c *Checker) checkNumber(s *Shape, n *Node, path at) {
	if slices.Contains(s.kinds, text) {
		return
	}
	most := s.most
	if most == 0 {
		most = maxNumber
	}
	if n.big || n.number < int64(s.least) || n.number > int64(most) {
		c.Wrong(n, s.hint(n), "%s must be from %d to %d, and is %s", path, s.least, most, n.text)
	}
}

// hint says how a value of a shape is written in place of n, where that needs saying.
func (s *Shape) hint(n *Node) string {
	switch {
	case s.write != "":
		return s.write
	case slices.Contains(s.kinds, text):
		if n.kind == number || n.kind == boolean {
			return "in quotes"
		}
	case slices.Contains(s.kinds, number):
		return fmt.Sprintf("a whole number such as %d", max(s.least, 1))
	case slices.Contains(s.kinds, boolean):
		return "true or false, without quotes"
	case slices.Contains(s.kinds, list):
		return "in square brackets, or a line with a hyphen for each"
	}
	return ""
}

// maxNumber is the greatest number where nothing smaller is.
const maxNumber = 1_000_000

func (c *Checker) checkObject(s *Shape, n *Node, path at) {
	if s.items != nil { // the keys are the author's
		if len(n.entries) < s.least {
			c.Wrong(n, "leave the key out, or add an entry", "%s is empty", path)
		}
		for _, e := range n.entries {
			if s.forbid != nil {
				if why := s.forbid(e.key); why != "" {
					c.add(e.pos, "choose another name", "%s", why)
				}
			}
			c.check(s.items, e.value, path+at("."+e.key))
		}
		return
	}
	fields := s.fields
	if s.selects != "" {
		chosen := n.Get(s.selects)
		i := slices.IndexFunc(s.variants, func(v variant) bool { return chosen != nil && chosen.kind == text && v.value == chosen.text })
		switch {
		case i >= 0:
			fields = append(slices.Clone(fields), s.variants[i].fields...)
		case !chosen.Given() || c.skip && isTemplate(chosen): // it may be any
			for _, v := range s.variants {
				for _, f := range v.fields {
					f := *f
					f.required = false
					fields = append(fields, &f)
				}
			}
		default: // that the choice is wrong is said once, and nothing of what hangs on it
			c.check(s.field(s.selects).shape, chosen, path.key(s.selects))
			return
		}
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	n.meant = misspelt(n, names)
	for _, e := range n.entries {
		if strings.HasPrefix(e.key, "x-") {
			continue // for the author and other tools
		}
		i := slices.Index(names, e.key)
		if i < 0 && s.mayBelong(n, e.key) {
			continue
		}
		if i < 0 {
			c.add(e.pos, nearestOf(e.key, names), "there is no key %q in %s", e.key, path)
			continue
		}
		if e.value.kind == null && !fields[i].required {
			continue // as if it were not there: a case may say so
		}
		c.check(fields[i].shape, e.value, path.key(e.key))
	}
	for _, f := range fields {
		if f.required && n.Get(f.name) == nil && !c.part && !slices.Contains(n.meant, f.name) {
			c.Wrong(n, fieldHint(f), "%s lacks the key %s", path, f.name)
		}
	}
}

// mayBelong tells whether a key belongs to a value that another case may choose.
func (s *Shape) mayBelong(n *Node, key string) bool {
	chosen := n.Get(s.selects)
	return chosen != nil && chosen.filledAt.Line != 0 && slices.ContainsFunc(s.variants, func(v variant) bool {
		return slices.ContainsFunc(v.fields, func(f *Field) bool { return f.name == key })
	})
}

// misspelt are those of names that an object lacks and seems to have misspelt.
func misspelt(n *Node, names []string) (meant []string) {
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return n.Get(name) != nil })
	for _, e := range n.entries {
		if slices.Contains(names, e.key) || strings.HasPrefix(e.key, "x-") {
			continue
		}
		if name := nearest(e.key, missing); name != "" {
			meant = append(meant, name)
		}
	}
	return meant
}

// has tells whether an object has a key, perhaps misspelt.
func (n *Node) has(key string) bool { return n.Get(key).Given() || slices.Contains(n.meant, key) }

func fieldHint(f *Field) string {
	if len(f.shape.choices) > 0 && len(f.shape.choices) <= 12 {
		return "one of " + strings.Join(f.shape.choices, ", ")
	}
	return f.doc
}

func (a at) key(name string) at {
	if a == wholeFile {
		return at(name)
	}
	return a + at("."+name)
}

const wholeFile at = "the file"
