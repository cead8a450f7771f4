// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func pidOf(proc string) int64 {
	n, err := strconv.ParseInt(strings.TrimPrefix(proc, "/proc/"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Parameters of the events of clone, fork and exec.
const (
	pExe, pArgs, pTID, pPID, pPTID, pFDLimit          = 1, 2, 3, 4, 5, 7
	pFaultsMajor, pFaultsMinor                        = 8, 9
	pVMSize, pVMRSS, pVMSwap, pComm, pCgroups         = 10, 11, 12, 13, 14
	pCloneFlags, pCloneUID, pCloneGID                 = 15, 16, 17
	pVTID, pVPID, pPidnsStart                         = 18, 19, 20
	pEnv, pTTY, pVPGID, pLoginUID, pExeFlags          = 15, 16, 17, 18, 19
	pInheritable, pPermitted, pEffective              = 20, 21, 22
	pIno, pCtime, pMtime, pUID, pTrusted, pPGID       = 23, 24, 25, 26, 27, 28
	pGID                                              = 29
	staleAfter                                  int64 = 2e9 // a thread of that age is no new one
)

const (
	exeWritable  = 1 << 0
	exeUpper     = 1 << 1
	exeFromMemfd = 1 << 2
	exeLower     = 1 << 3
)

func (s *state) clone(c *call) {
	switch {
	case c.ret == 0:
		s.cloneChild(c)
	case c.ret > 0:
		s.cloneCaller(c)
	}
}

// cloneCaller is the event of the parent. The child may be known by its own.
func (s *state) cloneCaller(c *call) {
	caller := s.get(c.tid)
	if caller == nil {
		c.t = nil
		return
	}
	valid := !caller.invalid()
	if !valid {
		caller.setIDs(caller.TID, c.num(pPID), c.num(pPTID))
		caller.VTID, caller.proc.VPID = c.tid, -1
		if !c.empty(pVPID) {
			caller.VTID, caller.proc.VPID = c.num(pVTID), c.num(pVPID)
		}
		s.relate(caller)
	}
	c.t = caller
	flags := c.u32(pCloneFlags)
	if flags&(event.CloneChildPIDNS|event.CloneNewPID|event.CloneParent) != 0 || c.tid != caller.VTID {
		return // its number is another in the namespace of the child, whose own event tells
	}
	if flags&event.CloneVfork != 0 || c.typ == event.SysVfork {
		return // the child has already gone on, and may have ended
	}
	tid := c.ret
	if known := s.find(tid); known != nil {
		if known.flags&cloneInverted != 0 {
			return
		}
		s.remove(tid) // its end was lost
	}
	child := newThread(tid, &s.pool)
	child.flags = flags
	if flags&event.CloneThread == 0 {
		if valid {
			s.inheritProcess(child, caller)
		}
		child.setIDs(tid, tid, caller.TID)
	} else {
		child.setIDs(tid, caller.pid, caller.ptid)
		child.flags |= event.CloneFiles
	}
	child.VTID, child.proc.VPID = child.TID, child.pid
	s.describeChild(c, child)
	if valid {
		inherit(child, caller)
	} else {
		caller.proc.Exe, caller.proc.Comm, caller.proc.Args = child.proc.Exe, child.proc.Comm, child.proc.Args
	}
	s.add(child)
}

// cloneChild is the event of the child.
func (s *state) cloneChild(c *call) {
	if c.t != nil && c.t.proc.CloneTime != 0 {
		if c.time-c.t.proc.CloneTime < staleAfter {
			return // its parent's event told
		}
		s.remove(c.tid)
		c.t = nil
	}
	child := newThread(c.tid, &s.pool)
	child.setIDs(c.tid, c.num(pPID), c.num(pPTID))
	child.VTID, child.proc.VPID = c.tid, -1
	if !c.empty(pVPID) {
		child.VTID, child.proc.VPID = c.num(pVTID), c.num(pVPID)
	}
	child.flags = c.u32(pCloneFlags) | cloneInverted
	leader := child.flags&event.CloneThread == 0
	from := child.ptid
	if !leader {
		from = child.pid
		child.flags |= event.CloneFiles
	}
	model := s.get(from)
	if model == nil {
		c.t = nil
		return
	}
	valid := !model.invalid()
	if !valid && !leader {
		model.setIDs(model.TID, child.pid, child.ptid)
		model.proc.VPID, model.VTID = child.proc.VPID, child.proc.VPID
		s.relate(model)
	}
	s.describeChild(c, child)
	switch {
	case valid:
		inherit(child, model)
		if leader {
			s.inheritProcess(child, model)
		}
	case !leader:
		model.proc.Exe, model.proc.Comm, model.proc.Args = child.proc.Exe, child.proc.Comm, child.proc.Args
	}
	if child.flags&(event.CloneChildPIDNS|event.CloneNewPID) != 0 || child.TID != child.VTID {
		// Since the boot, which is where it stays: Falco 0.43 forgets when the
		// machine was booted before it replays.
		child.proc.PidnsInitStart = c.num(pPidnsStart)
	}
	c.t = s.add(child)
}

// describeChild takes what the event says of a new thread.
func (s *state) describeChild(c *call, child *thread) {
	p := &child.proc
	p.Exe = s.strings.bytes(c.text(pExe))
	p.Args = s.texts(c.param(pArgs))
	p.Comm = p.Exe
	if !c.empty(pComm) {
		p.Comm = s.strings.bytes(c.text(pComm))
	}
	child.setFDLimit(c.num(pFDLimit))
	s.memory(c, child)
	p.UID, p.GID = c.u32(pCloneUID), c.u32(pCloneGID)
	if !c.empty(pCgroups) {
		s.cgroups(child, c.param(pCgroups))
	}
	p.CloneTime = c.time
}

func (s *state) memory(c *call, t *thread) {
	if c.empty(pVMSwap) {
		return
	}
	t.PFMajor, t.PFMinor = c.u64(pFaultsMajor), c.u64(pFaultsMinor)
	t.proc.VMSize, t.proc.VMRSS, t.proc.VMSwap = c.u64(pVMSize), c.u64(pVMRSS), c.u64(pVMSwap)
}

// inherit gives a child what its parent has and its event does not tell.
func inherit(child, from *thread) {
	p, q := &child.proc, &from.proc
	p.ExePath = q.ExePath
	p.ExeWritable, p.ExeUpperLayer, p.ExeLowerLayer, p.ExeFromMemfd = q.ExeWritable, q.ExeUpperLayer, q.ExeLowerLayer, q.ExeFromMemfd
	p.Root, p.SID, p.VPGID, p.PGID, p.TTY, p.LoginUID = q.Root, q.SID, q.VPGID, q.PGID, q.TTY, q.LoginUID
	p.CapPermitted, p.CapInheritable, p.CapEffective = q.CapPermitted, q.CapInheritable, q.CapEffective
	p.ExeIno, p.ExeCtime, p.ExeMtime = q.ExeIno, q.ExeCtime, q.ExeMtime
	p.CtimeBeforeClone = q.CtimeBeforeClone
}

// inheritProcess gives a new process copies of its parent's descriptors, its
// directory and its environment.
func (s *state) inheritProcess(child, from *thread) {
	s.sorted = s.sorted[:0]
	for _, f := range from.table() {
		s.sorted = append(s.sorted, f)
	}
	slices.SortFunc(s.sorted, func(a, b *event.FD) int { return cmp.Compare(a.Order, b.Order) })
	for _, f := range s.sorted {
		child.insert(f.Num, f)
	}
	child.proc.FDs = child.fds
	child.setCwd(from.getCwd())
	child.setEnv(from.env) // which another thread than the main one has none of
}

// texts splits a vector of strings. The same vector gives the same list, which
// nobody changes: programs are started with the same environment again and again.
func (s *state) texts(b []byte) []string {
	if len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return nil
	}
	if list, ok := s.lists[string(b)]; ok {
		return list
	}
	list := make([]string, 0, bytes.Count(b, zeros[:1])+1)
	for text := range bytes.SplitSeq(b, zeros[:1]) {
		list = append(list, s.strings.bytes(text))
	}
	if s.listBytes += len(b); s.lists == nil || s.listBytes > mostListBytes {
		s.lists, s.listBytes = map[string][]string{}, len(b)
	}
	s.lists[string(b)] = list
	return list
}

// mostListBytes bounds what is remembered of them; then it begins anew.
const mostListBytes = 8 << 20

// exec gives a process its new program.
func (s *state) exec(c *call) {
	if c.ret < 0 {
		return
	}
	t, p := c.t, &c.t.proc
	if t.dead() && t.group != nil { // another thread's exec made it the only one
		t.flags &^= threadClosed
		t.group.alive++
	}
	p.Exe = s.strings.bytes(c.text(pExe))
	p.Comm = p.Exe
	if !c.empty(pComm) {
		p.Comm = s.strings.bytes(c.text(pComm))
	}
	p.Args = s.texts(c.param(pArgs))
	wasMain := t.isMain()
	t.pid = c.num(pPID)
	p.PID = t.pid
	if !wasMain && t.isMain() {
		t.becomeMain()
	}
	if t.invalid() {
		t.ptid = c.num(pPTID)
		p.PPID = t.ptid
		if t.flags&event.CloneChildPIDNS == 0 {
			t.VTID, p.VPID = t.TID, t.pid
		}
		s.relate(t)
	}
	t.setFDLimit(c.num(pFDLimit))
	s.memory(c, t)
	if !c.empty(pEnv) {
		t.setEnv(s.texts(c.param(pEnv)))
	}
	if !c.empty(pCgroups) {
		s.cgroups(t, c.param(pCgroups))
	}
	if !c.empty(pTTY) {
		p.TTY = c.u32(pTTY)
	}
	if !c.empty(pTrusted) {
		t.setExePath(s.strings.bytes(c.text(pTrusted)))
	} else if path, ok := s.programPath(c); ok {
		t.setExePath(path)
	}
	if !c.empty(pVPGID) {
		p.VPGID = c.num(pVPGID)
	}
	if !c.empty(pLoginUID) {
		p.LoginUID = loginUID(c.u32(pLoginUID))
	}
	if !c.empty(pExeFlags) {
		f := c.u32(pExeFlags)
		p.ExeWritable, p.ExeUpperLayer = f&exeWritable != 0, f&exeUpper != 0
		p.ExeFromMemfd, p.ExeLowerLayer = f&exeFromMemfd != 0, f&exeLower != 0
	}
	if !c.empty(pEffective) {
		p.CapInheritable, p.CapPermitted, p.CapEffective = c.u64(pInheritable), c.u64(pPermitted), c.u64(pEffective)
	}
	if !c.empty(pMtime) {
		p.ExeIno, p.ExeCtime, p.ExeMtime = c.u64(pIno), c.num(pCtime), c.num(pMtime)
		if p.CloneTime != 0 {
			p.CtimeBeforeClone = p.CloneTime - p.ExeCtime
		}
		if p.PidnsInitStart != 0 && uint64(p.ExeCtime) > uint64(p.PidnsInitStart) {
			p.CtimeAfterPidns = p.ExeCtime - p.PidnsInitStart
		}
	}
	if !c.empty(pUID) {
		p.UID = c.u32(pUID)
	}
	p.PGID = -1
	if !c.empty(pPGID) {
		p.PGID = c.num(pPGID)
	}
	if !c.empty(pGID) {
		p.GID = c.u32(pGID)
	}
	t.flags &= mainThread | cloneInverted
	s.generation++
	if t.group != nil && t.group.alive > 1 { // the others end
		for _, other := range append([]*thread(nil), t.group.threads...) {
			if !other.removed && !other.isMain() && other.TID != t.TID {
				s.remove(other.TID)
			}
		}
	}
}

// programPath is what the enter event of old versions tells of the program.
func (s *state) programPath(c *call) (string, bool) {
	e := c.entered()
	switch {
	case e == nil:
		return "", false
	case e.typ == event.SysExecve:
		name := string(e.text(0))
		if name == "<NA>" {
			return name, true
		}
		return event.JoinPath(c.t.getCwd(), name), true
	}
	const emptyPath = 1
	dirfd, name, flags := e.num(0), e.text(1), e.u32(2)
	dir := c.dir(name, dirfd)
	if dir != "." && dir != "<UNKNOWN>" {
		c.fd = c.t.fd(dirfd)
	}
	switch {
	case flags&emptyPath == 0 && string(name) == "<NA>" || dir == "<UNKNOWN>":
		return "<NA>", true
	case flags&emptyPath != 0:
		return event.JoinPath("", dir), true
	}
	return event.JoinPath(dir, string(name)), true
}

// exit marks the end of a thread, which is taken out with the next event.
func (s *state) exit(c *call) {
	t := c.t
	if t.group != nil && !t.dead() {
		t.group.alive--
	}
	t.flags |= threadClosed
	s.removing, s.removeTID = true, c.tid
	if len(t.children) > 0 && !c.empty(4) {
		t.reaper = c.num(4)
	}
}
