// SPDX-License-Identifier: Apache-2.0

// Package syscall holds the actions that make system calls: one for each rule
// of Falco's stable, incubating and sandbox rules files for system calls.
// Importing it registers them all:
//
//	import _ "github.com/falcotest/go-falcotest/events/syscall"
//
// Each action does what its rule exists to detect, as near to what an attacker
// does as is safe, and says in its comment which clause of the rule it
// satisfies, what it needs, what it leaves alone, and which technique of MITRE
// ATT&CK it shows. Only actions are exported.
//
// # What actions have in common
//
//   - They need no network: peers are servers of their own, on loopback, or on
//     addresses that exist only in a network namespace of their own.
//   - They need no programs: where a rule looks at a program's name, a copy of
//     this executable runs under that name and makes the calls that matter.
//   - Where a rule looks at a user, a terminal, an ancestor or a container,
//     they set the ids of an account that exists, open a pseudo terminal, start
//     the chain of processes, or declare the container.
//   - They change only files, processes and namespaces of their own, and remove
//     what they made.
//   - Some techniques are an attempt that the kernel refuses to an ordinary
//     user. Where the rule detects the attempt, the action logs the refusal and
//     ends without an error.
//
// The actions exist on Linux only; elsewhere the package is empty. It imports
// packages events and helper, and knows neither Falco nor tests.
package syscall
