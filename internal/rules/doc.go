// SPDX-License-Identifier: Apache-2.0

// Package rules loads Falco's rules files.
//
// [Load] reads files in order, puts their lists, macros, exceptions, appends and
// overrides together as Falco 0.43.1 (engine 0.58.0) does, checks the conditions
// and outputs against the fields of the event sources it is given, and returns a
// [Set] of rules whose conditions are compiled, or an [Error] that lists every
// problem with Falco's code, the item, file, line, column, the line itself and
// what to do.
//
// It imports internal/filter for the condition language, internal/source for the default source, internal/falcoyaml for
// YAML as Falco reads it, and internal/alert for priorities.
package rules
