// SPDX-License-Identifier: Apache-2.0

// Package filter is the language of Falco's rule conditions.
//
// A condition goes through four steps:
//
//   - [Parse] turns its text into a tree of [Expr], in which each node knows
//     the file, line and column it came from;
//   - a [Compiler] checks the tree against the fields of a [Source] and adds it
//     to a [Program], in which all conditions share their common parts;
//   - a [Machine] evaluates conditions of a program for one event after another,
//     without allocation;
//   - an [Explainer] watches the events of a run and says why a condition was
//     true for none of them.
//
// [EventTypes] tells which event types a condition can be true for.
//
// The package knows no rules files (internal/rules expands lists and macros and
// gives it the texts) and no events: they enter as any and are read only by the
// functions of the source's fields. It imports internal/spelling alone.
//
// What the operators mean, which types they accept and how conditions are
// written is taken from falcosecurity/libs 0.23.2, the version in Falco 0.43.1.
package filter
