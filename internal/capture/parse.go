// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"strings"

	"github.com/falcotest/go-falcotest/internal/event"
)

// call is an event with what the state knows of it.
type call struct {
	*record
	t   *thread // nil when there is none
	def *event.Def
	ret int64
	fd  *event.FD // the descriptor that the event is about
}

// begin finds the event's thread and descriptor.
func (s *state) begin(c *call) {
	c.t, c.fd, c.ret = nil, nil, 0
	switch c.typ {
	case event.EvtProcinfo:
		c.t = s.find(c.tid)
		return
	case event.EvtContainer, event.EvtUseradded, event.EvtUserdeleted, event.EvtGroupadded, event.EvtGroupdeleted,
		event.EvtPluginevent, event.EvtAsyncevent:
		return
	case event.SysClone, event.SysClone3, event.SysFork, event.SysVfork, event.EvtSwitch, event.EvtProcexit:
		c.t = s.find(c.tid)
	default:
		if codes[c.code].is&noThread != 0 {
			return
		}
		c.t = s.get(c.tid)
	}
	if hasReturn(c.def) {
		c.ret = c.num(0)
	}
	t := c.t
	if t == nil || c.typ == event.EvtSwitch {
		return
	}
	usesFD := c.def.Attrs&event.UsesFD != 0
	if c.enter {
		t.entered, t.lastFD = c.typ, -1
		if usesFD {
			t.lastFD = c.num(0)
			c.fd = t.fd(t.lastFD)
		}
		return
	}
	if t.entered != c.typ && (t.entered != event.SysExecveat || c.typ != event.SysExecve) {
		t.lastFD = -1
		t.enter = nil
	}
	if !usesFD {
		return
	}
	if t.lastFD == -1 {
		if i := fdParam[c.typ]; i > 0 && !c.empty(int(i)) {
			t.lastFD = c.num(int(i))
		}
	}
	c.fd = t.fd(t.lastFD)
}

// hasReturn: calls with parameters of their own return their first one.
func hasReturn(d *event.Def) bool {
	return d.IsSyscall() && d.Attrs&event.Generic == 0 && len(d.Params) > 0
}

// fdParam is the parameter that holds the descriptor that an exit event is
// about; zero for none.
var fdParam = func() (index [event.NumTypes + 1]int8) {
	for i, types := range [][]event.Type{
		1: {event.SysSetns, event.SysListen, event.SysShutdown, event.SysFchdir, event.SysLseek, event.SysLlseek,
			event.SysIoctl, event.SysFstat, event.SysClose, event.SysGetdents, event.SysGetdents64, event.SysFlock,
			event.SysCopyFileRange, event.SysFcntl, event.SysDup, event.SysDup2, event.SysDup3, event.SysNewfstatat,
			event.SysFchownat, event.SysFchmodat, event.SysMkdirat, event.SysUnlinkat, event.SysMknodat,
			event.SysSendmmsg, event.SysRecvmmsg, event.SysIoUringRegister, event.SysIoUringEnter, event.SysSetsockopt,
			event.SysGetsockopt, event.SysFsconfig, event.SysFinitModule, event.SysFchmod, event.SysFchown},
		2: {event.SysRead, event.SysPread, event.SysBind, event.SysWrite, event.SysPwrite, event.SysRecv, event.SysSend,
			event.SysSendto, event.SysSendmsg, event.SysSendfile, event.SysSplice, event.SysWritev, event.SysPwritev,
			event.SysConnect, event.SysSymlinkat},
		3: {event.SysRecvfrom, event.SysReadv, event.SysPreadv},
		5: {event.SysRecvmsg},
		8: {event.SysMmap, event.SysMmap2},
	} {
		for _, t := range types {
			index[t] = int8(i)
		}
	}
	return index
}()

// apply changes the state as the event says.
func (s *state) apply(c *call) {
	if c.byNumber {
		return
	}
	if c.enter {
		s.applyEnter(c)
		return
	}
	switch c.typ {
	case event.EvtUseradded, event.EvtUserdeleted:
		s.userEvent(c)
		return
	case event.EvtGroupadded, event.EvtGroupdeleted:
		s.groupEvent(c)
		return
	case event.EvtContainer:
		s.containerEvent(c.text(0))
		return
	case event.EvtAsyncevent:
		s.asyncEvent(c)
		return
	case event.SysClone, event.SysFork, event.SysVfork, event.SysClone3:
		s.clone(c)
		return
	}
	if c.t == nil {
		return
	}
	switch c.typ {
	case event.SysRead, event.SysWrite, event.SysRecv, event.SysSend, event.SysRecvfrom, event.SysRecvmsg,
		event.SysRecvmmsg, event.SysSendto, event.SysSendmsg, event.SysSendmmsg, event.SysReadv, event.SysWritev,
		event.SysPread, event.SysPwrite, event.SysPreadv, event.SysPwritev:
		s.readWrite(c)
	case event.SysOpen, event.SysCreat, event.SysOpenat, event.SysOpenat2, event.SysOpenByHandleAt:
		s.open(c)
	case event.SysClose:
		if c.ret >= 0 && c.fd != nil {
			s.removeFrom = c.t.TID
			s.removeFDs = append(s.removeFDs, c.t.lastFD)
		}
	case event.SysExecve, event.SysExecveat:
		s.exec(c)
	case event.EvtProcexit:
		s.exit(c)
	case event.SysSocket, event.SysBind, event.SysConnect, event.SysAccept, event.SysAccept4, event.SysSocketpair:
		s.socket(c)
	case event.SysDup, event.SysDup2, event.SysDup3, event.SysFcntl, event.SysPipe, event.SysPipe2, event.SysEventfd,
		event.SysEventfd2, event.SysSignalfd, event.SysSignalfd4, event.SysTimerfdCreate, event.SysInotifyInit,
		event.SysInotifyInit1, event.SysBpf, event.SysUserfaultfd, event.SysIoUringSetup, event.SysEpollCreate,
		event.SysEpollCreate1, event.SysMemfdCreate, event.SysPidfdOpen, event.SysPidfdGetfd:
		s.descriptor(c)
	default:
		s.attributes(c)
	}
}

// applyEnter keeps an enter event that its exit may ask for.
func (s *state) applyEnter(c *call) {
	if c.t == nil || c.typ != event.SysExecveat && c.typ != event.SysConnect && c.empty(0) {
		return
	}
	t := c.t
	if t.kept == nil {
		t.kept = &record{}
	}
	kept := t.kept
	*kept = record{code: c.code, typ: c.typ, n: c.n}
	t.data = t.data[:0]
	for i := range c.n {
		t.data = append(t.data, c.p[i]...)
	}
	at := 0
	for i := range c.n {
		kept.p[i] = t.data[at : at+len(c.p[i])]
		at += len(c.p[i])
	}
	t.enter = kept
}

// entered is the enter event of the call whose exit c is, nil when it is not
// known. It can be asked for once.
func (c *call) entered() *record {
	e := c.t.enter
	if e == nil || e.typ != c.typ && (e.typ != event.SysExecveat || c.typ != event.SysExecve) {
		return nil
	}
	return e
}

// end forgets what only this event could ask for.
func (s *state) end(c *call) {
	if c.t != nil && !c.enter {
		c.t.enter = nil
	}
}

// settle does what becomes of the event before, now that nobody looks at it any
// more.
func (s *state) settle() {
	if s.removing {
		s.removing = false
		s.remove(s.removeTID)
	}
	if len(s.removeFDs) > 0 {
		if t := s.find(s.removeFrom); t != nil {
			table := t.table()
			for _, n := range s.removeFDs {
				s.pool.free(table[n])
				delete(table, n)
			}
		}
		s.removeFDs = s.removeFDs[:0]
	}
}

// open adds the file that a call opened.
func (s *state) open(c *call) {
	var flags, dev uint32
	var ino uint64
	var name []byte
	dir := ""
	before := c.entered()
	switch c.typ {
	case event.SysOpen:
		name, flags = c.text(1), c.u32(2)
		dev, ino = c.u32(4), c.u64(5)
		if before != nil {
			if n := before.text(0); string(n) != "<NA>" {
				name, flags = n, before.u32(1)|flags&^(event.OFCreated-1)
			}
		}
		dir = c.t.getCwd()
	case event.SysCreat:
		name = c.text(1)
		dev, ino = c.u32(3), c.u64(4)
		switch f := c.u32(5); {
		case f&event.CreatUpperLayer != 0:
			flags = event.UpperLayer
		case f&event.CreatLowerLayer != 0:
			flags = event.LowerLayer
		}
		if before != nil {
			if n := before.text(0); string(n) != "<NA>" {
				name = n
			}
		}
		dir = c.t.getCwd()
	case event.SysOpenat, event.SysOpenat2:
		name, flags = c.text(2), c.u32(3)
		at := 5
		if c.typ == event.SysOpenat2 {
			at = 6
		}
		if !c.empty(at + 1) {
			dev, ino = c.u32(at), c.u64(at+1)
		}
		dirfd := c.param(1)
		if before != nil {
			if n := before.text(1); string(n) != "<NA>" {
				name, flags = n, before.u32(2)|flags&^(event.OFCreated-1)
				dirfd = before.param(0)
			}
		}
		if len(dirfd) > 0 {
			dir = c.dir(name, signed(dirfd))
		}
	case event.SysOpenByHandleAt:
		flags, name = c.u32(2), c.text(3)
		dev, ino = c.u32(4), c.u64(5)
	}
	if c.ret < 0 {
		return
	}
	f := &event.FD{Type: event.FDFile, Flags: flags, Dev: dev, Ino: ino}
	if flags&event.ODirectory != 0 {
		f.Type = event.FDDirectory
	}
	f.NameRaw = s.strings.bytes(name)
	f.Name = s.join(dir, f.NameRaw)
	f.UpperLayer, f.LowerLayer = flags&event.UpperLayer != 0, flags&event.LowerLayer != 0
	c.fd = c.t.addFD(c.ret, f)
}

// join joins a directory and a path; most paths are absolute and clean.
func (s *state) join(dir, path string) string {
	if strings.HasPrefix(path, "/") && !strings.Contains(path, "/.") && !strings.Contains(path, "//") {
		return event.JoinPath(dir, path)
	}
	key := [2]string{dir, path}
	if full, ok := s.joined[key]; ok {
		return full
	}
	full := s.strings.text(event.JoinPath(dir, path))
	if s.joined == nil || len(s.joined) >= mostStrings {
		s.joined = map[[2]string]string{}
	}
	s.joined[key] = full
	return full
}

// dir is the directory that a path given with a descriptor is relative to.
func (c *call) dir(path []byte, dirfd int64) string {
	if len(path) > 0 && path[0] == '/' {
		return "."
	}
	if dirfd == atCwd {
		return c.t.getCwd()
	}
	f := c.t.fd(dirfd)
	if f == nil {
		return "<UNKNOWN>"
	}
	if f.Name == "" || f.Name[len(f.Name)-1] == '/' {
		return f.Name
	}
	return f.Name + "/"
}

const atCwd = -100

// descriptor follows the calls that make descriptors of other kinds.
func (s *state) descriptor(c *call) {
	switch c.typ {
	case event.SysMemfdCreate:
		f := &event.FD{Type: fdUninitialized}
		if c.ret >= 0 {
			f.Type, f.Name, f.Flags = event.FDMemfd, s.strings.bytes(c.text(1)), c.u32(2)
		}
		c.fd = c.t.addFD(c.ret, f)
		return
	case event.SysPidfdOpen:
		f := &event.FD{Type: fdUninitialized}
		if c.ret >= 0 {
			f.Type, f.Name, f.Flags = event.FDPidfd, "/proc/"+itoa(c.num(1)), c.u32(2)
		}
		c.fd = c.t.addFD(c.ret, f)
		return
	case event.SysPidfdGetfd:
		s.pidfdGetfd(c)
		return
	}
	if c.ret < 0 {
		return
	}
	f := &event.FD{}
	switch c.typ {
	case event.SysFcntl:
		if cmd := c.u32(2); cmd != fcntlDup && cmd != fcntlDupCloexec || c.fd == nil {
			return
		}
		*f = *c.fd
	case event.SysDup, event.SysDup2, event.SysDup3:
		if c.fd == nil {
			return
		}
		if c.typ == event.SysDup3 {
			if flags := c.u32(3); flags != 0 {
				c.fd.Flags |= flags
			} else {
				c.fd.Flags &^= event.OCloexec
			}
		}
		*f = *c.fd
	case event.SysPipe, event.SysPipe2:
		f.Type, f.Ino = event.FDPipe, c.u64(3)
		if c.typ == event.SysPipe2 {
			f.Flags = c.u32(4)
		}
		c.t.addFD(c.num(1), f)
		other := *f
		c.fd = c.t.addFD(c.num(2), &other)
		return
	case event.SysEventfd, event.SysEventfd2:
		f.Type = event.FDEvent
		if c.typ == event.SysEventfd2 {
			f.Flags = c.u32(1)
		}
	case event.SysSignalfd, event.SysSignalfd4:
		f.Type = event.FDSignal
		if c.typ == event.SysSignalfd4 {
			f.Flags = c.u32(1)
		}
	case event.SysInotifyInit, event.SysInotifyInit1:
		f.Type = event.FDInotify
		if c.typ == event.SysInotifyInit1 {
			f.Flags = c.u32(1)
		}
	case event.SysTimerfdCreate:
		f.Type = event.FDTimer
	case event.SysBpf:
		f.Type = event.FDBPF
	case event.SysUserfaultfd:
		f.Type = event.FDUserfault
	case event.SysIoUringSetup:
		f.Type = event.FDIOUring
	default:
		f.Type = event.FDEventPoll
	}
	c.fd = c.t.addFD(c.ret, f)
}

const (
	fdUninitialized = event.FDType(255) // Falco notes something even when the call failed
	fcntlDup        = 1
	fcntlDupCloexec = 26
	limitNoFile     = 7
	setSubreaper    = 36
	getSubreaper    = 37
)

func (s *state) pidfdGetfd(c *call) {
	f := c.t.fd(c.num(1))
	if f == nil || f.Type != event.FDPidfd {
		return
	}
	target := s.find(pidOf(f.Name))
	if target == nil {
		return
	}
	if f := target.fd(c.num(2)); f != nil {
		other := *f
		c.t.addFD(c.ret, &other)
	}
}

// attributes follows the calls that change a thread or its process.
func (s *state) attributes(c *call) {
	t, p := c.t, &c.t.proc
	switch c.typ {
	case event.EvtSwitch:
		if !c.empty(5) {
			t.PFMajor, t.PFMinor = c.u64(1), c.u64(2)
			if m := t.main(); m != nil {
				m.proc.VMSize, m.proc.VMRSS, m.proc.VMSwap = c.u64(3), c.u64(4), c.u64(5)
			}
		}
		return
	case event.SysBrk, event.SysMmap, event.SysMmap2, event.SysMunmap:
		if !c.empty(1) {
			p.VMSize = c.u64(1)
		}
		if !c.empty(3) {
			p.VMRSS, p.VMSwap = c.u64(2), c.u64(3)
		}
		return
	case event.SysUnshare, event.SysSetns:
		flags := c.u32(1)
		if c.typ == event.SysSetns {
			flags = c.u32(2)
		}
		if c.ret >= 0 && flags&cloneNewUser != 0 {
			p.CapInheritable, p.CapPermitted, p.CapEffective = allCaps, allCaps, allCaps
		}
		return
	case event.SysPrlimit:
		s.prlimit(c)
		return
	}
	if c.ret < 0 {
		return
	}
	switch c.typ {
	case event.SysChdir:
		s.updateCwd(t, s.strings.bytes(c.text(1)))
	case event.SysFchdir:
		if c.fd != nil {
			s.updateCwd(t, c.fd.Name)
		}
	case event.SysGetcwd:
		s.updateCwd(t, s.strings.bytes(c.text(1)))
	case event.SysChroot:
		if c.ret == 0 {
			p.Root = s.join(t.getCwd(), s.strings.bytes(c.text(1)))
		}
	case event.SysSetsid:
		p.SID = c.ret
	case event.SysCapset:
		p.CapInheritable, p.CapPermitted, p.CapEffective = c.u64(1), c.u64(2), c.u64(3)
	case event.SysSetresuid, event.SysSetreuid:
		setID(c, 2, &p.UID)
	case event.SysSetuid:
		setID(c, 1, &p.UID)
	case event.SysSetresgid, event.SysSetregid:
		setID(c, 2, &p.GID)
	case event.SysSetgid:
		setID(c, 1, &p.GID)
	case event.SysGetrlimit, event.SysSetrlimit:
		if cur := c.num(1); c.u32(3) == limitNoFile && cur != -1 {
			if m := t.main(); m != nil {
				m.setFDLimit(cur)
			}
		}
	case event.SysPrctl:
		if o := c.u32(1); (o == setSubreaper || o == getSubreaper) && t.group != nil && !t.invalid() {
			t.group.reaper = c.num(3) != 0
		}
	}
}

const allCaps = 1<<41 - 1

func setID(c *call, param int, id *uint32) {
	if c.ret == 0 && !c.empty(param) {
		*id = c.u32(param)
	}
}

func (s *state) prlimit(c *call) {
	cur := c.num(1)
	if c.ret != 0 || c.empty(6) || c.u32(6) != limitNoFile || cur == -1 || c.empty(5) {
		return
	}
	tid := c.num(5)
	if tid == 0 {
		tid = c.tid
	}
	if t := s.get(tid); t != nil && !t.invalid() {
		if m := t.main(); m != nil {
			m.setFDLimit(cur)
		}
	}
}

// userEvent notes an account of the host. Those of containers Falco looks up in the
// container's files, which are not there when it replays, and not in its own event
// (sinsp_usergroup_manager::add_container_user).
func (s *state) userEvent(c *call) {
	uid := c.u32(0)
	switch {
	case len(cutNull(c.param(5))) > 0:
	case c.typ == event.EvtUserdeleted:
		delete(s.users, uid)
	default:
		s.setUser(uid, &event.User{
			Name: string(c.text(2)), Home: string(c.text(3)), Shell: string(c.text(4)),
		})
	}
}

func (s *state) groupEvent(c *call) {
	gid := c.u32(0)
	switch {
	case len(cutNull(c.param(2))) > 0:
	case c.typ == event.EvtGroupdeleted:
		delete(s.nGroups, gid)
	default:
		s.setGroup(gid, string(c.text(1)))
	}
}
