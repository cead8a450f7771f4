// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

// maxCondition bounds how long a condition may grow by its lists, beyond a few
// times the length of all that lists hold as written: lists that name lists that
// name lists can double with each step.
const maxCondition = 1 << 20

// listItem is an item of a list, with where it was written.
type listItem struct {
	text string
	pos  filter.Pos
}

const (
	blanks = " \t\n\r"
	delims = blanks + "(),="
)

// putLists replaces the names of lists in a condition by their items. It works
// on the text, before it is parsed, as Falco does: a name counts wherever
// blanks, parentheses, commas or equals signs stand around it, and the lists
// take their turns in the order of their definition.
func (c *collector) putLists(t *filter.Text, cond *condition) (*filter.Text, error) {
	c.round++
	c.want(t.String())
	for _, l := range c.lists {
		if l.round != c.round && !(l.oddName && strings.Contains(t.String(), l.name)) {
			continue
		}
		u, used := l.put(t, c.longest)
		if !used {
			continue
		}
		if u.Len() > c.longest {
			return nil, errTooLong
		}
		cond.lists = append(cond.lists, l)
		t = u
		for _, it := range l.resolved {
			c.want(it.text)
		}
	}
	return t, nil
}

// want marks the lists that a text names: only they need to be looked for.
func (c *collector) want(s string) {
	for s != "" {
		n := strings.IndexAny(s, delims)
		word := s
		if n < 0 {
			s = ""
		} else {
			word, s = s[:n], s[n+1:]
		}
		if l := c.listByName[word]; l != nil && word != "" {
			l.round = c.round
		}
	}
}

// put returns t with the list's items in place of its name.
func (l *list) put(t *filter.Text, longest int) (out *filter.Text, used bool) {
	s := t.String()
	out = &filter.Text{}
	in := "list " + l.name
	from := 0 // what of s is in out
	for at := 0; ; {
		i := strings.Index(s[at:], l.name)
		if i < 0 || l.name == "" {
			break
		}
		start := at + i
		end := start + len(l.name)
		at = start + 1
		if start > 0 && strings.IndexByte(delims, s[start-1]) < 0 || end < len(s) && strings.IndexByte(delims, s[end]) < 0 {
			continue
		}
		name := t.Pos(start)
		for start > from && strings.IndexByte(blanks, s[start-1]) >= 0 {
			start--
		}
		for end < len(s) && strings.IndexByte(blanks, s[end]) >= 0 {
			end++
		}
		if l.empty() { // one of the commas around it goes too
			if start > from && s[start-1] == ',' {
				start--
			} else if end < len(s) && s[end] == ',' {
				end++
			}
		}
		if !used {
			out.Grow(t.Len()+16*len(l.resolved), 8+len(l.resolved))
		}
		out.WriteText(t, from, start)
		if start > 0 {
			out.WriteFixed(" ", name)
		}
		if l.empty() { // its place is what is left of it
			name = l.pos
			name.In = in
		}
		empty := true
		for _, it := range l.resolved {
			pos := it.pos
			pos.In = in
			if !empty {
				out.WriteFixed(", ", pos)
			}
			out.WriteFixed(quote(it.text), pos)
			empty = empty && it.text == ""
			if out.Len() > longest {
				return out, true
			}
		}
		out.WriteFixed(" ", name)
		from, at = end, end
		used = true
	}
	if !used {
		return t, false
	}
	out.WriteText(t, from, len(s))
	return out, true
}

func (l *list) empty() bool {
	for _, it := range l.resolved {
		if it.text != "" {
			return false
		}
	}
	return true
}

// quote puts an item with blanks into quotes, unless it has some.
func quote(s string) string {
	if strings.Contains(s, " ") && s[0] != '"' && s[0] != '\'' {
		return `"` + s + `"`
	}
	return s
}

// resolveLists puts the items of lists in place of their names in other lists.
// As in Falco, this goes one step deep, and only for lists that were defined
// before the last change of the one that names them; deeper names are resolved
// in conditions, if the order of the lists happens to allow it.
func (c *collector) resolveLists() error {
	total := 0
	c.longest = maxCondition
	for _, l := range c.lists {
		l.resolved, l.used = nil, false
		for _, it := range l.items {
			c.longest += 4 * (len(it.text) + len(", "))
		}
	}
	for _, l := range c.lists {
		for _, it := range l.items {
			inner := c.listByName[it.text]
			if inner == nil || inner.index >= l.visibility {
				l.resolved = append(l.resolved, it)
				total++
				continue
			}
			inner.used = true
			l.resolved = append(l.resolved, inner.items...)
			if total += len(inner.items); total > maxNodes {
				return errTooLong
			}
		}
	}
	return nil
}

// nearestList is the list whose name is most like a word, "" when none is.
func (c *collector) nearestList(word string) string {
	var names []string
	for _, l := range c.lists {
		names = append(names, l.name)
	}
	return spelling.Nearest(word, names)
}
