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
// In the process, [Main] takes over: the hook that the program calls first.
// This package's initialisation makes sure that a program without the hook does
// not do its own work again instead.
//
// # Protocol
//
// Parent and child exchange JSON, one message a line, over the child's standard
// input and output, so that the same works through a container engine's attach.
// The child moves both to descriptors that programs it executes do not inherit,
// reads nothing from standard input from then on, and writes what goes to
// standard output to standard error. When its input ends, its parent has died:
// it runs the cleanups and ends itself and all below it. (The parent-death
// signal would not do: it comes when the thread that started the child ends,
// and it leaves no time for cleanups.)
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
// # What is the action's
//
// Between the framework's doing and the action's, the process makes marks for a
// tracer ([trace.Marks]), and it tells the times ([Window]) for a Falco: begin and
// end of the action, right before and after its function; and the work of
// SpawnAs, of which only what the new process executes is the action's. Cleanups
// come after the end. What goes over the protocol's two descriptors is left out.
//
// # Names
//
// An action's process has the arguments "<executable> falcotest-action <action>
// <id>". A process of SpawnAs has exactly those that the action asked for. The
// environment variable FALCOTEST_CONTROL says which of the two it is, and is
// removed before the action runs; FALCOTEST_ID and TMPDIR, a directory whose
// name contains the id, are inherited by all that descends from it. An action
// runs on the process's first thread.
//
// The package imports packages events, internal/config, internal/trace,
// internal/journal and internal/hermetic. Data enters by a [Spec] and leaves by a [Result].
package child
