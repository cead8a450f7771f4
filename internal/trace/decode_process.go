// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"math"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// pidArg is a process id argument, with the name of that process if known.
func pidArg(n int) param {
	return param{exit: func(x *decoding, p *event.Param) {
		p.Num = x.c.arg(n)
		p.Str = x.t.commOf(p.Num)
	}}
}

// commOf returns the name of a thread of the tree, or of an ancestor of it.
func (t *tracer) commOf(tid int64) string {
	if th := t.threads[int(tid)]; th != nil {
		return th.proc.Comm
	}
	if p := t.outside[tid]; p != nil {
		return p.Comm
	}
	return ""
}

// processDecoders are the calls about processes, threads, users and signals.
func processDecoders() map[event.Type]decoder {
	creds := func(x *decoding) {
		if x.c.ret == 0 {
			x.refreshCreds()
		}
	}
	clone := decoder{params: []param{res}, silent: true, after: func(x *decoding) {
		if x.t.wanted[x.c.typ] {
			x.fillClone(x.th, x.c.ret, x.c.cloneFlags)
			x.t.report(x.th, x.c)
		}
	}}
	exec := decoder{
		params: []param{res},
		enter: func(x *decoding) {
			x.c.filename, x.c.filenameOK = x.execName()
		},
		// Only failures come here: success is seen before the call returns.
		after: func(x *decoding) { x.fillExec() },
	}
	out32 := func(n int) param {
		return atExit(func(x *decoding) int64 { v, _ := x.t.u32(x.th.tid, x.c.args[n]); return int64(v) })
	}
	return map[event.Type]decoder{
		event.SysClone: clone, event.SysClone3: clone, event.SysFork: clone,
		event.SysVfork: clone,

		event.SysExecve: exec, event.SysExecveat: exec,

		event.SysSetuid:    {params: []param{res, u32(0)}, after: creds},
		event.SysSetgid:    {params: []param{res, u32(0)}, after: creds},
		event.SysSetreuid:  {params: []param{res, u32(0), u32(1)}, after: creds},
		event.SysSetregid:  {params: []param{res, u32(0), u32(1)}, after: creds},
		event.SysSetresuid: {params: []param{res, u32(0), u32(1), u32(2)}, after: creds},
		event.SysSetresgid: {params: []param{res, u32(0), u32(1), u32(2)}, after: creds},
		event.SysGetuid:    {params: []param{res32u}},
		event.SysGeteuid:   {params: []param{res32u}},
		event.SysGetgid:    {params: []param{res32u}},
		event.SysGetegid:   {params: []param{res32u}},
		event.SysGetresuid: {params: []param{res, out32(0), out32(1), out32(2)}},
		event.SysGetresgid: {params: []param{res, out32(0), out32(1), out32(2)}},
		event.SysCapset: {
			params: []param{
				res, atExit(func(x *decoding) int64 { return int64(x.th.proc.CapInheritable) }),
				atExit(func(x *decoding) int64 { return int64(x.th.proc.CapPermitted) }),
				atExit(func(x *decoding) int64 { return int64(x.th.proc.CapEffective) }),
			},
			after: func(x *decoding) {
				creds(x)
				p := x.th.proc
				x.c.params[1].Num, x.c.params[2].Num, x.c.params[3].Num = int64(p.CapInheritable), int64(p.CapPermitted), int64(p.CapEffective)
			},
		},
		event.SysSetsid: {params: []param{res}, after: func(x *decoding) { x.refreshSession() }},
		event.SysSetpgid: {params: []param{res, pidArg(0), pidArg(1)}, after: func(x *decoding) {
			x.refreshSession()
			if p := x.t.processes[x.c.arg(0)]; p != nil && p != x.th.proc {
				x.t.session(p)
			}
		}},
		event.SysUnshare: {params: []param{res, flags(0, namespaceFlags)}, after: func(x *decoding) { x.namespaceChanged(x.c.args[0]) }},
		event.SysSetns:   {params: []param{res, i32(0), flags(1, namespaceFlags)}, after: func(x *decoding) { x.namespaceChanged(math.MaxUint64) }},

		event.SysKill:   {params: []param{res, pidArg(0), u8(1)}},
		event.SysTkill:  {params: []param{res, pidArg(0), u8(1)}},
		event.SysTgkill: {params: []param{res, pidArg(0), pidArg(1), u8(2)}},
		event.SysPtrace: {params: []param{
			res,
			{exit: func(x *decoding, p *event.Param) {
				if p.Dyn = event.PtraceUint64; x.c.ret >= 0 {
					p.Num = int64(x.c.args[2])
				}
			}},
			{exit: func(x *decoding, p *event.Param) { x.ptraceData(p) }},
			flags(0, ptraceRequest), pidArg(1),
		}},
		event.SysPrctl: {params: []param{
			res, flags(0, same32),
			{exit: func(x *decoding, p *event.Param) {
				switch p.Null = true; x.c.args[0] {
				case unix.PR_SET_NAME, unix.PR_GET_NAME:
					x.readString(p, x.c.args[1])
				}
			}},
			atExit(func(x *decoding) int64 {
				switch x.c.args[0] {
				case unix.PR_SET_NAME, unix.PR_GET_NAME:
					return 0
				case unix.PR_GET_CHILD_SUBREAPER:
					v, _ := x.t.u32(x.th.tid, x.c.args[1])
					return int64(int32(v))
				}
				return int64(x.c.args[1])
			}),
		}},
		event.SysSeccomp: {params: []param{res, u64(0), u32(1)}},

		event.SysGetrlimit: {params: []param{res, rlimit(1, 0, true), rlimit(1, 1, true), flags(0, rlimitResource)}},
		event.SysSetrlimit: {
			params: []param{res, rlimit(1, 0, false), rlimit(1, 1, false), flags(0, rlimitResource)},
			after:  func(x *decoding) { x.t.readFDLimit(x.th.proc) },
		},
		event.SysPrlimit: {
			params: []param{
				res, rlimit64(2, 0, false), rlimit64(2, 1, false), rlimit64(3, 0, true), rlimit64(3, 1, true),
				atExit(func(x *decoding) int64 { return x.c.arg(0) }), flags(1, rlimitResource),
			},
			after: func(x *decoding) {
				if uint32(x.c.args[1]) == unix.RLIMIT_NOFILE && x.c.args[2] != 0 && x.c.ret == 0 {
					p := x.t.processes[x.c.arg(0)]
					if x.c.arg(0) == 0 {
						p = x.th.proc
					}
					if p != nil {
						x.t.readFDLimit(p)
					}
				}
			},
		},
	}
}

var res32u = atExit(func(x *decoding) int64 { return int64(uint32(x.c.ret)) })

// rlimit is one half of a limit; those that a call writes are -1 on failure.
func rlimit(n, half int, output bool) param {
	return atExit(func(x *decoding) int64 {
		if output && x.c.ret != 0 {
			return -1
		}
		v, _ := x.c.word(x.t, x.th.tid, x.c.args[n]+uint64(half)*x.c.wordSize())
		return int64(v)
	})
}

func rlimit64(n, half int, output bool) param {
	return atExit(func(x *decoding) int64 {
		if output && x.c.ret != 0 {
			return -1
		}
		v, _ := x.t.u64(x.th.tid, x.c.args[n]+uint64(half)*8)
		return int64(v)
	})
}

// refreshCreds reads the ids and capabilities of the calling thread again.
func (x *decoding) refreshCreds() {
	if st := x.t.status(x.th.TID); st.ok {
		x.t.setCreds(x.th.proc, &st)
	}
}

// refreshSession reads the session and the process group again.
func (x *decoding) refreshSession() {
	if x.c.ret >= 0 {
		x.t.session(x.th.proc)
	}
}

func (t *tracer) session(p *process) {
	if st := t.stat(p.PID); st.State != 0 {
		p.SID, p.PGID, p.TTY = st.Session, st.PGID, encodeDev(uint64(st.TTY))
	}
	if st := t.status(p.PID); st.ok {
		p.VSID, p.VPGID = st.vsid, st.vpgid
	}
}

func (x *decoding) namespaceChanged(flags uint64) {
	if x.c.ret != 0 {
		return
	}
	if flags&unix.CLONE_NEWPID != 0 {
		x.th.proc.childNS = true
	}
	if flags&unix.CLONE_NEWUSER != 0 {
		x.refreshCreds()
	}
	if flags&unix.CLONE_NEWCGROUP != 0 {
		x.t.readCgroups(x.th.proc)
	}
}

// ptraceData is the last argument of ptrace in the type that it has.
func (x *decoding) ptraceData(p *event.Param) {
	p.Dyn = event.PtraceUint64
	if x.c.ret < 0 {
		return
	}
	switch x.c.args[0] {
	case unix.PTRACE_PEEKTEXT, unix.PTRACE_PEEKDATA, unix.PTRACE_PEEKUSR:
		v, _ := x.c.word(x.t, x.th.tid, x.c.args[3])
		p.Num = int64(v)
	case unix.PTRACE_CONT, unix.PTRACE_SINGLESTEP, unix.PTRACE_DETACH, unix.PTRACE_SYSCALL:
		p.Dyn, p.Num = event.PtraceSignal, int64(uint8(x.c.args[3]))
	default:
		p.Num = int64(x.c.args[3])
	}
}

// fillClone fills in the event of a thread being made, in the parent (ret is
// the child) or in the child (ret is 0).
func (x *decoding) fillClone(th *thread, ret int64, flags uint64) {
	p, c, t := th.proc, x.c, x.t
	b := builder{c.params[:0]}
	st, mem := t.stat(th.TID), t.memory(th.TID)
	th.PFMajor, th.PFMinor = st.MajFlt, st.MinFlt
	scapFlags := cloneFlags(flags)
	if p.nsDepth > 0 || p.childNS {
		scapFlags |= cloneChildInPidns
	}
	b.num(ret)
	if ret >= 0 {
		b.str(p.Exe)
		b.strs(p.Args)
	} else {
		b.null()
		b.null()
	}
	b.num(th.TID)
	b.num(p.PID)
	b.num(p.parentTID)
	b.null() // cwd
	b.num(p.FDLimit)
	b.num(int64(st.MajFlt))
	b.num(int64(st.MinFlt))
	b.num(int64(mem.size))
	b.num(int64(mem.rss))
	b.num(int64(mem.swap))
	comm := p.Comm
	if name := t.readProc(th.TID, "comm"); len(name) > 0 {
		comm = t.intern(name[:len(name)-1])
	}
	b.str(comm)
	b.strs(p.Cgroups)
	b.num(int64(scapFlags))
	b.num(int64(p.UID))
	b.num(int64(p.GID))
	b.num(th.VTID)
	b.num(p.VPID)
	start := int64(0)
	if ret == 0 {
		start = p.PidnsInitStart - t.boot
	}
	b.num(start)
	c.params = b.params
}

// reportBirth reports a new thread's own side of the call that made it.
func (t *tracer) reportBirth(th *thread) {
	c := &th.call
	whole := th.TID == th.proc.PID
	*c = call{typ: th.bornBy, cloneFlags: th.bornWith, fdNum: -1, judged: t.judgesThread(th, whole)}
	x := decoding{t, th, c}
	x.fillClone(th, 0, th.bornWith)
	t.report(th, c)
}

// memorySize is what a process uses, in kB.
type memorySize struct{ size, rss, swap uint64 }

func (t *tracer) memory(tid int64) (m memorySize) {
	st := t.status(tid)
	return memorySize{st.vmSize, st.vmRSS, st.vmSwap}
}

// execName returns the name that the kernel gives the file of an exec: the
// path, or one made of the descriptor.
func (x *decoding) execName() (string, bool) {
	tid := x.th.tid
	if x.c.typ == event.SysExecve {
		return x.t.cString(tid, x.c.args[0], maxPath)
	}
	name, ok := x.t.cString(tid, x.c.args[1], maxPath)
	switch dirfd := x.c.arg(0); {
	case !ok || dirfd == atFDCWD || strings.HasPrefix(name, "/"):
		return name, ok
	case name == "":
		return "/dev/fd/" + itoa(dirfd), true
	default:
		return "/dev/fd/" + itoa(dirfd) + "/" + name, true
	}
}

// reportExec brings a process up to date after it has executed a program, and
// reports it. Falco calls it execve also when execveat did it.
func (t *tracer) reportExec(th *thread) {
	c := &th.call
	inCall := th.inCall
	if !inCall {
		*c = call{params: c.params}
	}
	p := th.proc
	t.closeMem()
	t.readIdentity(p)
	t.readImage(p)
	p.StartTime = now()
	p.childNS = false
	th.Flags = 0
	for num, fd := range p.FDs {
		if fd.Flags&(1<<12) != 0 { // close-on-exec
			delete(p.FDs, num)
		}
	}
	if c.judged = t.markedExec(th); !inCall || !c.judged || !t.wanted[event.SysExecve] {
		return
	}
	c.typ, c.ret, c.fd, c.fdNum = event.SysExecve, 0, nil, -1
	x := decoding{t, th, c}
	x.fillExec()
	t.report(th, c)
}

// fillExec fills in the event of an exec.
func (x *decoding) fillExec() {
	p, c, t, th := x.th.proc, x.c, x.t, x.th
	b := builder{c.params[:0]}
	st, mem := t.stat(th.TID), t.memory(th.TID)
	th.PFMajor, th.PFMinor = st.MajFlt, st.MinFlt
	b.num(c.ret)
	env := p.Env
	if c.ret == 0 {
		b.str(p.Exe)
		b.strs(p.Args)
	} else {
		argv, envp := 1, 2
		if c.typ == event.SysExecveat {
			argv, envp = 2, 3
		}
		args := x.pointers(c.args[argv])
		if len(args) > 0 {
			b.str(args[0])
			b.strs(args[1:])
		} else {
			b.str("")
			b.null()
		}
		env = x.pointers(c.args[envp])
	}
	b.num(th.TID)
	b.num(p.PID)
	b.num(p.parentTID)
	b.null() // cwd
	b.num(p.FDLimit)
	b.num(int64(st.MajFlt))
	b.num(int64(st.MinFlt))
	b.num(int64(mem.size))
	b.num(int64(mem.rss))
	b.num(int64(mem.swap))
	b.str(p.Comm)
	b.strs(p.Cgroups)
	b.strs(limitStrings(env, maxPath))
	b.num(int64(p.TTY))
	b.num(p.VPGID)
	b.num(p.LoginUID)
	flags := 0
	for flag, set := range map[int]bool{
		exeWritable: p.ExeWritable, exeUpperLayer: p.ExeUpperLayer, exeFromMemfd: p.ExeFromMemfd, exeLowerLayer: p.ExeLowerLayer,
	} {
		if set {
			flags |= flag
		}
	}
	b.num(int64(flags))
	b.num(int64(p.CapInheritable))
	b.num(int64(p.CapPermitted))
	b.num(int64(p.CapEffective))
	b.num(int64(p.ExeIno))
	b.num(p.ExeCtime)
	b.num(p.ExeMtime)
	b.num(int64(p.UID))
	b.path(p.ExePath, p.ExePath)
	b.num(p.PGID)
	b.num(int64(p.GID))
	if c.typ == event.SysExecve {
		if c.filenameOK {
			b.path(c.filename, t.absolute(p.Cwd, c.filename))
		} else {
			b.null()
		}
	}
	c.params = b.params
}

// pointers reads an array of strings as Falco reads those of a failed exec: at
// most 16, and a page in all.
func (x *decoding) pointers(addr uint64) []string {
	const maxStrings = 16
	var list []string
	total := 0
	for i := uint64(0); i < maxStrings && addr != 0; i++ {
		ptr, ok := x.c.word(x.t, x.th.tid, addr+i*x.c.wordSize())
		if !ok || ptr == 0 {
			break
		}
		s, ok := x.t.cString(x.th.tid, ptr, maxPath)
		if !ok {
			continue
		}
		if total += len(s) + 1; total >= maxPath {
			break
		}
		list = append(list, s)
	}
	return list
}

// limitStrings cuts a list where its strings, with a zero byte after each,
// take more than limit bytes.
func limitStrings(list []string, limit int) []string {
	for i, s := range list {
		if limit -= len(s) + 1; limit < 0 {
			return append(list[:i:i], s[:max(0, len(s)+limit)])
		}
	}
	return list
}

// builder fills parameters in their order.
type builder struct{ params []event.Param }

func (b *builder) add(p event.Param)  { b.params = append(b.params, p) }
func (b *builder) num(n int64)        { b.add(event.Param{Num: n}) }
func (b *builder) str(s string)       { b.add(event.Param{Str: s}) }
func (b *builder) path(s, abs string) { b.add(event.Param{Str: s, Path: abs, Null: s == ""}) }
func (b *builder) strs(list []string) { b.add(event.Param{Strs: list, Null: len(list) == 0}) }
func (b *builder) null()              { b.add(event.Param{Null: true}) }

// reportExit reports the end of a thread.
func (t *tracer) reportExit(th *thread, ws unix.WaitStatus) {
	c := &th.call
	*c = call{typ: event.EvtProcexit, fdNum: -1, params: c.params, judged: t.judgesThread(th, th.proc.alive == 0)}
	b := builder{c.params[:0]}
	b.num(int64(uint32(ws)))
	if ws.Signaled() {
		b.num(0)
		b.num(int64(ws.Signal()))
	} else {
		b.num(int64(ws.ExitStatus()))
		b.num(0)
	}
	b.num(b2i(ws.Signaled() && ws.CoreDump()))
	b.num(t.reaper(th))
	c.params = b.params
	t.report(th, c)
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// reaper returns who inherits the children of a process that has ended, 0 when
// there are none.
func (t *tracer) reaper(th *thread) int64 {
	if th.proc.alive > 0 {
		return 0
	}
	return th.proc.reaper
}

// reportSignal reports a signal that a thread is about to take.
func (t *tracer) reportSignal(th *thread, sig int) {
	// What matters of siginfo_t: a number, an error, a code, and who sent it.
	var info struct {
		signo, errno, code, _ int32
		pid                   int32
		_                     [108]byte
	}
	sender := int64(0)
	if ptrace(unix.PTRACE_GETSIGINFO, th.tid, 0, uintptr(unsafe.Pointer(&info))) == nil {
		switch unix.Signal(sig) {
		case unix.SIGKILL, unix.SIGCHLD:
			sender = int64(info.pid)
		case unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGTSTP, unix.SIGQUIT:
			if info.code <= 0 {
				sender = int64(info.pid)
			}
		default:
			if sig >= 32 {
				sender = int64(info.pid)
			}
		}
	}
	// The thread may be inside a call, whose record must not be lost.
	c := call{typ: event.EvtSignaldeliver, fdNum: -1, judged: t.judgesSignal(th, sig, info.pid)}
	b := builder{}
	b.add(event.Param{Num: sender, Str: t.commOf(sender)})
	b.add(event.Param{Num: th.TID, Str: th.proc.Comm})
	b.num(int64(sig))
	c.params = b.params
	t.report(th, &c)
}
