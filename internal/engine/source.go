// SPDX-License-Identifier: Apache-2.0

package engine

import "github.com/falcotest/go-falcotest/internal/filter"

// Sources of events are given with the rules, as [filter.Source]. What they may say
// of themselves besides:

// Typed is a source whose events have types, which the field evt.type names. Rules
// are tried for events of those types alone that they can be true for.
type Typed interface {
	filter.EventTyper
	// TypeOf is where the type of an event stands in EventTypes, less than 0 for
	// an event that no rule is for.
	TypeOf(event any) int
}

// Observer is a source that must see each of its events before rules ask for its
// fields, also those that no rule is for.
type Observer interface {
	Observe(event any)
}

// Suggester is a source to whose rules' outputs Falco appends something: the fields
// that its plugins suggest.
type Suggester interface {
	SuggestedOutput() string
}

func suggestedOutput(src filter.Source) string {
	if s, ok := src.(Suggester); ok {
		return s.SuggestedOutput()
	}
	return ""
}
