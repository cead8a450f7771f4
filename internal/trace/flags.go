// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"strconv"

	"golang.org/x/sys/unix"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Falco's encoding of some flags.
const (
	openRDONLY   = 1 << 0
	openTmpfile  = 1 << 13
	openFCreated = 1 << 14
	fdUpperLayer = 1 << 15
	fdLowerLayer = 1 << 16

	exeWritable   = 1 << 0
	exeUpperLayer = 1 << 1
	exeFromMemfd  = 1 << 2
	exeLowerLayer = 1 << 3

	cloneChildInPidns = 1 << 29
)

// bits converts flags: a pair is the kernel's bits, any of which set Falco's.
type bits [][2]uint64

func (table bits) convert(v uint64) (out uint32) {
	for _, pair := range table {
		if v&pair[0] != 0 {
			out |= uint32(pair[1])
		}
	}
	return out
}

var openBits = bits{
	{unix.O_CREAT, 1 << 2}, {unix.O_APPEND, 1 << 3}, {unix.O_DSYNC, 1 << 4}, {unix.O_EXCL, 1 << 5},
	{unix.O_NONBLOCK, 1 << 6}, {unix.O_SYNC, 1 << 7}, {unix.O_TRUNC, 1 << 8}, {openDirect, 1 << 9},
	{openDirectory, 1 << 10}, {openLargefile, 1 << 11}, {unix.O_CLOEXEC, 1 << 12}, {unix.O_TMPFILE, openTmpfile},
}

// openFlags converts the flags of open(2). O_TMPFILE and O_SYNC hold the bits
// of O_DIRECTORY and O_DSYNC, so Falco shows them for those alone too.
func openFlags(v uint64) uint32 {
	out := openBits.convert(v)
	switch v & unix.O_ACCMODE {
	case unix.O_WRONLY:
		return out | 1<<1
	case unix.O_RDWR:
		return out | 1<<1 | openRDONLY
	}
	return out | openRDONLY
}

// openMode is the mode of a file that open(2) may make. Falco's bits for
// permissions are the kernel's.
func openMode(flags, mode uint64) uint32 {
	if flags&(unix.O_CREAT|unix.O_TMPFILE) == 0 {
		return 0
	}
	return modeBits(mode)
}

func modeBits(v uint64) uint32 { return uint32(v & 0o7777) }

func mknodMode(v uint64) uint32 {
	mode := modeBits(v)
	switch v & unix.S_IFMT {
	case 0, unix.S_IFREG:
		return mode | unix.S_IFREG
	case unix.S_IFSOCK, unix.S_IFBLK, unix.S_IFCHR, unix.S_IFIFO:
		return mode | uint32(v&unix.S_IFMT)
	}
	return mode
}

// mknodDev converts the device number as Falco does: as if the argument were
// in the kernel's internal layout of 12 and 20 bits.
func mknodDev(v uint64) uint32 {
	major, minor := uint32(v)>>20, uint32(v)&0xfffff
	return minor&0xff | major<<8 | (minor&^0xff)<<12
}

// resolveCached is RESOLVE_CACHED of linux/openat2.h.
const resolveCached = 0x20

func resolveFlags(v uint64) uint32 {
	return bits{
		{unix.RESOLVE_BENEATH, 1 << 0}, {unix.RESOLVE_IN_ROOT, 1 << 1}, {unix.RESOLVE_NO_MAGICLINKS, 1 << 2},
		{unix.RESOLVE_NO_SYMLINKS, 1 << 3}, {unix.RESOLVE_NO_XDEV, 1 << 4}, {resolveCached, 1 << 5},
	}.convert(v)
}

// What these calls take has the same bits in Falco, of which it knows some.
func statFlags(v uint64) uint32 {
	return uint32(v & (unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH | unix.AT_NO_AUTOMOUNT))
}
func linkFlags(v uint64) uint32   { return uint32(v & (unix.AT_SYMLINK_FOLLOW | unix.AT_EMPTY_PATH)) }
func unlinkFlags(v uint64) uint32 { return uint32(v & unix.AT_REMOVEDIR) }
func accessFlags(v uint64) uint32 { return uint32(v & 7) }
func umountFlags(v uint64) uint32 { return uint32(v & 15) }

func mountFlags(v uint64) uint32 {
	if v&unix.MS_MGC_MSK == unix.MS_MGC_VAL {
		v &^= unix.MS_MGC_MSK
	}
	return uint32(v)
}

var cloneBits = bits{
	{unix.CLONE_FILES, 1 << 0}, {unix.CLONE_FS, 1 << 1}, {unix.CLONE_IO, 1 << 2}, {unix.CLONE_NEWIPC, 1 << 3},
	{unix.CLONE_NEWNET, 1 << 4}, {unix.CLONE_NEWNS, 1 << 5}, {unix.CLONE_NEWPID, 1 << 6}, {unix.CLONE_NEWUTS, 1 << 7},
	{unix.CLONE_PARENT, 1 << 8}, {unix.CLONE_PARENT_SETTID, 1 << 9}, {unix.CLONE_PTRACE, 1 << 10},
	{unix.CLONE_SIGHAND, 1 << 11}, {unix.CLONE_SYSVSEM, 1 << 12}, {unix.CLONE_THREAD, 1 << 13},
	{unix.CLONE_UNTRACED, 1 << 14}, {unix.CLONE_VM, 1 << 15}, {unix.CLONE_NEWUSER, 1 << 20},
	{unix.CLONE_CHILD_CLEARTID, 1 << 23}, {unix.CLONE_CHILD_SETTID, 1 << 24}, {unix.CLONE_SETTLS, 1 << 25},
	{unix.CLONE_VFORK, 1 << 27}, {unix.CLONE_NEWCGROUP, 1 << 28},
}

func cloneFlags(v uint64) uint64 { return uint64(cloneBits.convert(v)) }

func namespaceFlags(v uint64) uint32 { return cloneBits.convert(uint64(uint32(v))) }

func cloexecNonblock(v uint64) uint32 {
	return bits{{unix.O_NONBLOCK, 1 << 6}, {unix.O_CLOEXEC, 1 << 12}}.convert(v)
}

func cloexec(v uint64) uint32 { return bits{{unix.O_CLOEXEC, 1 << 12}}.convert(v) }

func pipeFlags(v uint64) uint32 {
	return bits{{unix.O_CLOEXEC, 1 << 12}, {openDirect, 1 << 9}, {unix.O_NONBLOCK, 1 << 6}}.convert(v)
}

func epollFlags(v uint64) uint32 { return bits{{unix.EPOLL_CLOEXEC, 1}}.convert(v) }
func pidfdFlags(v uint64) uint32 { return bits{{unix.O_NONBLOCK, 1}}.convert(v) }
func memfdFlags(v uint64) uint32 { return uint32(v & 7) }
func splitFlags(v uint64) uint32 { return uint32(v & 15) }

func flockFlags(v uint64) uint32 {
	return bits{{unix.LOCK_SH, 1}, {unix.LOCK_EX, 2}, {unix.LOCK_NB, 4}, {unix.LOCK_UN, 8}}.convert(v)
}

func protFlags(v uint64) uint32 {
	const growsDown, growsUp = 0x01000000, 0x02000000
	return bits{
		{unix.PROT_READ, 1}, {unix.PROT_WRITE, 2}, {unix.PROT_EXEC, 4}, {8, 8}, {growsDown, 16}, {growsUp, 32},
	}.convert(v)
}

func mmapFlags(v uint64) uint32 {
	return bits{
		{unix.MAP_SHARED, 1 << 0}, {unix.MAP_PRIVATE, 1 << 1}, {unix.MAP_FIXED, 1 << 2}, {unix.MAP_ANONYMOUS, 1 << 3},
		{map32Bit, 1 << 4}, {unix.MAP_NORESERVE, 1 << 6}, {unix.MAP_POPULATE, 1 << 7}, {unix.MAP_NONBLOCK, 1 << 8},
		{unix.MAP_GROWSDOWN, 1 << 9}, {unix.MAP_DENYWRITE, 1 << 10}, {unix.MAP_EXECUTABLE, 1 << 11},
		{unix.MAP_LOCKED, 1 << 14},
	}.convert(v)
}

// map32Bit is MAP_32BIT, which only x86 has.
const map32Bit = 0x40

func futexOp(v uint64) uint32 {
	op := uint32(v)
	out := op & 127
	if out > 12 {
		out = 0
	}
	return out | op&(128|256)
}

func whence(v uint64) uint32 {
	if v > 2 {
		return 0
	}
	return uint32(v)
}

func shutdownHow(v uint64) uint32 {
	if v > 2 {
		return 0xff // Falco keeps 8 bits of its 0xffff
	}
	return uint32(v)
}

func rlimitResource(v uint64) uint32 {
	if uint32(v) > 15 {
		return 255
	}
	return uint32(v)
}

var fcntlCmds = map[uint64]uint32{
	unix.F_DUPFD: 1, unix.F_GETFD: 2, unix.F_SETFD: 3, unix.F_GETFL: 4, unix.F_SETFL: 5, unix.F_GETLK: 6,
	unix.F_SETLK: 8, unix.F_SETLKW: 9, unix.F_SETOWN: 10, unix.F_GETOWN: 12, unix.F_SETSIG: 13, unix.F_GETSIG: 15,
	unix.F_SETOWN_EX: 21, unix.F_GETOWN_EX: 22, unix.F_SETLEASE: 23, unix.F_GETLEASE: 24,
	unix.F_DUPFD_CLOEXEC: 26, unix.F_NOTIFY: 27, unix.F_SETPIPE_SZ: 28, unix.F_GETPIPE_SZ: 29,
	unix.F_OFD_GETLK: 30, unix.F_OFD_SETLK: 31, unix.F_OFD_SETLKW: 32,
	fCancelLk: 25,
}

// fCancelLk is F_CANCELLK of linux/fcntl.h.
const fCancelLk = 1029

func fcntlCmd(v uint64) uint32 { return fcntlCmds[uint64(uint32(v))] }

func sockDomain(v uint64) uint32 { return uint32(uint8(v)) }

func sockLevel(v uint64) uint32 {
	switch int32(v) {
	case unix.SOL_SOCKET:
		return 1
	case unix.SOL_TCP:
		return 2
	}
	return 0
}

// sockOptions are the options of SOL_SOCKET in Falco's numbers.
var sockOptions = map[uint64]uint32{
	unix.SO_DEBUG: 1, unix.SO_REUSEADDR: 2, unix.SO_TYPE: 3, unix.SO_ERROR: 4, unix.SO_DONTROUTE: 5,
	unix.SO_BROADCAST: 6, unix.SO_SNDBUF: 7, unix.SO_RCVBUF: 8, unix.SO_SNDBUFFORCE: 32, unix.SO_RCVBUFFORCE: 33,
	unix.SO_KEEPALIVE: 9, unix.SO_OOBINLINE: 10, unix.SO_NO_CHECK: 11, unix.SO_PRIORITY: 12, unix.SO_LINGER: 13,
	unix.SO_BSDCOMPAT: 14, unix.SO_REUSEPORT: 15, unix.SO_PASSCRED: 16, unix.SO_PEERCRED: 17, unix.SO_RCVLOWAT: 18,
	unix.SO_SNDLOWAT: 19, unix.SO_RCVTIMEO: 20, unix.SO_RCVTIMEO_NEW: 20, unix.SO_SNDTIMEO: 21,
	unix.SO_SNDTIMEO_NEW: 21, unix.SO_SECURITY_AUTHENTICATION: 22, unix.SO_SECURITY_ENCRYPTION_TRANSPORT: 23,
	unix.SO_SECURITY_ENCRYPTION_NETWORK: 24, unix.SO_BINDTODEVICE: 25, unix.SO_ATTACH_FILTER: 26,
	unix.SO_DETACH_FILTER: 27, unix.SO_PEERNAME: 28, unix.SO_TIMESTAMP: 29, unix.SO_ACCEPTCONN: 30,
	unix.SO_PEERSEC: 31, unix.SO_PASSSEC: 34, unix.SO_TIMESTAMPNS: 35, unix.SO_MARK: 36, unix.SO_TIMESTAMPING: 37,
	unix.SO_PROTOCOL: 38, unix.SO_DOMAIN: 39, unix.SO_RXQ_OVFL: 40, unix.SO_WIFI_STATUS: 41, unix.SO_PEEK_OFF: 42,
	unix.SO_NOFCS: 43, unix.SO_LOCK_FILTER: 44, unix.SO_SELECT_ERR_QUEUE: 45, unix.SO_BUSY_POLL: 46,
	unix.SO_MAX_PACING_RATE: 47, unix.SO_BPF_EXTENSIONS: 48, unix.SO_INCOMING_CPU: 49, unix.SO_ATTACH_BPF: 50,
	unix.SO_PEERGROUPS: 51, unix.SO_MEMINFO: 52, unix.SO_COOKIE: 53,
}

func sockOption(level, option uint64) uint32 {
	if int32(level) != unix.SOL_SOCKET {
		return 0
	}
	return sockOptions[uint64(uint32(option))]
}

// ptraceRequests are the requests of ptrace(2) in Falco's numbers.
var ptraceRequests = map[uint64]uint32{
	unix.PTRACE_TRACEME: 1, unix.PTRACE_PEEKTEXT: 2, unix.PTRACE_PEEKDATA: 3, unix.PTRACE_PEEKUSR: 4,
	unix.PTRACE_POKETEXT: 5, unix.PTRACE_POKEDATA: 6, unix.PTRACE_POKEUSR: 7, unix.PTRACE_CONT: 8,
	unix.PTRACE_KILL: 9, unix.PTRACE_SINGLESTEP: 10, unix.PTRACE_ATTACH: 11, unix.PTRACE_DETACH: 12,
	unix.PTRACE_SYSCALL: 13, unix.PTRACE_SETOPTIONS: 14, unix.PTRACE_GETEVENTMSG: 15, unix.PTRACE_GETSIGINFO: 16,
	unix.PTRACE_SETSIGINFO: 17, unix.PTRACE_GETREGSET: 18, unix.PTRACE_SETREGSET: 19, unix.PTRACE_SEIZE: 20,
	unix.PTRACE_INTERRUPT: 21, unix.PTRACE_LISTEN: 22, unix.PTRACE_PEEKSIGINFO: 23, unix.PTRACE_GETSIGMASK: 24,
	unix.PTRACE_SETSIGMASK: 25,
}

func ptraceRequest(v uint64) uint32 {
	if goarch == "amd64" {
		if n, ok := ptraceRequestsX86[v]; ok {
			return n
		}
	}
	return ptraceRequests[v]
}

// ptraceRequestsX86 are those that only x86 has.
var ptraceRequestsX86 = map[uint64]uint32{
	12: 26, 13: 27, 14: 28, 15: 29, 18: 30, 19: 31, 21: 32, 25: 33, 26: 34, 30: 35, 31: 36, 32: 37, 33: 38,
}

var pollBits = bits{
	{unix.POLLIN, 1 << 0}, {unix.POLLPRI, 1 << 1}, {unix.POLLOUT, 1 << 2}, {unix.POLLRDHUP, 1 << 3},
	{unix.POLLERR, 1 << 4}, {unix.POLLHUP, 1 << 5}, {unix.POLLNVAL, 1 << 6}, {pollRDNORM, 1 << 7},
	{pollRDBAND, 1 << 8}, {pollWRNORM, 1 << 9}, {pollWRBAND, 1 << 10},
}

// Of poll(2), with names that x/sys/unix lacks.
const (
	pollRDNORM = 0x40
	pollRDBAND = 0x80
	pollWRNORM = 0x100
	pollWRBAND = 0x200
)

func semopFlags(v uint64) uint32 {
	const nowait, undo = 0o4000, 0x1000
	return bits{{nowait, 1}, {undo, 2}}.convert(v)
}

func semgetFlags(v uint64) uint32 {
	const creat, excl = 0o1000, 0o2000
	return bits{{creat, 1 << 13}, {excl, 1 << 14}}.convert(v)
}

func semctlCmd(v uint64) uint32 {
	switch uint16(v) {
	case 0: // IPC_RMID
		return 1 << 2
	case 1: // IPC_SET
		return 1 << 1
	case 2: // IPC_STAT
		return 1 << 0
	case 3: // IPC_INFO
		return 1 << 3
	case 11: // GETPID
		return 1 << 8
	case 12: // GETVAL
		return 1 << 9
	case 13: // GETALL
		return 1 << 6
	case 14: // GETNCNT
		return 1 << 7
	case 15: // GETZCNT
		return 1 << 10
	case 16: // SETVAL
		return 1 << 12
	case 17: // SETALL
		return 1 << 11
	case 18: // SEM_STAT
		return 1 << 5
	case 19: // SEM_INFO
		return 1 << 4
	}
	return 0
}

func deleteModuleFlags(v uint64) uint32 {
	return bits{{unix.O_TRUNC, 1}, {unix.O_NONBLOCK, 2}}.convert(v)
}

func lowBits(mask uint64) func(uint64) uint32 {
	return func(v uint64) uint32 { return uint32(v & mask) }
}

func same32(v uint64) uint32 { return uint32(v) }

// Quota commands, of linux/quota.h and linux/dqblk_xfs.h, in Falco's numbers.
var quotaCmds = map[uint32]uint32{
	0x800001: 1 << 7, 0x800002: 1 << 0, 0x800003: 1 << 1, 0x800004: 1 << 2, 0x800005: 1 << 3, 0x800006: 1 << 4,
	0x800007: 1 << 5, 0x800008: 1 << 6,
	0x5801: 1 << 8, 0x5802: 1 << 9, 0x5803: 1 << 10, 0x5804: 1 << 11, 0x5805: 1 << 12, 0x5806: 1 << 13, 0x5807: 1 << 14,
}

func quotaFormat(v uint32) uint32 {
	switch v {
	case 1:
		return 1 << 1
	case 2:
		return 1 << 2
	case 4:
		return 1 << 3
	}
	return 1 << 0
}
