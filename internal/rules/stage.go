// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// Falco compiles all that it has read so far after each file, and stops at what
// is wrong then, though a later file would mend it. To compile everything anew
// for each of many files takes long; only what a file changes can turn out
// otherwise than before.

// compile compiles what the files up to this one changed. It returns an error only
// when the context ends; what is wrong with the rules goes to l.errs.
func (l *loader) compile(ctx context.Context) error {
	if len(l.changed) > 0 {
		if err := l.resolveLists(); err != nil {
			l.errs = append(l.errs, &Problem{Code: ErrValidate, Msg: err.Error()})
			return nil
		}
		l.stale()
		l.changed = map[string]bool{}
	}
	l.compileMacros()
	for _, u := range l.rules {
		if err := ctx.Err(); err != nil {
			return err
		}
		if u.unknownSource || u.compiled {
			continue
		}
		errs := len(l.errs)
		c := l.compilers[u.source]
		if c == nil {
			c = filter.NewCompiler(l.sources[u.source])
			l.compilers[u.source] = c
		}
		u.condition = condition{words: u.words}
		l.during(&u.condition, func() { u.out = l.compileRule(u, c) })
		for _, p := range l.errs[errs:] {
			p.of, p.file = u, u.pos.File
		}
	}
	return nil
}

// during notes the warnings of f with a condition, which they go away with.
func (l *loader) during(c *condition, f func()) {
	warnings, remarks := l.warnings, l.remarks
	l.warnings, l.remarks = nil, nil
	f()
	c.compiled, c.warnings, c.remarks = true, l.warnings, l.remarks
	l.warnings, l.remarks = warnings, remarks
}

// compileMacros parses the macros that are not compiled, and puts macros in their
// places in them. Those with errors stay without a tree; what names them says
// nothing more about them.
func (l *loader) compileMacros() {
	var fresh []*macro
	for _, m := range l.macros {
		if m.compiled {
			continue
		}
		fresh = append(fresh, m)
		m.condition = condition{words: m.words}
		m.resolved = false
		l.during(&m.condition, func() { m.expr, m.size = l.parse(m.cond, itemName("macro", m.name), &m.condition) })
	}
	for _, m := range fresh {
		if m.expr == nil {
			continue
		}
		rs := resolver{loader: l, item: itemName("macro", m.name), visibility: m.visibility, cond: &m.condition}
		m.expr, m.size = rs.resolve(m.expr, nil)
		m.resolved = m.expr != nil
	}
}

// stale marks the macros and rules for which a changed name means something else.
func (l *loader) stale() {
	odd := false
	for again := true; again; {
		again = false
		for _, ls := range l.lists {
			odd = odd || ls.oddName && l.changed[ls.name]
			if l.changed[ls.name] {
				continue
			}
			for _, it := range ls.items {
				if l.changed[it.text] {
					l.changed[ls.name], again = true, true
					break
				}
			}
		}
	}
	for again := true; again; {
		again = false
		for _, m := range l.macros {
			if l.changed[m.name] && !m.compiled {
				continue
			}
			if l.changed[m.name] || odd || m.names(l.changed, m.cond) {
				again = again || !l.changed[m.name]
				l.changed[m.name] = true
				m.compiled = false
			}
		}
	}
	if odd {
		for _, u := range l.rules {
			u.compiled = false
		}
		return
	}
	for word := range l.changed {
		for _, u := range l.rulesByWord[word] {
			u.compiled = false
		}
	}
}

// remember notes the words of a rule's condition, exceptions included, by which the
// rule is found when what they name changes. There may be tens of thousands of rules,
// and hundreds of files.
func (l *loader) remember(u *rule, text *filter.Text) {
	if u.words != nil {
		return
	}
	u.words = wordsOf(text.String())
	slices.Sort(u.words)
	u.words = slices.Compact(u.words)
	for _, word := range u.words {
		l.rulesByWord[word] = append(l.rulesByWord[word], u)
	}
}

// names tells whether a condition holds one of the words.
func (c *condition) names(words map[string]bool, text *filter.Text) bool {
	if c.words == nil {
		c.words = wordsOf(text.String())
	}
	for _, w := range c.words {
		if words[w] {
			return true
		}
	}
	return false
}

// wordsOf lists the words of a text that could be the name of a list or a macro.
func wordsOf(s string) []string {
	var words []string
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r < 0x80 && strings.IndexByte(delims, byte(r)) >= 0 }) {
		words = append(words, word)
		if !filter.IsIdentifier(word) {
			words = append(words, strings.FieldsFunc(word, func(r rune) bool {
				return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_')
			})...)
		}
	}
	return words
}

// assemble makes a set of what was compiled.
func (l *loader) assemble(set *Set) {
	l.gather()
	note := func(c *condition) {
		for _, ls := range c.lists {
			ls.used = true
		}
		for _, m := range c.macros {
			m.used = true
		}
	}
	for _, m := range l.macros {
		note(&m.condition)
	}
	for _, u := range l.rules {
		if u.unknownSource {
			set.leaveOut(u)
			continue
		}
		note(&u.condition)
		set.programs[u.source] = l.compilers[u.source].Program()
		if u.out != nil {
			u.out.Enabled = u.enabled
			set.Rules = append(set.Rules, u.out)
		}
	}
	for _, m := range l.macros {
		if !m.used {
			l.warnings = append(l.warnings, l.problem(UnusedMacro, m.pos, itemName("macro", m.name), "macro not referred to by any other rule or macro"))
		}
		set.Macros = append(set.Macros, &Macro{Name: m.name, Condition: m.cond.String(), Expr: m.expr, Used: m.used, Pos: m.pos})
	}
	for _, ls := range l.lists {
		if !ls.used {
			l.warnings = append(l.warnings, l.problem(UnusedList, ls.pos, itemName("list", ls.name), "list not referred to by any other rule, macro or list"))
		}
		p := &List{Name: ls.name, Used: ls.used, Pos: ls.pos}
		for _, it := range ls.resolved {
			p.Items = append(p.Items, it.text)
		}
		set.Lists = append(set.Lists, p)
	}
	set.Warnings, set.Remarks = l.warnings, l.remarks
}

// gather adds the warnings of conditions to those of reading the files.
func (l *loader) gather() {
	add := func(c *condition) {
		l.warnings, l.remarks = append(l.warnings, c.warnings...), append(l.remarks, c.remarks...)
	}
	for _, m := range l.macros {
		add(&m.condition)
	}
	for _, u := range l.rules {
		add(&u.condition)
	}
}

// explainLater says of errors that a later file would have mended it, and why it
// does not.
func (l *loader) explainLater() {
	for _, p := range l.errs {
		if m := l.macroByName[p.macro]; m != nil && p.macro != "" && m.pos.File != p.Pos.File {
			p.Hint = fmt.Sprintf("it is defined at %s, in a file that is loaded later: Falco compiles the files one after another, so name that one first", m.pos)
			continue
		}
		if p.of != nil && p.of.pos.File != "" && p.of.pos.File != p.file {
			p.Hint = fmt.Sprintf("%s replaces the rule, but Falco compiles the files one after another and refuses this one before", p.of.pos)
		}
	}
}
