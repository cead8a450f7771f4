// SPDX-License-Identifier: Apache-2.0

// Package engine is the built-in engine: it evaluates Falco's rules for system
// call events and makes the alerts that Falco 0.43 would make.
//
// An [Engine] is made of a set of rules and is then fixed. Each goroutine that
// has events uses an [Evaluator] of its own; the alerts leave it through the
// function given to [Evaluator.Evaluate]. What a rule asks for and the engine
// cannot know is listed in [Engine.Unsupported]: such a rule is neither passed
// nor failed, it is not evaluated.
//
// [Syscall] is the source of the fields of system call events, all in one
// table; FIELDS.md lists them. Other sources (k8s_audit) are given in
// [Options.Sources].
//
// The package imports internal/alert, internal/event, internal/filter and
// internal/rules. It knows nothing of how events are traced and of tests.
package engine
