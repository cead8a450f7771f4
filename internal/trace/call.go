// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// call is a system call between its entry and its exit.
type call struct {
	typ    event.Type
	nr     int
	args   [6]uint64
	compat bool // of a 32-bit program
	judged bool
	ret    int64
	params []event.Param

	open       opening
	filename   string // of an exec, as the kernel takes it
	filenameOK bool
	unknown    event.Unknown // why what was read at the entry, besides the parameters, could not be
	mem        *memorySize
	cloneFlags uint64
	restore    func(tid int) // puts back what was changed in the tracee, for it and for its child

	fd          *event.FD // the descriptor that the event speaks of
	fdNum       int64
	nameChanged bool
	oldName     string
}

// arg returns an argument as the int that most calls take.
func (c *call) arg(n int) int64 { return int64(int32(c.args[n])) }

// decoding is a call that is being decoded, and what that needs.
type decoding struct {
	t  *tracer
	th *thread
	c  *call
}

// enter begins a call: it reads what the kernel is about to read, as late as
// can be before that.
func (t *tracer) enter(th *thread, info *syscallInfo) {
	c := &th.call
	params := c.params
	*c = call{nr: int(info.a), args: info.args, params: params, fdNum: -1}
	switch info.arch {
	case auditArch:
		c.typ = nativeType(c.nr)
	case compatArch:
		c.compat = true
		c.typ = compatType(c.nr)
		if c.nr == socketcall {
			t.socketcall(th)
		}
	}
	x := decoding{t, th, c}
	switch c.typ {
	case event.None:
		return
	case event.SysClone:
		c.cloneFlags = c.args[0]
		th.told = false
		t.keepTraced(th, info.sp)
	case event.SysClone3:
		c.cloneFlags, _ = t.u64(th.tid, c.args[0])
		th.told = false
		t.keepTraced(th, info.sp)
	case event.SysPrctl:
		if t.opts.Marks.In(&c.args) {
			t.marking(th, &c.args)
			c.typ, th.inCall = event.None, th.proc.allCalls
			return
		}
		if !t.followed[c.typ] && c.args[0] != unix.PR_SET_SECCOMP {
			return
		}
	}
	if !t.followed[c.typ] && c.restore == nil && c.typ != event.SysPrctl {
		return // seen because the process stops at each call
	}
	setsFilter := c.typ == event.SysPrctl && c.args[0] == unix.PR_SET_SECCOMP
	if c.judged = t.judgesCall(th, info); !c.judged && !t.kept[c.typ] && c.restore == nil && !setsFilter {
		return
	}
	th.inCall = true
	d := &decoders[c.typ]
	n := len(c.typ.Def().Params)
	if cap(c.params) < n {
		c.params = make([]event.Param, n)
	}
	c.params = c.params[:n]
	for i := range c.params {
		c.params[i] = event.Param{}
		if i < len(d.params) && d.params[i].entry != nil {
			x.read(d.params[i].entry, &c.params[i])
		}
	}
	if d.enter != nil {
		t.unknown = event.Known
		d.enter(&x)
		c.unknown = t.unknown
	}
}

// read reads a parameter, and notes when what it is made of may not be read.
func (x *decoding) read(f func(*decoding, *event.Param), p *event.Param) {
	x.t.unknown = event.Known
	f(x, p)
	if x.t.unknown != event.Known {
		p.Unknown = x.t.unknown
	}
}

// socketcall replaces the one socket call of 32-bit x86 by the call that it
// stands for.
func (t *tracer) socketcall(th *thread) {
	c := &th.call
	which := int(c.args[0])
	if which <= 0 || which >= len(socketcalls) {
		c.typ = event.None
		return
	}
	c.typ = socketcalls[which]
	base := c.args[1]
	for i := range c.args {
		v, _ := t.u32(th.tid, base+uint64(i)*4)
		c.args[i] = uint64(v)
	}
}

// keepTraced takes CLONE_UNTRACED away from a call that makes a child, until
// the call has returned.
func (t *tracer) keepTraced(th *thread, sp uint64) {
	c := &th.call
	if c.cloneFlags&unix.CLONE_UNTRACED == 0 {
		return
	}
	tid, flags, compat := th.tid, c.cloneFlags, c.compat
	setFirst := func(value uint64) {
		first := c.args[0]
		if setFirstArg(tid, compat, value) != nil {
			return
		}
		c.restore = func(tid int) {
			if argsAfterCall {
				_ = setFirstArg(tid, compat, first)
			}
		}
	}
	if c.typ == event.SysClone {
		setFirst(flags &^ unix.CLONE_UNTRACED)
		return
	}
	addr := c.args[0]
	if writeU64(tid, addr, flags&^unix.CLONE_UNTRACED) == nil {
		c.restore = func(tid int) { _ = writeU64(tid, addr, flags) }
		return
	}
	// Shared memory that may only be read: give the kernel a copy, on the
	// stack below what a leaf function may use.
	const redZone, largest = 256, 512
	size := c.args[1]
	if size < 8 || size > largest {
		return
	}
	args, ok := t.bytes(tid, addr, int(size))
	if !ok {
		return
	}
	to := (sp - redZone - largest) &^ 15
	args = append([]byte(nil), args...)
	binary.NativeEndian.PutUint64(args, flags&^unix.CLONE_UNTRACED)
	for len(args)%8 != 0 {
		args = append(args, 0)
	}
	for i := 0; i < len(args); i += 8 {
		if writeU64(tid, to+uint64(i), binary.NativeEndian.Uint64(args[i:])) != nil {
			return
		}
	}
	setFirst(to)
}

// leave ends a call: its result and what it wrote are read, the state is
// brought up to date, and the event is reported.
func (t *tracer) leave(th *thread, ret int64) {
	c := &th.call
	c.ret = ret
	if c.restore != nil {
		c.restore(th.tid)
	}
	if c.typ == event.SysClone3 && ret > 0 && !th.told {
		t.recapture(c.typ)
	}
	x := decoding{t, th, c}
	if ret >= 0 && (c.typ == event.SysSeccomp && c.args[0] != unix.SECCOMP_GET_ACTION_AVAIL || c.typ == event.SysPrctl && c.args[0] == unix.PR_SET_SECCOMP) {
		th.proc.allCalls = true // its own filter may hide calls from ours
	}
	if !t.followed[c.typ] {
		return
	}
	c.judged = c.judged && t.judges(th)
	d := &decoders[c.typ]
	for i := range d.params {
		if d.params[i].exit != nil {
			x.read(d.params[i].exit, &c.params[i])
		}
	}
	if len(d.params) == 0 && len(c.params) == 2 {
		// A call that Falco reports with its number alone.
		c.params[0].Num, c.params[1].Num = int64(c.typ), int64(c.nr)
	}
	t.resolveFDs(&x)
	if d.after != nil {
		d.after(&x)
	}
	if c.fd == nil && ret >= 0 && c.typ.Def().Attrs&event.CreatesFD != 0 {
		if fd := t.fd(th, ret); fd != nil {
			c.fd, c.fdNum = fd, ret
		}
	}
	if t.wanted[c.typ] && !d.silent {
		t.report(th, c)
	}
	if c.typ == event.SysClose && ret == 0 {
		delete(th.proc.FDs, c.arg(0))
	}
}

// resolveFDs finds the descriptors that an event names, so that the handler
// can look them up, and the one that the event is about.
func (t *tracer) resolveFDs(x *decoding) {
	def := x.c.typ.Def()
	uses := def.Attrs&event.UsesFD != 0
	about := aboutParam(x.c.typ, def)
	for i := range def.Params {
		if def.Params[i].Type != event.PFD || x.c.params[i].Null {
			continue
		}
		if i == 0 && def.Attrs&event.CreatesFD != 0 && x.c.ret >= 0 {
			continue // made by the call: found below
		}
		num := x.c.params[i].Num
		if x.c.typ == event.SysClose {
			continue // closed by now, and looked up at the entry
		}
		fd := t.fd(x.th, num)
		if uses && i == about {
			x.c.fd, x.c.fdNum = fd, num
		}
	}
}

// aboutParam tells which parameter holds the descriptor that fd.* fields speak
// of. It is the first one, but for a few calls.
func aboutParam(typ event.Type, def *event.Def) int {
	switch typ {
	case event.SysSplice, event.SysSendfile:
		return 2
	case event.SysFcntl, event.SysDup, event.SysDup2, event.SysDup3:
		return 1
	}
	for i := range def.Params {
		if def.Params[i].Type == event.PFD {
			return i
		}
	}
	return -1
}

// report hands an event to the handler, if it is judged.
func (t *tracer) report(th *thread, c *call) {
	if !c.judged || !t.judgesDescriptor(th.proc, c.fdNum) {
		return
	}
	def := c.typ.Def()
	e := &t.event
	*e = event.Event{
		Num: e.Num + 1, Time: now(), CPU: -1, Type: c.typ, Ret: c.ret, Thread: &th.Thread, Params: c.params,
		FD: c.fd, FDNum: c.fdNum, HasFD: def.Attrs&(event.UsesFD|event.CreatesFD) != 0,
		FDNameChanged: c.nameChanged, OldFDName: c.oldName, World: t.world,
	}
	if t.opts.Handler != nil {
		t.opts.Handler(e)
	}
}
