// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// run handles stops until no tracee is left.
func (t *tracer) run() error {
	for {
		var status uint32
		tid, err := t.next(&status)
		switch {
		case err == nil:
			t.handle(tid, status)
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD):
			return nil
		default:
			t.kill()
			return fmt.Errorf("waiting for the processes traced: %w", err)
		}
	}
}

// handle handles one notification. Every request may find its thread killed
// meanwhile; then its end will be notified, and there is nothing to do now.
func (t *tracer) handle(tid int, status uint32) {
	t.heard++
	ws := unix.WaitStatus(status)
	if ws.Exited() || ws.Signaled() {
		t.ended(tid, ws)
		return
	}
	if !ws.Stopped() {
		return
	}
	sig, ev := int(ws>>8)&0xff, int(ws>>16)
	th := t.threads[tid]
	if th == nil {
		if ev == eventStop && !t.killed.Load() {
			t.held[tid] = t.heard // its maker will tell of it
			return
		}
		if th = t.adopt(tid); th == nil {
			t.resumeTID(tid, unix.PTRACE_CONT, 0)
			return
		}
		th.started = true
	}
	th.heard, th.listening = t.heard, false
	if t.killed.Load() {
		_ = unix.Kill(int(th.proc.PID), unix.SIGKILL)
	}
	switch ev {
	case 0:
		if sig == int(unix.SIGTRAP)|0x80 {
			t.syscallStop(th)
			t.resume(th, 0)
			return
		}
		t.signalled(th, sig)
		t.resume(th, sig)
	case eventSeccomp:
		t.syscallStop(th)
		t.resume(th, 0)
	case eventFork, eventVfork, eventClone:
		if msg, err := ptraceEventMsg(tid); err == nil {
			t.born(th, int(msg), ev)
		}
		t.resume(th, 0)
	case eventExec:
		t.execed(th)
	case eventStop:
		t.stopped(th, sig)
	default: // VFORK_DONE
		t.resume(th, 0)
	}
}

// resume lets a thread go on: to its call's exit when it is in one that is
// followed, to any call when its process must stop at each, and else to the
// next call that the filter selects.
func (t *tracer) resume(th *thread, sig int) {
	request := unix.PTRACE_CONT
	if th.inCall || th.proc.allCalls {
		request = unix.PTRACE_SYSCALL
	}
	t.resumeTID(th.tid, request, sig)
}

func (t *tracer) resumeTID(tid, request, sig int) {
	_ = ptrace(request, tid, 0, uintptr(sig)) // ESRCH: it was killed
}

// stopped handles a group stop, and the stop that new and interrupted threads
// make.
func (t *tracer) stopped(th *thread, sig int) {
	if sig == int(unix.SIGTRAP) {
		if !th.started {
			t.start(th)
			return
		}
		if th.caught {
			th.caught = false
			t.recapture(th.bornBy)
		}
		t.resume(th, 0)
		return
	}
	// Let it stay stopped, and notice what wakes it up.
	th.listening = true
	_ = ptrace(unix.PTRACE_LISTEN, th.tid, 0, 0)
}

// start lets a new thread run for the first time.
func (t *tracer) start(th *thread) {
	th.started = true
	if t.killed.Load() {
		_ = unix.Kill(int(th.proc.PID), unix.SIGKILL)
	}
	if th.restore != nil {
		th.restore(th.tid)
		th.restore = nil
	}
	if th.bornBy != event.None && t.wanted[th.bornBy] {
		t.reportBirth(th)
	}
	t.resume(th, 0)
}

// born handles the news that a thread has made another.
func (t *tracer) born(by *thread, tid int, ev int) {
	by.told = true
	if t.lost[tid] {
		delete(t.lost, tid)
		// Unless the number has been given away again, it is dead.
		if st := t.stat(int64(tid)); st.State == 0 || st.Dead() {
			return
		}
	}
	th := t.threads[tid]
	if th == nil {
		typ, flags := t.birth(by, ev)
		p := by.proc
		if !t.isThread(p.PID, tid, flags) {
			p = t.fork(int64(tid), by, flags)
		}
		th = t.newThread(tid, p)
		th.bornBy, th.bornWith = typ, flags
		th.Flags = cloneFlags(flags)
		if by.inCall {
			th.restore = by.call.restore
		}
	}
	if _, ok := t.held[tid]; ok {
		delete(t.held, tid)
		t.start(th)
	}
}

// isThread tells whether a new task belongs to its maker's process. The kernel
// is asked, not only the flags, which another thread may have changed since.
func (t *tracer) isThread(pid int64, tid int, flags uint64) bool {
	if err := unix.Access(string(t.procPath(pid, "task/"))+strconv.Itoa(tid), 0); err == nil {
		return true
	}
	// A thread that was killed at once is not there any more.
	return flags&unix.CLONE_THREAD != 0
}

// birth tells by which kind of call and with which flags a thread makes
// another; Falco reports no flags of fork and vfork. When the call was not
// followed, its kind follows from the event.
func (t *tracer) birth(by *thread, ev int) (event.Type, uint64) {
	if by.inCall {
		switch c := &by.call; c.typ {
		case event.SysClone, event.SysClone3:
			return c.typ, c.cloneFlags
		case event.SysFork:
			return event.SysFork, 0
		case event.SysVfork:
			return event.SysVfork, 0
		}
	}
	switch ev {
	case eventFork:
		return event.SysFork, 0
	case eventVfork:
		return event.SysVfork, 0
	}
	flags, addr, ok := cloneArg(by.tid)
	switch {
	case ok && addr == 0:
		return event.SysClone, flags
	case ok:
		flags, _ = t.u64(by.tid, addr)
		return event.SysClone3, flags
	}
	return event.SysClone, 0
}

// ended handles the end of a thread.
func (t *tracer) ended(tid int, ws unix.WaitStatus) {
	if tid == t.pid && !t.exited {
		t.exited = true
		if ws.Signaled() {
			t.exit.Signal, t.exit.Core = syscall.Signal(ws.Signal()), ws.CoreDump()
		} else {
			t.exit.Code = ws.ExitStatus()
		}
	}
	if th := t.threads[tid]; th != nil {
		t.gone(th)
		if t.wanted[event.EvtProcexit] {
			t.reportExit(th, ws)
		}
	} else {
		delete(t.held, tid)
		t.lost[tid] = true
	}
}

// syscallStop handles a thread that has stopped at the entry or at the exit of
// a call.
func (t *tracer) syscallStop(th *thread) {
	var info syscallInfo
	if ptraceSyscallInfo(th.tid, &info) != nil {
		return
	}
	switch info.op {
	case syscallInfoSeccomp, syscallInfoEntry:
		if !th.inCall {
			t.enter(th, &info)
		}
	case syscallInfoExit:
		if th.inCall {
			th.inCall = false
			t.leave(th, int64(info.a))
		}
	}
}

// signalled handles a signal that is about to be delivered.
func (t *tracer) signalled(th *thread, sig int) {
	if t.wanted[event.EvtSignaldeliver] {
		t.reportSignal(th, sig)
	}
}

// execed handles a thread that has executed a program: it has its leader's
// number now, and all other threads of its process are gone.
func (t *tracer) execed(th *thread) {
	old := th.tid
	if msg, err := ptraceEventMsg(th.tid); err == nil && msg != 0 {
		old = int(msg)
	}
	if other := t.threads[old]; old != th.tid && other != nil {
		// The leader's end is not notified, and the number that executed
		// vanishes.
		delete(t.threads, old)
		th.proc.alive--
		th.call, th.inCall = other.call, other.inCall
	}
	th.VTID = th.proc.VPID
	t.reportExec(th)
	// The exit of the call tells nothing more.
	th.inCall = false
	t.resume(th, 0)
}
