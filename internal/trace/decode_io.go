// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"

	"github.com/falcotest/go-falcotest/internal/event"
)

// ioDecoders are the calls that move data, and those that make, copy and
// control descriptors.
func ioDecoders() map[event.Type]decoder {
	// The vector calls report their result a second time, as the size.
	readSize := atExit(func(x *decoding) int64 { return max(0, x.c.ret) })
	readVec := param{exit: func(x *decoding, p *event.Param) {
		if p.Null = true; x.c.ret > 0 {
			p.Null = false
			x.vectorData(p, x.c.args[1], x.c.args[2], x.c.ret)
		}
	}}
	writeVec := param{exit: func(x *decoding, p *event.Param) {
		limit := int64(x.t.opts.SnapLen)
		if x.c.ret > 0 {
			limit = x.c.ret
		}
		x.vectorData(p, x.c.args[1], x.c.args[2], limit)
	}}
	writeVecSize := atExit(func(x *decoding) int64 { return x.vectorSize(x.c.args[1], x.c.args[2]) })
	pair := func(i int) param {
		return atExit(func(x *decoding) int64 { return x.fdPair(x.c.args[0], i) })
	}
	pipeIno := atExit(func(x *decoding) int64 {
		if fd := x.t.fd(x.th, x.fdPair(x.c.args[0], 0)); x.c.ret == 0 && fd != nil {
			return int64(fd.Ino)
		}
		return 0
	})
	second := func(x *decoding) {
		if x.c.ret == 0 {
			x.c.fdNum = x.c.params[2].Num
			x.c.fd = x.t.fd(x.th, x.c.fdNum)
		}
	}
	return map[event.Type]decoder{
		event.SysClose: {params: []param{res, i32(0)}, enter: func(x *decoding) {
			x.c.fdNum = x.c.arg(0)
			x.c.fd = x.t.fd(x.th, x.c.fdNum)
		}},
		event.SysRead:    {params: []param{res, readBuf(1, false), i32(0), u32(2)}},
		event.SysWrite:   {params: []param{res, writeBuf(1, 2), i32(0), u32(2)}},
		event.SysPread:   {params: []param{res, readBuf(1, false), i32(0), u32(2), u64(3)}},
		event.SysPwrite:  {params: []param{res, writeBuf(1, 2), i32(0), u32(2), u64(3)}},
		event.SysReadv:   {params: []param{res, readSize, readVec, i32(0)}},
		event.SysPreadv:  {params: []param{res, readSize, readVec, i32(0), u64(3)}},
		event.SysWritev:  {params: []param{res, writeVec, i32(0), writeVecSize}},
		event.SysPwritev: {params: []param{res, writeVec, i32(0), writeVecSize, u64(3)}},
		event.SysLseek:   {params: []param{res, i32(0), u64(1), flags(2, whence)}},
		event.SysLlseek: {params: []param{res, i32(0), atExit(func(x *decoding) int64 {
			return int64(x.c.args[1]<<32 + x.c.args[2])
		}), flags(3, whence)}},
		event.SysSendfile: {params: []param{res, atExit(func(x *decoding) int64 {
			offset, _ := x.c.word(x.t, x.th.tid, x.c.args[2])
			return int64(offset)
		}), i32(0), i32(1), u64(3)}},
		event.SysSplice:        {params: []param{res, i32(0), i32(2), u64(4), flags(5, splitFlags)}},
		event.SysCopyFileRange: {params: []param{res, i32(2), u64(3), i32(0), u64(1), u64(4)}},
		event.SysIoctl:         {params: []param{res, i32(0), u64(1), u64(2)}},
		event.SysFlock:         {params: []param{res, i32(0), flags(1, flockFlags)}},
		event.SysGetdents:      {params: []param{res, i32(0)}},
		event.SysGetdents64:    {params: []param{res, i32(0)}},
		event.SysFcntl: {params: []param{res, i32(0), flags(1, fcntlCmd)}, after: func(x *decoding) {
			if cmd := x.c.params[2].Num; x.c.ret >= 0 && (cmd == int64(fcntlCmds[0]) || cmd == 26) {
				x.copied()
			}
		}},
		event.SysDup:  {params: []param{res32, i32(0)}, after: (*decoding).copied},
		event.SysDup2: {params: []param{res32, i32(0), i32(1)}, after: (*decoding).copied},
		event.SysDup3: {params: []param{res32, i32(0), i32(1), flags(2, cloexec)}, after: (*decoding).copied},

		event.SysPipe:          {params: []param{res, pair(0), pair(1), pipeIno}, after: second},
		event.SysPipe2:         {params: []param{res, pair(0), pair(1), pipeIno, flags(1, pipeFlags)}, after: second},
		event.SysEventfd:       {params: []param{res, u64(0), constant(0)}},
		event.SysEventfd2:      {params: []param{res, flags(1, cloexecNonblock), u32(0)}},
		event.SysSignalfd:      {params: []param{res, i32(0), constant(0), constant(0)}},
		event.SysSignalfd4:     {params: []param{res32, flags(3, cloexecNonblock), i32(0), constant(0)}},
		event.SysTimerfdCreate: {params: []param{res, constant(0), constant(0)}},
		event.SysInotifyInit:   {params: []param{res, constant(0)}},
		event.SysInotifyInit1:  {params: []param{res, flags(0, cloexecNonblock)}},
		event.SysEpollCreate:   {params: []param{res, i32(0)}},
		event.SysEpollCreate1:  {params: []param{res, flags(0, epollFlags)}},
		event.SysUserfaultfd:   {params: []param{res, u32(0)}},
		event.SysMemfdCreate: {params: []param{res, str(0), flags(1, memfdFlags)}, after: func(x *decoding) {
			x.made(event.FDMemfd, x.c.params[1].Str)
		}},
		event.SysPidfdOpen: {params: []param{res, pidArg(0), flags(1, pidfdFlags)}, after: func(x *decoding) {
			x.made(event.FDPidfd, "/proc/"+itoa(x.c.params[1].Num))
		}},
		event.SysPidfdGetfd: {params: []param{res, i32(0), i32(1), u32(2)}},

		event.SysEpollWait: {params: []param{res, i32(2)}},
		event.SysSelect:    {params: []param{res}},
		event.SysPoll:      {params: []param{res, pollList, atExit(func(x *decoding) int64 { return int64(uint32(x.c.args[2])) })}},
		event.SysPpoll: {params: []param{res, pollList, atExit(func(x *decoding) int64 { return x.timespec(x.c.args[2]) }),
			atExit(func(x *decoding) int64 { mask, _ := x.t.u32(x.th.tid, x.c.args[3]); return int64(mask) })}},
	}
}

// fdPair reads one of two descriptors that a call has written.
func (x *decoding) fdPair(addr uint64, i int) int64 {
	n, ok := x.t.u32(x.th.tid, addr+uint64(i)*4)
	if !ok {
		return -1
	}
	return int64(int32(n))
}

// copied notes that a call has copied a descriptor: the event speaks of the
// copy.
func (x *decoding) copied() {
	if x.c.ret >= 0 {
		if fd := x.t.fd(x.th, x.c.ret); fd != nil {
			x.c.fd, x.c.fdNum = fd, x.c.ret
		}
	}
}

// made records a descriptor that a call has made under a name of its own.
func (x *decoding) made(typ event.FDType, name string) {
	if x.c.ret < 0 {
		return
	}
	fd := &event.FD{Num: x.c.ret, Type: typ, Name: name, NameRaw: name, Flags: uint32(x.c.params[2].Num)}
	x.c.fd, x.c.fdNum = x.t.setFD(x.th, fd), fd.Num
}

// pollList are the descriptors that poll has looked at, with what came of it.
var pollList = param{exit: func(x *decoding, p *event.Param) {
	const size, maxFDs = 8, 16
	n := int(min(uint32(x.c.args[1]), maxFDs))
	b, ok := x.t.bytes(x.th.tid, x.c.args[0], n*size)
	if !ok {
		return
	}
	p.List = make([]event.FDPoll, n)
	for i := range n {
		p.List[i] = event.FDPoll{
			FD:    int64(int32(binary.NativeEndian.Uint32(b[i*size:]))),
			Flags: pollBits.convert(uint64(binary.NativeEndian.Uint16(b[i*size+6:]))),
		}
	}
	for _, fd := range p.List {
		x.t.fd(x.th, fd.FD)
	}
}}
