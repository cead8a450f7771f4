// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"
	"math"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/marks"
)

// marked is what the tracer knows of a process that makes marks, until it
// executes another program.
type marked struct {
	private  [2]int64       // descriptors that are not judged
	slide    uint64         // from the tracer's addresses to the tracee's
	sameCode bool           // the slide is known
	execs    bool           // its next exec is judged, though it is made aside
	stays    bool           // after its next exec it makes marks as well
	became   bool           // it executes a file that is part of what is judged
	children map[int64]bool // by its own numbers: those that were made aside
}

// marking handles a mark.
func (t *tracer) marking(th *thread, args *[6]uint64) {
	p := th.proc
	if p.marks == nil {
		return // an action may have found out the secret
	}
	switch kind := args[2]; kind & math.MaxUint16 {
	case marks.Begin:
		p.judged, t.begun = true, true
		p.marks.private = [2]int64{int64(kind >> 16 & math.MaxUint16), int64(kind >> 32 & math.MaxUint16)}
		p.marks.slide = args[3] - uint64(marks.Anchor())
		p.marks.sameCode = args[4]-uint64(marks.RuntimeAnchor()) == p.marks.slide
	case marks.End:
		p.judged = false
	case marks.Aside, marks.Spawn, marks.Stage:
		th.aside = append(th.aside, kind&math.MaxUint16)
	case marks.Become:
		p.marks.execs, p.marks.became = true, true
	case marks.Back:
		if n := len(th.aside); n > 0 {
			th.aside = th.aside[:n-1]
		}
	}
}

// inherit passes on to a new process what marks have told of its maker.
func (p *process) inherit(by *thread, vpid int64) {
	maker := by.proc
	p.judged = maker.judged && len(by.aside) == 0
	if maker.marks == nil {
		return
	}
	m := *maker.marks
	m.children = nil
	kind := uint64(0)
	if n := len(by.aside); n > 0 {
		kind = by.aside[n-1]
	}
	m.execs = maker.judged && kind == marks.Spawn
	m.stays = kind == marks.Stage
	p.marks = &m
	if len(by.aside) > 0 {
		if maker.marks.children == nil {
			maker.marks.children = make(map[int64]bool)
		}
		maker.marks.children[vpid] = true
	}
}

// markedExec brings marks up to date when a process has executed a program, and
// tells whether that is judged.
func (t *tracer) markedExec(th *thread) (judged bool) {
	p := th.proc
	th.aside = nil
	switch {
	case p.marks == nil:
		return p.judged
	case p.marks.execs:
		// Another process of the same kind, which has not begun.
		became := p.marks.became
		p.marks, p.judged = &marked{private: [2]int64{-1, -1}}, false
		// Its file was put there for this. It stands for one that was there:
		// that a container's image does not have it is not the action's doing.
		if !became {
			p.ExeLowerLayer = p.ExeLowerLayer || p.ExeUpperLayer
			p.ExeUpperLayer = false
		}
		return true
	case p.marks.stays:
		p.marks, p.judged = &marked{private: [2]int64{-1, -1}}, false
		return false
	}
	p.marks = nil
	return p.judged
}

// judges tells whether what a thread does now is judged, as far as marks tell.
func (t *tracer) judges(th *thread) bool { return th.proc.judged && len(th.aside) == 0 }

// judgesCall tells whether a call that begins is judged.
func (t *tracer) judgesCall(th *thread, info *syscallInfo) bool {
	if !t.judges(th) {
		return false
	}
	if th.proc.marks == nil || !t.wanted[th.call.typ] {
		return true
	}
	if c := &th.call; (c.typ == event.SysClone || c.typ == event.SysClone3) && c.cloneFlags&unix.CLONE_THREAD != 0 {
		return false
	}
	switch t.origin(th, info) {
	case originRuntime:
		return false
	case originGo:
		return true
	}
	return !unaskedTypes[th.call.typ] && (th.TID == th.proc.PID || !threadTypes[th.call.typ])
}

// judgesDescriptor tells whether what is done with a descriptor is judged.
func (t *tracer) judgesDescriptor(p *process, num int64) bool {
	return p.marks == nil || num < 0 || num != p.marks.private[0] && num != p.marks.private[1]
}

// judgesThread tells whether the birth or the end of a thread is judged: those
// of a Go program come and go as its runtime likes.
func (t *tracer) judgesThread(th *thread, whole bool) bool {
	return t.judges(th) && (th.proc.marks == nil || whole)
}

// judgesSignal tells whether a signal is judged. Go's runtime interrupts its own
// threads with SIGURG.
func (t *tracer) judgesSignal(th *thread, sig int, sender int32) bool {
	m := th.proc.marks
	if !t.judges(th) || m == nil {
		return t.judges(th)
	}
	switch unix.Signal(sig) {
	case unix.SIGURG:
		return int64(sender) != th.proc.VPID
	case unix.SIGCHLD:
		return !m.children[int64(sender)]
	}
	return true
}

// origin is what kind of code makes a call.
type origin uint8

const (
	originForeign origin = iota // no Go code, or it is not known
	originGo
	originRuntime
	originShared // Go's runtime and package syscall both call it
	originBridge // Go's runtime, by which it has a C library do what it does else
)

// origin tells which code of a Go program makes a call.
func (t *tracer) origin(th *thread, info *syscallInfo) origin {
	m := th.proc.marks
	if !m.sameCode {
		return originForeign
	}
	// The address is that of the next instruction.
	switch o := t.codeAt(info.ip - 1 - m.slide); o {
	case originShared:
	case originForeign:
		if t.bridged(th, info) {
			return originRuntime
		}
		return o
	default:
		return o
	}
	if goarch != "amd64" { // there the caller's address is in a register
		if runtimeTypes[th.call.typ] {
			return originRuntime
		}
		return originGo
	}
	caller, ok := t.u64(th.tid, info.sp)
	if !ok {
		return originGo
	}
	if t.codeAt(caller-1-m.slide) == originRuntime {
		return originRuntime
	}
	return originGo
}

// bridged tells whether C code that makes a call was called by Go's runtime for
// its own needs: in a program linked with C code it maps memory that way. The
// first address of Go code on the stack tells; C functions' frames there are
// small.
func (t *tracer) bridged(th *thread, info *syscallInfo) bool {
	const size = 256
	stack, _ := t.bytes(th.tid, info.sp, size)
	for ; len(stack) >= 8; stack = stack[8:] {
		o := originOf(runtime.FuncForPC(uintptr(binary.NativeEndian.Uint64(stack) - 1 - th.proc.marks.slide)))
		if o != originForeign {
			return o == originBridge
		}
	}
	return false
}

// codeAt tells of which kind the code at an address of this program is.
func (t *tracer) codeAt(pc uint64) origin {
	o, ok := t.origins[pc]
	if !ok {
		o = originOf(runtime.FuncForPC(uintptr(pc)))
		if len(t.origins) < 8192 {
			t.origins[pc] = o
		}
	}
	return o
}

func originOf(f *runtime.Func) origin {
	if f == nil {
		return originForeign
	}
	switch name := f.Name(); {
	case strings.HasPrefix(name, "internal/runtime/syscall") && strings.HasSuffix(name, ".Syscall6"):
		return originShared
	case name == "runtime.callCgoMmap", name == "runtime.callCgoMunmap", name == "runtime.callCgoSigaction":
		return originBridge
	case strings.HasPrefix(name, "runtime."), strings.HasPrefix(name, "runtime/"), strings.HasPrefix(name, "internal/runtime/"):
		return originRuntime
	}
	return originGo
}

// typesNamed is a set of types by their names.
func typesNamed(names ...string) (set typeSet) {
	for _, name := range names {
		if typ, ok := event.ByName(name); ok {
			set[typ] = true
		}
	}
	return set
}

var (
	// threadTypes are what a C library calls to make and to end a thread.
	threadTypes = typesNamed("mmap", "munmap", "mprotect", "madvise", "brk", "futex", "rseq", "set_robust_list", "set_tid_address",
		"rt_sigprocmask", "sigaltstack", "sched_getaffinity", "sched_yield", "prctl", "gettid", "exit")
	// unaskedTypes are called by the code that the kernel puts into each process,
	// where its clock cannot be read without, and by a C library when a handler
	// of a signal returns.
	unaskedTypes = typesNamed("clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu", "rt_sigreturn")
	// runtimeTypes are what Go's runtime calls in the way package syscall does.
	runtimeTypes = typesNamed("epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2")
)
