// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"slices"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// collector puts items of the same name together, in the order of the files.
//
// Each item that is defined takes a number. Its index is that of its first
// definition and decides what sees it; its visibility is that of its last
// change and decides what it sees: a macro sees the macros whose index is below
// its own visibility.
type collector struct {
	next int

	lists      []*list
	listByName map[string]*list
	round      int // counts the conditions into which lists were put
	longest    int // how long a condition may grow by them

	macros      []*macro
	macroByName map[string]*macro

	rules      []*rule
	ruleByName map[string]*rule

	engine  version
	plugins []pluginRequirement

	// changed are the lists and macros that were defined or changed since the
	// rules were compiled last.
	changed map[string]bool
}

type list struct {
	name              string
	items             []listItem // as written
	resolved          []listItem // with lists in the list resolved
	oddName           bool       // the name holds what separates words
	round             int        // the last condition that named it
	index, visibility int
	used              bool
	pos               filter.Pos
}

type macro struct {
	name              string
	cond              *filter.Text
	expr              *filter.Expr
	resolved          bool // all macros in expr are
	size              int  // how many nodes expr has, macros resolved
	index, visibility int
	used              bool
	pos               filter.Pos
	condition
}

// condition is what is known of a condition since it was compiled.
type condition struct {
	compiled          bool
	words             []string // those that could be names of lists or macros
	lists             []*list  // that it names
	macros            []*macro
	warnings, remarks []*Problem
}

type rule struct {
	name              string
	cond              *filter.Text
	output, desc      string
	outputPos         filter.Pos
	priority          alert.Priority
	source            string
	tags              []string // sorted
	enabled           bool
	capture           bool
	captureDuration   time.Duration
	warnEventTypes    bool
	skipUnknownFilter bool
	exceptions        []*exception
	unknownSource     bool
	pos               filter.Pos
	condition
	out *Rule // once compiled; nil when it is left out
}

// entry is a value of an exception: a scalar, or a list of entries.
type entry struct {
	list  bool
	text  string
	items []entry
	pos   filter.Pos
}

func (e *entry) set() bool { return e.text != "" || len(e.items) > 0 }

type exception struct {
	name          string
	fields, comps entry
	values        []entry
	pos           filter.Pos
}

type pluginRequirement struct {
	alternatives []PluginVersion
	pos          filter.Pos
}

var errTooLong = errors.New("lists make the condition longer than all that they hold: do they name each other?")

func newCollector() *collector {
	return &collector{listByName: map[string]*list{}, macroByName: map[string]*macro{}, ruleByName: map[string]*rule{}, changed: map[string]bool{}}
}

func (c *collector) number() int {
	c.next++
	return c.next - 1
}

func (c *collector) defineList(l *list) {
	c.changed[l.name] = true
	n := c.number()
	l.index, l.visibility = n, n
	if prev := c.listByName[l.name]; prev != nil {
		l.index = prev.index
		*prev = *l
		return
	}
	c.lists = append(c.lists, l)
	c.listByName[l.name] = l
}

func (c *collector) defineMacro(m *macro) {
	c.changed[m.name] = true
	n := c.number()
	m.index, m.visibility = n, n
	if prev := c.macroByName[m.name]; prev != nil {
		m.index = prev.index
		*prev = *m
		return
	}
	c.macros = append(c.macros, m)
	c.macroByName[m.name] = m
}

func (c *collector) defineRule(r *rule) {
	c.number()
	if prev := c.ruleByName[r.name]; prev != nil {
		*prev = *r
		return
	}
	c.rules = append(c.rules, r)
	c.ruleByName[r.name] = r
}

// changeRule notes that a rule was changed.
func (c *collector) changeRule(u *rule) {
	c.number()
	u.condition = condition{}
}

// appendText adds more to a condition, after a blank.
func appendText(t, more *filter.Text, pos filter.Pos) *filter.Text {
	out := &filter.Text{}
	out.WriteText(t, 0, t.Len())
	out.WriteFixed(" ", pos)
	out.WriteText(more, 0, more.Len())
	return out
}

func mergeTags(a, b []string) []string {
	tags := append(slices.Clone(a), b...)
	slices.Sort(tags)
	return slices.Compact(tags)
}
