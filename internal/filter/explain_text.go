// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"slices"
	"strings"
)

// maxTypes is how many types of events a text lists.
const maxTypes = 8

// String says in plain text why the condition was true for no event. It has no
// line end at its end.
func (x *Explanation) String() string {
	var b strings.Builder
	switch {
	case x.Matched > 0:
		fmt.Fprintf(&b, "the condition was true for %s", count(x.Matched, "event"))
	case x.Unknown > 0:
		x.Doubt.write(&b, x.Unknown)
	case x.Wanted == 0:
		x.writeTypes(&b)
		switch {
		case len(x.Seen) > 0 && x.SeenAll:
			fmt.Fprintf(&b, "\n  seen, when it ran once more: %s", x.seenText())
		case len(x.Seen) > 0:
			fmt.Fprintf(&b, "\n  seen: %s", x.seenText())
		case x.SeenAll:
			b.WriteString("\n  nor any other that a rule may ask for")
		default:
			b.WriteString("\n  nor any other that a rule asks for")
		}
		for _, c := range x.Asking[:min(len(x.Asking), maxClauses)] {
			fmt.Fprintf(&b, "\n  asked for by %s%s", c.Text, at(c.Pos))
		}
		writeEmpty(&b, "\n  ", x.Empty)
	default:
		x.Nearest.write(&b)
	}
	return b.String()
}

func (x *Explanation) writeTypes(b *strings.Builder) {
	switch {
	case len(x.Types) > 0:
		b.WriteString("no event of a needed type was seen: " + list(x.Types))
	case len(x.ButTypes) > 0:
		b.WriteString("no event of a needed type was seen: any but " + list(x.ButTypes))
	default:
		b.WriteString("the condition can be true for no type of event")
	}
}

func (x *Explanation) seenText() string {
	var parts []string
	for i, s := range x.Seen {
		if i == maxTypes {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%d %s", s.Count, s.Type))
	}
	return strings.Join(parts, ", ")
}

func (d *Doubt) write(b *strings.Builder, events int) {
	what := "event"
	if d.Event != "" {
		what = d.Event
	}
	fmt.Fprintf(b, "%s: it hangs on what cannot be known here", what)
	if events > 1 {
		fmt.Fprintf(b, ", as with %s", count(events-1, "other event"))
	}
	last := ""
	for _, c := range d.Clauses {
		actual := c.actualText()
		if actual == last { // of the same field, for the same reason
			fmt.Fprintf(b, "\n  %s  ?", c.Text)
		} else {
			fmt.Fprintf(b, "\n  %s  ?  %s", c.Text, actual)
		}
		last = actual
		if where := c.where(false); len(where) > 0 {
			b.WriteString("\n      " + strings.Join(where, ", "))
		}
	}
}

func (n *NearMiss) write(b *strings.Builder) {
	what := "event"
	if n.Event != "" {
		what = n.Event
	}
	fmt.Fprintf(b, "closest event: %s, %d of %s true", what, n.True, count(n.Parts, "part"))
	excluder := ""
	if n.Excluded {
		excluder = n.excluder()
		// The 'not' of a single check is part of it.
		if strings.HasPrefix(excluder, "a 'not'") && len(n.Clauses) == 1 {
			excluder = ""
		}
	}
	if excluder != "" {
		b.WriteString("\n  excluded by " + excluder)
	}
	for _, c := range n.Clauses {
		text, mark := c.Text, "✗"
		if n.Excluded && excluder == "" && c.True {
			text = "not " + text
		} else if c.True {
			mark = "✓"
		}
		fmt.Fprintf(b, "\n  %s  %s  %s", text, mark, c.actualText())
		where := c.where(n.Excluded)
		if n.Alternatives > 1 && !n.Excluded {
			where = append(where, fmt.Sprintf("nearest of %d alternatives", n.Alternatives))
		}
		if len(where) > 0 {
			b.WriteString("\n      " + strings.Join(where, ", "))
		}
		writeEmpty(b, "\n      ", c.Empty)
	}
	if n.MoreFalse > 0 {
		fmt.Fprintf(b, "\n  and %s false", count(n.MoreFalse, "other part"))
	}
}

// writeEmpty names lists without items.
func writeEmpty(b *strings.Builder, before string, lists []Pos) {
	for _, pos := range lists {
		fmt.Fprintf(b, "%sthe %s is empty%s", before, pos.In, at(pos))
	}
}

// excluder names what excluded the event: the exception, the outermost macro
// behind the 'not', or the 'not' itself.
func (n *NearMiss) excluder() string {
	in := n.Clauses[0].In
	for _, r := range in {
		if r.Kind == "exception" {
			return fmt.Sprintf("exception %s%s", r.Name, at(r.Pos))
		}
	}
	i := slices.IndexFunc(in, func(r Ref) bool { return r.Kind == "not" })
	for _, r := range in[i+1:] {
		if r.Kind == "macro" {
			return fmt.Sprintf("not %s%s", r.Name, at(r.Pos))
		}
	}
	return "a 'not'" + at(in[i].Pos)
}

func at(p Pos) string {
	if s := p.String(); s != "" {
		return ", " + s
	}
	return ""
}

// where says which macros the clause is part of and where it stands.
func (c *Clause) where(excluded bool) []string {
	var names []string
	for _, r := range c.In {
		if r.Kind == "macro" {
			names = append(names, r.Name)
		}
	}
	var where []string
	if len(names) > 0 && !(excluded && len(names) == 1) {
		where = append(where, "in "+strings.Join(names, " → "))
	}
	if s := c.Pos.String(); s != "" {
		where = append(where, s)
	}
	return where
}

func (c *Clause) actualText() string {
	var parts []string
	for _, a := range c.Actual {
		switch {
		case a.Unknown != "" && a.Value == "":
			parts = append(parts, fmt.Sprintf("%s is unknown: %s", a.Field, a.Unknown))
		case a.Unknown != "":
			parts = append(parts, fmt.Sprintf("%s = %s, where ? is unknown: %s", a.Field, a.Value, a.Unknown))
		case a.Why != "":
			parts = append(parts, fmt.Sprintf("%s is not known to the built-in engine: %s", a.Field, a.Why))
		case a.Missing:
			parts = append(parts, a.Field+" has no value")
		default:
			parts = append(parts, a.Field+" = "+a.Value)
		}
	}
	return strings.Join(parts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// list joins names, the first few of them.
func list(names []string) string {
	if len(names) > maxTypes {
		return strings.Join(names[:maxTypes], ", ") + fmt.Sprintf(" and %d more", len(names)-maxTypes)
	}
	return strings.Join(names, ", ")
}
