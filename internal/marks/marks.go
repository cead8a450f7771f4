// SPDX-License-Identifier: Apache-2.0

// Package marks is how a process of this program tells a tracer which part of
// its life is to be reported: by system calls that do nothing, which no one makes
// who does not know a secret number. Package trace says what they mean. And how it
// gives itself over to one, by a filter of system calls.
//
// They are no part of a source of events (internal/source), though a source says all
// else of itself: every action's process makes them, whatever the source of its alert,
// and only a tracer reads them. Events that come from elsewhere are told by the action's
// ID, and not by when they came.
//
// The package imports nothing of this module, so that the processes of a test's chain can
// begin before most of the program is initialised. A secret or a filter
// enters, system calls leave; only on Linux are there any.
package marks

import (
	"reflect"
	"runtime"
)

// Marks is the secret. The zero value makes no marks.
type Marks uint64

// Option is an option of prctl(2) that no kernel knows: it fails with EINVAL and
// does nothing. The second argument is the run's secret, the third the kind of
// mark, and for the first kind what it tells.
const Option = 0x66746d6b

// The kinds of marks. With Begin come two descriptors, and the two anchors.
const (
	Begin = 1 + iota
	End
	Aside
	Spawn
	Stage
	Back
	Become
)

// In tells whether a call of prctl(2) with these arguments is one of the marks.
func (m Marks) In(args *[6]uint64) bool {
	return m != 0 && uint32(args[0]) == Option && args[1] == uint64(m)
}

// Begin says that the judged part of this process begins. What is done with the
// two descriptors, which are numbers below 65536, is never part of it.
func (m Marks) Begin(in, out int) {
	m.mark(Begin|uintptr(in&0xffff)<<16|uintptr(out&0xffff)<<32, Anchor(), RuntimeAnchor())
}

// End says that it has ended. What this process has started until then is
// judged further on.
func (m Marks) End() { m.mark(End, 0, 0) }

// Aside runs f, which is no part of what is judged, on one thread.
func (m Marks) Aside(f func()) { m.aside(Aside, f) }

// Spawn runs f, which is no part of what is judged but for one thing: that the
// processes which it starts execute a program. These are programs of this
// package's user, which make marks of their own.
func (m Marks) Spawn(f func()) { m.aside(Spawn, f) }

// Stage runs f, which is no part of what is judged at all. But the processes that
// it starts make marks of their own, after the program that they execute.
func (m Marks) Stage(f func()) { m.aside(Stage, f) }

// Become says that the next program that this process executes in its own place
// is judged to be executed, and makes marks of its own.
func (m Marks) Become() { m.mark(Become, 0, 0) }

func (m Marks) aside(kind uintptr, f func()) {
	if m == 0 {
		f()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m.mark(kind, 0, 0)
	defer m.mark(Back, 0, 0)
	f()
}

// Anchor and RuntimeAnchor are addresses by which the tracer, which is the same
// program, finds out where the program was loaded.
func Anchor() uintptr { return reflect.ValueOf(anchor).Pointer() }

// RuntimeAnchor is the other one, in Go's runtime.
func RuntimeAnchor() uintptr { return reflect.ValueOf(runtime.GC).Pointer() }

func anchor() {}
