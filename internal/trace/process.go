// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// process is a process of the tree, or an ancestor of it, with what only the
// tracer needs to know.
type process struct {
	event.Process
	parentTID    int64 // the thread that made it, which is what Falco's ptid tells
	parent       *process
	fsuid, fsgid uint32
	groups       []uint32
	nsDepth      int   // pid namespaces below the tracer's
	childNS      bool  // its children may live in another pid namespace than it
	allCalls     bool  // stop at each call
	alive        int   // threads known to live
	reaper       int64 // when it has ended: who its children were given to

	judged bool    // what it does is judged
	marks  *marked // nil unless it makes marks
}

// thread is a tracee.
type thread struct {
	event.Thread
	tid      int
	proc     *process
	call     call
	inCall   bool       // between a call's entry and its exit
	started  bool       // has run
	bornBy   event.Type // the kind of call that made it
	bornWith uint64     // the flags of that call
	restore  func(int)  // puts back what was changed for that call

	heard     uint64   // the latest notification of it
	asked     uint64   // the latest notification for which it was interrupted
	caught    bool     // it was taken hold of, and has not stopped since
	listening bool     // it is stopped, as its process is by a signal
	told      bool     // a child was told of since it began its call
	aside     []uint64 // the kinds of marks in force: what it does is not judged
}

// ancestor returns a process outside the tree, with its ancestors, from /proc.
func (t *tracer) ancestor(pid int64) *process {
	if pid <= 0 {
		return nil
	}
	if p := t.processes[pid]; p != nil {
		return p
	}
	if p := t.outside[pid]; p != nil {
		return p
	}
	p := &process{}
	if !t.readProcess(p, pid) {
		return nil
	}
	t.outside[pid] = p
	t.setParent(p, t.ancestor(p.PPID))
	t.setPidnsStart(p)
	return p
}

func (t *tracer) setParent(p, parent *process) {
	p.parent = parent
	p.Unknown.Parent = event.Known
	if parent == nil {
		p.Parent = nil
		// The machine's first processes have none. Those of a container are made
		// by its engine, which is nobody's ancestor from inside.
		if p.PPID > 0 || t.contained && t.opts.Here == nil {
			p.Unknown.Parent = event.UnknownAncestor
		}
		return
	}
	p.Parent = &parent.Process
	p.PPID = parent.PID
	p.PVPID = parent.VPID
}

// setPidnsStart finds when the first process of p's pid namespace started.
func (t *tracer) setPidnsStart(p *process) {
	p.PidnsInitStart = t.initStart
	if p.nsDepth == 0 {
		return
	}
	if p.VPID == 1 {
		p.PidnsInitStart = p.CloneTime
		return
	}
	for a := p.parent; a != nil; a = a.parent {
		if a.PidnsInode == p.PidnsInode {
			p.PidnsInitStart = a.PidnsInitStart
			return
		}
	}
}

// newThread adds a thread of a process.
func (t *tracer) newThread(tid int, p *process) *thread {
	th := &thread{tid: tid, proc: p}
	th.TID, th.Process = int64(tid), &p.Process
	th.VTID = th.TID
	if p.nsDepth > 0 {
		if st := t.status(th.TID); st.ok {
			th.VTID = st.vtid
		}
	}
	p.alive++
	p.Threads = p.alive
	t.threads[tid] = th
	return th
}

// fork makes the process of a new child from its parent's, as Falco does: the
// child is its parent's copy until it executes something.
func (t *tracer) fork(pid int64, by *thread, flags uint64) *process {
	parent := by.proc
	p := &process{Process: parent.Process}
	p.fsuid, p.fsgid, p.groups = parent.fsuid, parent.fsgid, parent.groups
	p.nsDepth, p.allCalls = parent.nsDepth, parent.allCalls
	p.PID, p.VPID = pid, pid
	p.parentTID = by.TID
	p.Threads = 0
	p.CloneTime = now()
	p.StartTime = p.CloneTime
	p.FDs = make(map[int64]*event.FD, len(parent.FDs))
	for num, fd := range parent.FDs {
		c := *fd
		p.FDs[num] = &c
	}
	realParent := parent
	if flags&unix.CLONE_PARENT != 0 && parent.parent != nil {
		realParent = parent.parent
		p.parentTID = parent.parentTID
	}
	t.setParent(p, realParent)
	if parent.nsDepth > 0 || parent.childNS || flags&unix.CLONE_NEWPID != 0 {
		if st := t.status(pid); st.ok {
			p.VPID, p.VSID, p.VPGID, p.nsDepth = st.vpid, st.vsid, st.vpgid, st.nsDepth
			t.readPidns(p)
			t.setPidnsStart(p)
		}
	}
	if flags&unix.CLONE_NEWUSER != 0 {
		if st := t.status(pid); st.ok {
			t.setCreds(p, &st)
		}
	}
	if comm := t.readProc(pid, "comm"); len(comm) > 0 {
		p.Comm = t.intern(comm[:len(comm)-1])
	}
	p.inherit(by, p.VPID)
	t.mu.Lock()
	t.processes[pid] = p
	t.mu.Unlock()
	return p
}

// adopt makes the record of a thread that no known parent told of, from /proc.
func (t *tracer) adopt(tid int) *thread {
	st := t.status(int64(tid))
	if !st.ok {
		return nil
	}
	p := t.processes[st.tgid]
	if p == nil {
		p = &process{}
		if !t.readProcess(p, st.tgid) {
			return nil
		}
		if parent := t.ancestor(p.PPID); parent != nil {
			t.setParent(p, parent)
			t.setPidnsStart(p)
			p.allCalls = parent.allCalls
		}
		p.judged = t.opts.Marks == 0 || t.begun
		t.mu.Lock()
		t.processes[st.tgid] = p
		t.mu.Unlock()
	}
	return t.newThread(tid, p)
}

// gone forgets a thread that has ended, and its process with the last one.
func (t *tracer) gone(th *thread) {
	delete(t.threads, th.tid)
	if t.memTID == th.tid {
		t.closeMem()
	}
	p := th.proc
	p.alive--
	p.Threads = p.alive
	if p.alive > 0 {
		return
	}
	t.mu.Lock()
	delete(t.processes, p.PID)
	t.mu.Unlock()
	// The kernel has given its children to another process by now.
	for _, child := range t.processes {
		if child.parent == p {
			if st := t.stat(child.PID); st.State != 0 {
				t.setParent(child, t.ancestor(st.PPID))
				child.parentTID = st.PPID
				p.reaper = st.PPID
			}
		}
	}
}
