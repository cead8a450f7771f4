// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// Set is what a number of rules files amount to. It does not change after Load.
type Set struct {
	Rules  []*Rule // in the order in which they were first defined
	Macros []*Macro
	Lists  []*List

	// Warnings are Falco's own. Remarks are what else looks like a mistake in
	// the files, though Falco says nothing of it.
	Warnings, Remarks []*Problem

	// LeftOut are the rules of sources that are not here, in order.
	LeftOut []LeftOut

	// Files are the files that were read, in order.
	Files []string

	// RequiredEngine is the highest engine version that a file requires.
	RequiredEngine string
	// RequiredPlugins are the plugins that the files require; of each entry
	// one alternative suffices.
	RequiredPlugins [][]PluginVersion

	programs map[string]*filter.Program
}

// LeftOut is a rule that was not loaded, because its source is not here.
type LeftOut struct {
	Name, Source string
	Pos          filter.Pos
}

// leaveOut notes a rule whose source is not here.
func (s *Set) leaveOut(u *rule) {
	s.LeftOut = append(s.LeftOut, LeftOut{u.name, u.source, u.pos})
}

// PluginVersion is a plugin in at least a version.
type PluginVersion struct {
	Name, Version string
}

// Program returns the conditions of the rules of a source, compiled; nil when
// no rule of the source was loaded.
func (s *Set) Program(source string) *filter.Program { return s.programs[source] }

// Rule returns the rule of that name, nil when there is none.
func (s *Set) Rule(name string) *Rule {
	for _, r := range s.Rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Sources returns the sources of the rules, sorted.
func (s *Set) Sources() []string {
	var names []string
	for n := range s.programs {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Rule is a rule as all files together make it.
type Rule struct {
	Name     string
	Desc     string
	Output   string // as written, appended parts included
	Priority alert.Priority
	Source   string // [source.Default] when the rule names none
	Tags     []string
	Enabled  bool

	Capture         bool
	CaptureDuration time.Duration

	// Condition is the text as written, appended parts included, without what
	// exceptions add.
	Condition string
	// Expr is the whole condition, with lists in place, macros resolved and
	// exceptions added.
	Expr *filter.Expr
	// Cond is Expr in the program of the rule's source.
	Cond filter.Cond
	// Format is the output, cut into its parts.
	Format []filter.FormatPart

	// Macros and Lists are those that Condition itself names; Fields and
	// Operators those of the whole condition. All are sorted.
	Macros, Lists     []string
	Fields, Operators []string

	Exceptions []*Exception

	// EventTypes are the types of events that the condition can be true for.
	EventTypes filter.TypeSet

	// Unsupported says why the built-in engine cannot evaluate the rule as
	// Falco would; empty when it can.
	Unsupported []string

	// UnsupportedOutput names fields of the output that the built-in engine
	// cannot know; the alert says <NA> for them.
	UnsupportedOutput []string

	Pos       filter.Pos // of the item that first defined it, or redefined it
	OutputPos filter.Pos
}

// Exception is an exception of a rule.
type Exception struct {
	Name   string
	Fields []string
	Comps  []string
	// Single: fields is one name, not a list, and values are a flat list.
	Single bool
	// Values as they were written; an element is a string or a []string. With
	// Single each row has one element.
	Values [][]any
	Pos    filter.Pos
}

// Macro is a macro as all files together make it.
type Macro struct {
	Name      string
	Condition string // as written, appended parts included
	Expr      *filter.Expr
	Used      bool
	Pos       filter.Pos
}

// List is a list as all files together make it.
type List struct {
	Name  string
	Items []string // with lists in the list replaced by their items
	Used  bool
	Pos   filter.Pos
}
