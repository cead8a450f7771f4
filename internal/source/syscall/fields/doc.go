// SPDX-License-Identifier: Apache-2.0

// Package fields has the fields of system call events, all in one table, which
// FIELDS.md lists: proc.name, fd.name, evt.type and 265 more, as Falco has them.
//
// [New] returns the source of events that rules are loaded for; values of type
// *event.Event enter by the fields that it resolves. What the built-in engine cannot
// know of a field is told by the field. The package imports internal/event,
// internal/filter and internal/spelling.
package fields
