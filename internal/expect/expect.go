// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// Expectation says which alerts of one rule are expected. The zero value, with
// a Rule, expects at least one.
type Expectation struct {
	Rule string
	// Silent expects that no alert matches the rest.
	Silent bool

	Source   string // "syscall"; "" is any
	Hostname string
	Priority Priorities
	Tags     []string // each must be among the alert's
	Output   []Matcher
	Fields   []Field
	Count    Count
}

// Field is what an output field is to be.
type Field struct {
	Name    string
	Matcher Matcher
}

// Priorities bounds a priority. The zero value takes each.
type Priorities struct {
	set         bool
	least, most alert.Priority // of them, the more severe is the smaller number
}

// Priority takes just that one.
func Priority(p alert.Priority) Priorities { return Priorities{true, p, p} }

// AtLeast takes that one and those more severe.
func AtLeast(p alert.Priority) Priorities { return Priorities{true, p, alert.Emergency} }

// AtMost takes that one and those less severe.
func AtMost(p alert.Priority) Priorities { return Priorities{true, alert.Debug, p} }

func (p Priorities) match(a alert.Priority) bool { return !p.set || a <= p.least && a >= p.most }

func (p Priorities) String() string {
	switch {
	case p.least == p.most:
		return "= " + p.least.String()
	case p.most == alert.Emergency:
		return "at least " + p.least.String()
	}
	return "at most " + p.most.String()
}

// Count bounds how many alerts match. The zero value wants one or more.
type Count struct {
	set      bool
	min, max int // max < 0: no bound
}

// Exactly wants just n; Exactly(0) is another way to say silent.
func Exactly(n int) Count { return Count{true, n, n} }

// Between wants from min to max; a negative max is no bound.
func Between(min, max int) Count { return Count{true, min, max} }

func (c Count) bounds() (min, max int) {
	if !c.set {
		return 1, -1
	}
	return c.min, c.max
}

func (c Count) String() string {
	min, max := c.bounds()
	switch {
	case min == max:
		return fmt.Sprintf("exactly %d", min)
	case max < 0:
		return fmt.Sprintf("at least %d", min)
	}
	return fmt.Sprintf("from %d to %d", min, max)
}

// Whole tells whether all alerts must have come before anything can be said:
// otherwise the first that matches decides.
func (e *Expectation) Whole() bool { return e.Silent || e.Count.set }

// FieldNames are the output fields that are compared.
func (e *Expectation) FieldNames() []string {
	var names []string
	for _, f := range e.Fields {
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// Match tells whether an alert is one that is meant: of the rule, and as wanted
// in every other respect.
func (e *Expectation) Match(a *alert.Alert) bool {
	return a.Rule == e.Rule && !slices.ContainsFunc(e.compare(a), func(l line) bool { return !l.ok })
}

// Check compares the alerts of one action, all of them, with what is expected,
// and returns nil when that is met.
func (e *Expectation) Check(alerts []*alert.Alert) *Mismatch {
	m := &Mismatch{Expectation: e}
	var matching []*alert.Alert
	for _, a := range alerts {
		switch {
		case e.Match(a):
			matching = append(matching, a)
		case a.Rule == e.Rule:
			m.Other = append(m.Other, a)
		default:
			m.Foreign = append(m.Foreign, a)
		}
	}
	m.Matching = matching
	if e.Silent {
		if len(matching) == 0 {
			return nil
		}
		return m
	}
	least, most := e.Count.bounds()
	if n := len(matching); n >= least && (most < 0 || n <= most) {
		return nil
	}
	slices.SortStableFunc(m.Other, func(a, b *alert.Alert) int {
		switch na, nb := e.nearness(a), e.nearness(b); {
		case na > nb:
			return -1
		case na < nb:
			return 1
		}
		return 0
	})
	return m
}

// line is one comparison: of a name, what was wanted and what came.
type line struct {
	name, want, got string
	ok              bool
	closeness       float64
}

// compare compares an alert of the rule in every respect that is expected.
func (e *Expectation) compare(a *alert.Alert) []line {
	var lines []line
	text := func(name string, m Matcher, value string, has bool) {
		got := "has no value"
		if has {
			got = "= " + quote(value)
		}
		lines = append(lines, line{name, m.String(), got, m.Match(value, has), m.closeness(value, has)})
	}
	if e.Source != "" {
		text("source", Equal(e.Source), a.Source, true)
	}
	if e.Hostname != "" {
		text("hostname", Equal(e.Hostname), a.Hostname, true)
	}
	if e.Priority.set {
		lines = append(lines, line{"priority", e.Priority.String(), "= " + a.Priority.String(), e.Priority.match(a.Priority), 0})
	}
	for _, f := range e.Fields {
		value, has := a.Field(f.Name)
		if _, printed := a.Fields[f.Name]; !printed && f.Matcher.op != Exists {
			lines = append(lines, line{f.Name, f.Matcher.String(), "is not in the alert: the rule's output does not print it", false, 0})
			continue
		}
		text(f.Name, f.Matcher, value, has)
	}
	for _, m := range e.Output {
		text("output", m, a.Output, true)
	}
	tags := "are none"
	if len(a.Tags) > 0 {
		tags = "are " + strings.Join(a.Tags, ", ")
	}
	for _, tag := range e.Tags {
		lines = append(lines, line{"tags", "contain " + quote(tag), tags, slices.Contains(a.Tags, tag), 0})
	}
	return lines
}

func (e *Expectation) nearness(a *alert.Alert) float64 {
	sum := 0.0
	for _, l := range e.compare(a) {
		if l.ok {
			sum++
		} else {
			sum += l.closeness
		}
	}
	return sum
}

// Describe says what is expected of an alert beside its rule, a line each.
func (e *Expectation) Describe() []string {
	var lines []string
	for _, l := range e.compare(&alert.Alert{}) {
		lines = append(lines, l.name+" "+l.want)
	}
	if e.Count.set && !e.Silent {
		lines = append(lines, "count "+e.Count.String())
	}
	return lines
}
