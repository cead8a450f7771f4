// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

// otherDecoders are the calls about memory, modules, and the rest.
func otherDecoders() map[event.Type]decoder {
	// Falco keeps what these calls tell of the process's memory.
	memory := func(what func(m *memorySize) uint64) param {
		return atExit(func(x *decoding) int64 { return int64(what(x.memory())) })
	}
	size := memory(func(m *memorySize) uint64 { return m.size })
	rss := memory(func(m *memorySize) uint64 { return m.rss })
	swap := memory(func(m *memorySize) uint64 { return m.swap })
	keep := func(x *decoding) {
		m := x.memory()
		x.th.proc.VMSize, x.th.proc.VMRSS, x.th.proc.VMSwap = m.size, m.rss, m.swap
	}
	mmap := decoder{
		params: []param{res, size, rss, swap, u64(0), u64(1), flags(2, protFlags), flags(3, mmapFlags), i32(4), u64(5)},
		after:  keep,
	}
	uring := func(offset uint64, convert func(uint64) uint32) param {
		return atExit(func(x *decoding) int64 {
			n, _ := x.t.u32(x.th.tid, x.c.args[1]+offset)
			return int64(convert(uint64(n)))
		})
	}
	sembuf := func(i, member uint64, convert func(uint16) int64) param {
		return atExit(func(x *decoding) int64 {
			if x.c.ret != 0 || uint64(uint32(x.c.args[2])) <= i {
				return 0
			}
			b, ok := x.t.bytes(x.th.tid, x.c.args[1]+i*6+member*2, 2)
			if !ok {
				return 0
			}
			return convert(binary.NativeEndian.Uint16(b))
		})
	}
	unsigned := func(v uint16) int64 { return int64(v) }
	signed := func(v uint16) int64 { return int64(int16(v)) }
	semFlags := func(v uint16) int64 { return int64(semopFlags(uint64(v))) }

	return map[event.Type]decoder{
		event.SysBrk:        {params: []param{res, size, rss, swap, u64(0)}, after: keep},
		event.SysMmap:       mmap,
		event.SysMmap2:      mmap,
		event.SysMunmap:     {params: []param{res, size, rss, swap, u64(0), u64(1)}, after: keep},
		event.SysMprotect:   {params: []param{res, u64(0), u64(1), flags(2, protFlags)}},
		event.SysMlock:      {params: []param{res, u64(0), u64(1)}},
		event.SysMunlock:    {params: []param{res, u64(0), u64(1)}},
		event.SysMlock2:     {params: []param{res, u64(0), u64(1), flags(2, lowBits(1))}},
		event.SysMlockall:   {params: []param{res, flags(0, lowBits(7))}},
		event.SysMunlockall: {params: []param{res}},

		event.SysFutex: {params: []param{res, u64(0), flags(1, futexOp), u64(2)}},
		event.SysNanosleep: {params: []param{res, {entry: func(x *decoding, p *event.Param) {
			p.Num = x.timespec(x.c.args[0])
		}}}},
		event.SysSemop: {params: []param{
			res, u32(2), sembuf(0, 0, unsigned), sembuf(0, 1, signed), sembuf(0, 2, semFlags),
			sembuf(1, 0, unsigned), sembuf(1, 1, signed), sembuf(1, 2, semFlags), i32(0),
		}},
		event.SysSemget: {params: []param{res, i32(0), i32(1), flags(2, semgetFlags)}},
		event.SysSemctl: {params: []param{res, i32(0), i32(1), flags(2, semctlCmd), atExit(func(x *decoding) int64 {
			const setval = 16
			if uint16(x.c.args[2]) == setval {
				return x.c.arg(3)
			}
			return 0
		})}},

		event.SysBpf: {params: []param{res, flags(0, same32)}},
		event.SysFsconfig: {params: []param{
			res, i32(0), flags(1, same32), str(2),
			{exit: func(x *decoding, p *event.Param) {
				if p.Null = true; x.c.ret >= 0 && uint32(x.c.args[1]) == unix.FSCONFIG_SET_BINARY {
					if b, ok := x.t.bytes(x.th.tid, x.c.args[3], int(uint16(x.c.args[4]))); ok {
						p.Str, p.Null = string(b), false
					}
				}
			}},
			{exit: func(x *decoding, p *event.Param) {
				p.Null = true
				switch uint32(x.c.args[1]) {
				case unix.FSCONFIG_SET_STRING, unix.FSCONFIG_SET_PATH, unix.FSCONFIG_SET_PATH_EMPTY:
					if x.c.ret >= 0 {
						x.readString(p, x.c.args[3])
					}
				}
			}},
			i32(4),
		}},
		event.SysInitModule: {params: []param{
			res,
			{exit: func(x *decoding, p *event.Param) { x.data(p, x.c.args[0], int64(uint16(x.c.args[1]))) }},
			u64(1), str(2),
		}},
		event.SysFinitModule:  {params: []param{res, i32(0), str(1), flags(2, lowBits(7))}},
		event.SysDeleteModule: {params: []param{res, str(0), flags(1, deleteModuleFlags)}},

		event.SysProcessVmReadv:  {params: []param{res, pidArg(0), vmData}},
		event.SysProcessVmWritev: {params: []param{res, pidArg(0), vmData}},

		// The offsets are those of struct io_uring_params.
		event.SysIoUringSetup: {params: []param{
			res, u32(0), uring(0, same32), uring(4, same32), uring(8, uringSetup), uring(12, same32), uring(16, same32),
			uring(20, lowBits(0x7ff)),
		}},
		event.SysIoUringEnter: {params: []param{
			res, i32(0), u32(1), u32(2), flags(3, lowBits(0xf)), u32(4),
		}},
		event.SysIoUringRegister: {params: []param{res, i32(0), flags(1, lowBits(0xffff)), u64(2), u32(3)}},
	}
}

// uringSetup converts the flags of io_uring_setup: Falco has one bit of
// another set among them.
func uringSetup(v uint64) uint32 {
	return bits{
		{1 << 0, 1<<0 | 1<<2}, {1 << 1, 1 << 1}, {1 << 2, 1 << 3}, {1 << 3, 1 << 4}, {1 << 4, 1 << 5}, {1 << 5, 1 << 6},
		{1 << 6, 1 << 7},
	}.convert(v)
}

// vmData is the caller's side of what went from or to another process.
var vmData = param{exit: func(x *decoding, p *event.Param) {
	if p.Null = true; x.c.ret > 0 {
		p.Null = false
		x.vectorData(p, x.c.args[1], x.c.args[2], x.c.ret)
	}
}}

// memory reads what the process uses, once a call.
func (x *decoding) memory() *memorySize {
	if x.c.mem == nil {
		m := x.t.memory(x.th.TID)
		x.c.mem = &m
	}
	return x.c.mem
}

// quotactl decodes quotactl(2), whose last argument depends on the command.
func quotactl() decoder {
	// In Falco's numbers.
	const (
		quotaOn  = 1 << 0
		getFmt   = 1 << 2
		getInfo  = 1 << 3
		setInfo  = 1 << 4
		getQuota = 1 << 5
		setQuota = 1 << 6
		xGet     = 1 << 10
		xSet     = 1 << 11
	)
	// Bits of dqb_valid and dqi_valid.
	const (
		blockLimits, space, inodeLimits, blockTime, inodeTime = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 5
		blockGrace, inodeGrace, infoFlags                     = 1 << 0, 1 << 1, 1 << 2
	)
	cmd := func(x *decoding) uint32 { return quotaCmds[uint32(x.c.args[0])>>8] }
	quota := func(i, valid uint64) param {
		return atExit(func(x *decoding) int64 {
			if c := cmd(x); c != getQuota && c != setQuota {
				return 0
			}
			if v, _ := x.t.u32(x.th.tid, x.c.args[3]+8*8); uint64(v)&valid == 0 {
				return 0
			}
			n, _ := x.t.u64(x.th.tid, x.c.args[3]+i*8)
			return int64(n)
		})
	}
	info := func(offset, valid uint64, size int) param {
		return atExit(func(x *decoding) int64 {
			if c := cmd(x); c != getInfo && c != setInfo {
				return 0
			}
			if v, _ := x.t.u32(x.th.tid, x.c.args[3]+20); uint64(v)&valid == 0 {
				return 0
			}
			if size == 4 {
				n, _ := x.t.u32(x.th.tid, x.c.args[3]+offset)
				return int64(uint8(n))
			}
			n, _ := x.t.u64(x.th.tid, x.c.args[3]+offset)
			return int64(n)
		})
	}
	return decoder{params: []param{
		res, str(1),
		{entry: func(x *decoding, p *event.Param) {
			if p.Null = true; cmd(x) == quotaOn {
				x.readString(p, x.c.args[3])
			}
		}},
		quota(0, blockLimits), quota(1, blockLimits), quota(2, space), quota(3, inodeLimits), quota(4, inodeLimits),
		quota(6, blockTime), quota(7, inodeTime),
		info(0, blockGrace, 8), info(8, inodeGrace, 8), info(16, infoFlags, 4),
		atExit(func(x *decoding) int64 {
			if cmd(x) != getFmt {
				return int64(quotaFormat(0))
			}
			n, _ := x.t.u32(x.th.tid, x.c.args[3])
			return int64(quotaFormat(n))
		}),
		atExit(func(x *decoding) int64 { return int64(cmd(x)) }),
		atExit(func(x *decoding) int64 {
			if typ := x.c.args[0] & 0xff; typ < 2 {
				return int64(1 + typ)
			}
			return 0
		}),
		atExit(func(x *decoding) int64 {
			switch cmd(x) {
			case getQuota, setQuota, xGet, xSet:
				return int64(uint32(x.c.args[2]))
			}
			return 0
		}),
		atExit(func(x *decoding) int64 {
			if cmd(x) != quotaOn {
				return int64(quotaFormat(0))
			}
			return int64(quotaFormat(uint32(x.c.args[2])))
		}),
	}}
}
