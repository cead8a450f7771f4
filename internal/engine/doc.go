// SPDX-License-Identifier: Apache-2.0

// Package engine is the built-in engine: it evaluates Falco's rules for events
// and makes the alerts that Falco 0.43 would make.
//
// An [Engine] is made of a set of rules and is then fixed. Each goroutine that
// has events uses an [Evaluator] of its own; the alerts leave it through the
// function given to [Evaluator.Evaluate]. What a rule asks for and the engine
// cannot know is listed in [Engine.Unsupported]: such a rule is neither passed
// nor failed, it is not evaluated.
//
// Which events there are and what fields they have, the sources know that the
// rules were loaded for ([filter.Source]); see [Typed], [Observer] and [Suggester]
// for what else they may tell.
//
// The package imports internal/alert, internal/filter and internal/rules. It knows
// nothing of any source, of how events are watched, and of tests.
package engine
