// SPDX-License-Identifier: Apache-2.0

// Package inside is the life of an action's process, which is this executable again,
// from its start to its report: what package child is from outside.
//
// The environment says what a process is for ([Here]), from this package's
// initialisation on. [Run] is the rest of the life of an action's: it waits at its gate
// before it does anything, installs the seccomp filter that it is given, does its
// [Work] and its cleanups, and reports. It moves standard input and output to
// descriptors that programs it executes do not inherit, reads nothing from standard
// input from then on, and writes what goes to standard output to standard error. When
// its input ends, its parent has died: it runs the cleanups and ends itself and all
// below it. (The parent-death signal would not do: it comes when the thread that
// started the process ends, and it leaves no time for cleanups.)
//
// # What is the action's
//
// Between the framework's doing and the action's, the process makes marks for a
// tracer ([marks.Marks]), and it tells the times (protocol.Window) for a Falco: begin
// and end of the action, right before and after its function; and the work of
// [Process.Spawn], of which only what the new process executes is the action's.
// Cleanups come after the end. What goes over the protocol's two descriptors is left
// out.
//
// # When it begins
//
// To initialise all that is linked into a test takes longer than most actions do, so
// that a program begins before that which needs little of it: package perform runs what
// a test file says in its own initialisation. Packages are initialised in the order of
// their names as soon as what they import is. So this package and what it imports,
// protocol, internal/config, internal/hermetic, internal/journal and
// internal/marks, must not import events, which needs client-go, nor net, net/netip,
// os/exec, regexp or runtime/debug, before which some or most of that has its turn. A test of package falcotest tells
// of one that does.
package inside
