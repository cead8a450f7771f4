// SPDX-License-Identifier: Apache-2.0

// Package child runs one action in a process of its own: this executable,
// executed again.
//
// [Start] starts the process, which waits at its gate before it does anything.
// A tracer may attach to [Child.PID] then. [Child.Go] opens the gate: the
// process installs the seccomp filter that it is given, runs the action and its
// cleanups, and reports. [Child.Wait] returns the result, after the whole tree
// of processes is gone and everything that it left is undone.
//
// In the process, package inside takes over: from [Main], the hook that the program
// calls first, or before that for a program that needs little. Its initialisation
// makes sure that a program without the hook does not do its own work again instead.
// What the two ends say to each other is in package protocol.
//
// Changes to the machine are written to the journal by the parent before the
// child makes them; see [journal.Dir].
//
// # When this process dies
//
// A process that is killed, or panics in a goroutine of nobody's, cleans nothing
// up. [Reap] starts another, in a session of its own, that waits for that: it lets
// the actions' processes end, kills those that do not, and undoes what is in the
// journals ([journal.Recover]). Where it is killed too, the next run does that.
//
// # Names
//
// An action's process has the arguments "<executable> falcotest-action <action>
// <id>". A process of SpawnAs has exactly those that the action asked for. The
// environment variable FALCOTEST_CONTROL says what a process is for, and is
// removed before the action runs; FALCOTEST_ID and TMPDIR, a directory whose
// name contains the id, are inherited by all that descends from it. An action
// runs on the process's first thread.
//
// The package imports packages events, internal/config, internal/marks,
// internal/journal, internal/hermetic, and inside and protocol below it. Data enters by a [Spec] and leaves by a [Result].
package child
