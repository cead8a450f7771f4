// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// CaseValue is one value of a case, by its key.
type CaseValue struct {
	Key  string
	Text string
}

// maxCases bounds how many cases the matrices of one file may make.
const maxCases = 100_000

// testCase is the values of one case.
type testCase struct {
	entries []entry
}

func (c *testCase) get(key string) *Node {
	for _, e := range c.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// cases returns the cases of a test in the order of the file: of a matrix, the
// last key changes fastest.
func (c *Checker) cases(spec *Node) []*testCase {
	var all []*testCase
	var keys []string
	for i, n := range spec.items {
		values := n.Get("values")
		if n.kind != object || values == nil || values.kind != object || !n.Get("strategy").sound() {
			continue // the shape has said so
		}
		var own []string
		for _, e := range values.entries {
			own = append(own, e.key)
		}
		if i == 0 {
			keys = own
		} else if missing, extra := difference(keys, own); len(missing)+len(extra) > 0 {
			hint := ""
			if len(missing) > 0 {
				hint = "missing: " + strings.Join(missing, ", ")
			}
			if len(extra) > 0 {
				hint = strings.TrimPrefix(hint+"; not in the first: "+strings.Join(extra, ", "), "; ")
			}
			c.add(values.pos, hint, "the cases of a test need the same keys")
			continue
		}
		if n.Get("strategy").Str() != "matrix" {
			all = append(all, &testCase{values.entries})
			continue
		}
		product := []*testCase{{}}
		for _, e := range values.entries {
			var next []*testCase
			if e.value.kind != list {
				c.add(e.value.pos, "write ["+e.value.flow()+"]", "a matrix needs a list of values for each key, and %s has %s", e.key, e.value.kind)
				product = nil
				break
			}
			if len(e.value.items) == 0 {
				c.add(e.value.pos, "add a value", "the list of values for %s is empty", e.key)
			}
			if c.made+len(all)+len(product)*len(e.value.items) > maxCases {
				c.add(n.pos, "list fewer values", "the tests of the file have more than %d cases", maxCases)
				product = nil
				break
			}
			for _, before := range product {
				for _, v := range e.value.items {
					next = append(next, &testCase{append(slices.Clone(before.entries), entry{e.key, e.pos, v})})
				}
			}
			product = next
		}
		all = append(all, product...)
	}
	c.made += len(all)
	return all
}

func difference(want, have []string) (missing, extra []string) {
	for _, w := range want {
		if !slices.Contains(have, w) {
			missing = append(missing, w)
		}
	}
	for _, h := range have {
		if !slices.Contains(want, h) {
			extra = append(extra, h)
		}
	}
	return missing, extra
}

// placeholder is %{ item.key }.
var placeholder = regexp.MustCompile(`%\{\s*item\.(\S+?)\s*\}`)

// fill returns a copy of the test with the values of a case in the places of
// the placeholders. A placeholder that is all of a text becomes the value, of
// whatever kind; inside a longer text it becomes the value's text.
func (c *Checker) fill(n *Node, values *testCase) *Node {
	out := *n
	switch n.kind {
	case text:
		at := placeholder.FindStringSubmatchIndex(n.text)
		if at == nil {
			return n
		}
		if strings.TrimSpace(n.text) == n.text[at[0]:at[1]] {
			v := c.value(n, n.text[at[2]:at[3]], values)
			if v == nil {
				out.told = true
				return &out
			}
			filled := *v
			filled.filledAt = n.pos
			return &filled
		}
		out.text = placeholder.ReplaceAllStringFunc(n.text, func(s string) string {
			v := c.value(n, placeholder.FindStringSubmatch(s)[1], values)
			switch {
			case v == nil:
				out.told = true
				return s
			case v.kind == list, v.kind == object:
				out.told = true
				c.add(n.pos, "put it alone, or list texts", "%s is part of a text, and its value, in line %d, is %s", s, v.pos.Line, v.kind)
				return s
			}
			return v.Str()
		})
	case list:
		out.items = make([]*Node, len(n.items))
		for i, item := range n.items {
			out.items[i] = c.fill(item, values)
		}
	case object:
		out.entries = make([]entry, len(n.entries))
		for i, e := range n.entries {
			out.entries[i] = entry{e.key, e.pos, c.fill(e.value, values)}
		}
	}
	return &out
}

// value is a case's value for a placeholder.
func (c *Checker) value(at *Node, key string, values *testCase) *Node {
	if values == nil {
		c.add(at.pos, "add cases, or write the value", "%%{ item.%s } stands in a test without cases", key)
		return nil
	}
	v := values.get(key)
	if v == nil {
		var keys []string
		for _, e := range values.entries {
			keys = append(keys, e.key)
		}
		c.add(at.pos, nearestOf(key, keys), "the cases have no value %q", key)
	}
	return v
}

func (t *testCase) values() []CaseValue {
	if t == nil {
		return nil
	}
	list := make([]CaseValue, len(t.entries))
	for i, e := range t.entries {
		list[i] = CaseValue{e.key, e.value.flow()}
	}
	return list
}

// generatedName is how event-generator calls the test of a case.
func generatedName(template string, index int) string {
	return fmt.Sprintf("%s_testCase#%d", template, index)
}
