// SPDX-License-Identifier: Apache-2.0

package event

import "runtime"

// The functions of this file turn arguments of Linux system calls into Falco's
// own encoding (PPM_… in its driver), which is what evt.rawarg tells and what
// the names in the table belong to. The facts are those of the driver of Falco
// 0.43.1, with its oddities: O_DIRECTORY also sets O_TMPFILE, and O_DSYNC sets
// O_SYNC, because it compares whole masks.

type bit struct{ native, falco uint32 }

func bits(native uint32, table []bit) uint32 {
	var f uint32
	for _, b := range table {
		if native&b.native != 0 {
			f |= b.falco
		}
	}
	return f
}

func enum(native uint32, table []bit, unknown uint32) uint32 {
	for _, b := range table {
		if native == b.native {
			return b.falco
		}
	}
	return unknown
}

// Flags of descriptors and open, in Falco's encoding.
const (
	ORdonly    = 1 << 0
	OWronly    = 1 << 1
	OCreat     = 1 << 2
	OAppend    = 1 << 3
	ODsync     = 1 << 4
	OExcl      = 1 << 5
	ONonblock  = 1 << 6
	OSync      = 1 << 7
	OTrunc     = 1 << 8
	ODirect    = 1 << 9
	ODirectory = 1 << 10
	OLargefile = 1 << 11
	OCloexec   = 1 << 12
	OTmpfile   = 1 << 13
	OFCreated  = 1 << 14 // the call created the file
	UpperLayer = 1 << 15 // the file is in the upper layer of an overlay
	LowerLayer = 1 << 16

	CreatUpperLayer = 1 << 0 // the same in creat's creat_flags
	CreatLowerLayer = 1 << 1
)

// Flags of clone, in Falco's encoding.
const (
	CloneFiles      = 1 << 0
	CloneNewPID     = 1 << 6
	CloneParent     = 1 << 8
	CloneThread     = 1 << 13
	CloneVM         = 1 << 15
	CloneVfork      = 1 << 27
	CloneChildPIDNS = 1 << 29 // the child is not in the initial pid namespace
)

// Native flags that differ between architectures.
var nativeDirect, nativeDirectory, nativeLargefile = func() (uint32, uint32, uint32) {
	if runtime.GOARCH == "arm64" {
		return 0o200000, 0o40000, 0o400000
	}
	return 0o40000, 0o200000, 0o100000
}()

var openBits = []bit{
	{0o100, OCreat}, {0o20000000 | nativeDirectory, OTmpfile}, {0o2000, OAppend}, {0o10000, ODsync}, {0o200, OExcl},
	{0o4000, ONonblock}, {0o4010000, OSync}, {0o1000, OTrunc}, {nativeDirect, ODirect}, {nativeDirectory, ODirectory},
	{nativeLargefile, OLargefile}, {0o2000000, OCloexec},
}

// OpenFlags converts the flags of open.
func OpenFlags(native uint32) uint32 {
	f := bits(native, openBits)
	switch native & 3 {
	case 1:
		return f | OWronly
	case 2:
		return f | ORdonly | OWronly
	}
	return f | ORdonly
}

// OpenMode converts the mode of open, which counts only where the flags (as
// the kernel has them) may create a file.
func OpenMode(flags, mode uint32) uint32 {
	if flags&(0o100|0o20000000|nativeDirectory) == 0 {
		return 0
	}
	return mode & 0o7777
}

// DescriptorFlags converts the flags of pipe2, dup3, inotify_init1, eventfd2
// and signalfd4, of which Falco reports O_NONBLOCK and O_CLOEXEC. A negative
// argument has none.
func DescriptorFlags(native int32) uint32 {
	if native < 0 {
		return 0
	}
	return bits(uint32(native), []bit{{0o4000, ONonblock}, {0o2000000, OCloexec}})
}

// ResolveFlags converts the resolve member of openat2's how.
func ResolveFlags(native uint32) uint32 {
	return bits(native, []bit{{0x1, 1 << 4}, {0x2, 1 << 2}, {0x4, 1 << 3}, {0x8, 1 << 0}, {0x10, 1 << 1}, {0x20, 1 << 5}})
}

var cloneBits = []bit{
	{0x400, CloneFiles}, {0x200, 1 << 1}, {0x80000000, 1 << 2}, {0x08000000, 1 << 3}, {0x40000000, 1 << 4},
	{0x00020000, 1 << 5}, {0x20000000, CloneNewPID}, {0x04000000, 1 << 7}, {0x00100000, 1 << 9}, {0x8000, CloneParent},
	{0x2000, 1 << 10}, {0x800, 1 << 11}, {0x40000, 1 << 12}, {0x10000, CloneThread}, {0x00800000, 1 << 14},
	{0x100, CloneVM}, {0x10000000, 1 << 20}, {0x00200000, 1 << 23}, {0x01000000, 1 << 24}, {0x80000, 1 << 25},
	{0x4000, CloneVfork}, {0x02000000, 1 << 28},
}

// CloneFlags converts the flags of clone, unshare and setns.
func CloneFlags(native uint32) uint32 { return bits(native, cloneBits) }

// ProtFlags converts the protection of mmap and mprotect.
func ProtFlags(native uint32) uint32 {
	return bits(native, []bit{{1, 1}, {2, 2}, {4, 4}, {8, 8}, {0x01000000, 1 << 4}, {0x02000000, 1 << 5}})
}

var mmapBits = []bit{
	{0x01, 1 << 0}, {0x02, 1 << 1}, {0x10, 1 << 2}, {0x20, 1 << 3}, {0x4000, 1 << 6}, {0x8000, 1 << 7}, {0x10000, 1 << 8},
	{0x0100, 1 << 9}, {0x0800, 1 << 10}, {0x1000, 1 << 11}, {0x2000, 1 << 14},
}

// MmapFlags converts the flags of mmap.
func MmapFlags(native uint32) uint32 {
	f := bits(native, mmapBits)
	if runtime.GOARCH == "amd64" && native&0x40 != 0 {
		f |= 1 << 4 // MAP_32BIT
	}
	return f
}

var fcntlCmds = []bit{
	{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 8}, {7, 9}, {8, 10}, {9, 12}, {10, 13}, {11, 15}, {15, 21}, {16, 22},
	{1024, 23}, {1025, 24}, {1029, 25}, {1030, 26}, {1026, 27}, {1031, 28}, {1032, 29}, {36, 30}, {37, 31}, {38, 32},
}

// FcntlCmd converts the command of fcntl.
func FcntlCmd(native uint32) uint32 { return enum(native, fcntlCmds, 0) }

// SockoptLevel converts the level of setsockopt and getsockopt.
func SockoptLevel(native int32) uint32 {
	return enum(uint32(native), []bit{{1, 1}, {6, 2}}, 0)
}

// SockoptName converts the option of setsockopt and getsockopt. Falco names
// those of SOL_SOCKET only.
func SockoptName(level, native int32) uint32 {
	if level != 1 {
		return 0
	}
	switch n := uint32(native); {
	case n >= 1 && n <= 31:
		return n
	case n == 32 || n == 33: // SO_SNDBUFFORCE, SO_RCVBUFFORCE
		return n
	case n >= 34 && n <= 52: // SO_PASSSEC … SO_ATTACH_BPF …
		return sockoptFrom34(n)
	case n == 55: // SO_MEMINFO
		return 52
	case n == 57: // SO_COOKIE
		return 53
	case n == 59: // SO_PEERGROUPS
		return 51
	case n == 66: // SO_RCVTIMEO_NEW
		return 20
	case n == 67: // SO_SNDTIMEO_NEW
		return 21
	}
	return 0
}

func sockoptFrom34(n uint32) uint32 {
	if n <= 50 { // the kernel's numbers are Falco's up to SO_ATTACH_BPF
		return n
	}
	return 0
}

// PollEvents converts the events of poll.
func PollEvents(native uint16) uint32 {
	return bits(uint32(native), []bit{
		{0x1, 1 << 0}, {0x2, 1 << 1}, {0x4, 1 << 2}, {0x2000, 1 << 3}, {0x8, 1 << 4}, {0x10, 1 << 5}, {0x20, 1 << 6},
		{0x40, 1 << 7}, {0x80, 1 << 8}, {0x100, 1 << 9}, {0x200, 1 << 10},
	})
}

// FutexOp converts the operation of futex.
func FutexOp(native uint32) uint32 {
	op := native & 127
	if op > 12 {
		op = 0
	}
	return op | native&(128|256)
}

// AccessMode converts the mode of access; none (F_OK) is 0.
func AccessMode(native uint32) uint32 { return native & 7 }

// RlimitResource converts the resource of getrlimit, setrlimit and prlimit.
func RlimitResource(native uint32) uint32 {
	if native > 15 {
		return 255
	}
	return native
}

// ShutdownHow converts the second argument of shutdown.
func ShutdownHow(native uint32) uint32 {
	if native > 2 {
		return 0xff
	}
	return native
}

// SeekWhence converts the whence of lseek.
func SeekWhence(native uint32) uint32 {
	if native > 2 {
		return 0
	}
	return native
}

// FlockFlags converts the operation of flock.
func FlockFlags(native uint32) uint32 {
	return bits(native, []bit{{2, 1 << 1}, {1, 1 << 0}, {8, 1 << 3}, {4, 1 << 2}})
}

// SemopFlags converts the flags of an operation of semop.
func SemopFlags(native uint16) uint32 {
	return bits(uint32(native), []bit{{0o4000, 1}, {0x1000, 2}})
}

// SemgetFlags converts the flags of semget.
func SemgetFlags(native uint32) uint32 {
	return bits(native, []bit{{0o1000, 1 << 13}, {0o2000, 1 << 14}})
}

// SemctlCmd converts the command of semctl.
func SemctlCmd(native uint32) uint32 {
	return enum(native, []bit{
		{2, 1 << 0}, {1, 1 << 1}, {0, 1 << 2}, {3, 1 << 3}, {19, 1 << 4}, {18, 1 << 5}, {13, 1 << 6}, {14, 1 << 7},
		{11, 1 << 8}, {12, 1 << 9}, {15, 1 << 10}, {17, 1 << 11}, {16, 1 << 12},
	}, 0)
}

// QuotactlCmd converts the command in quotactl's first argument.
func QuotactlCmd(native uint32) uint32 {
	return enum(native>>8, []bit{
		{0x800001, 1 << 7}, {0x800002, 1 << 0}, {0x800003, 1 << 1}, {0x800004, 1 << 2}, {0x800005, 1 << 3},
		{0x800006, 1 << 4}, {0x800007, 1 << 5}, {0x800008, 1 << 6}, {0x5801, 1 << 8}, {0x5802, 1 << 9}, {0x5803, 1 << 10},
		{0x5804, 1 << 11}, {0x5805, 1 << 12}, {0x5806, 1 << 13}, {0x5807, 1 << 14},
	}, 0)
}

// QuotactlType converts the type in quotactl's first argument.
func QuotactlType(native uint32) uint32 {
	return enum(native&0xff, []bit{{0, 1}, {1, 2}}, 0)
}

// QuotactlFormat converts the format of quotactl's Q_QUOTAON.
func QuotactlFormat(native uint32) uint32 {
	return enum(native, []bit{{1, 1 << 1}, {2, 1 << 2}, {4, 1 << 3}}, 1)
}

var ptraceRequests = []bit{
	{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}, {7, 8}, {8, 9}, {9, 10}, {16, 11}, {17, 12}, {24, 13},
	{0x4200, 14}, {0x4201, 15}, {0x4202, 16}, {0x4203, 17}, {0x4204, 18}, {0x4205, 19}, {0x4206, 20}, {0x4207, 21},
	{0x4208, 22}, {0x4209, 23}, {0x420a, 24}, {0x420b, 25}, {31, 36}, {32, 37},
}

var ptraceRequestsX86 = []bit{
	{12, 26}, {13, 27}, {14, 28}, {15, 29}, {18, 30}, {19, 31}, {21, 32}, {25, 33}, {26, 34}, {30, 35}, {33, 38},
}

// Requests of ptrace, in Falco's encoding.
const (
	PtraceTraceme  = 1
	PtracePeekText = 2
	PtracePeekData = 3
	PtracePeekUser = 4
	PtraceCont     = 8
	PtraceAttach   = 11
	PtraceDetach   = 12
	PtraceSeize    = 20
)

// PtraceRequest converts the request of ptrace.
func PtraceRequest(native uint32) uint32 {
	if runtime.GOARCH == "amd64" {
		if r := enum(native, ptraceRequestsX86, 0); r != 0 {
			return r
		}
	}
	return enum(native, ptraceRequests, 0)
}

// MlockallFlags converts the flags of mlockall.
func MlockallFlags(native uint32) uint32 { return native & 7 }

// Mlock2Flags converts the flags of mlock2.
func Mlock2Flags(native uint32) uint32 { return native & 1 }

// MemfdFlags converts the flags of memfd_create.
func MemfdFlags(native uint32) uint32 { return native & 7 }

// Flags of the calls whose names end in at, as the kernel has them.
const (
	atSymlinkNofollow = 0x100
	atRemovedir       = 0x200
	atSymlinkFollow   = 0x400
	atNoAutomount     = 0x800
	atEmptyPath       = 0x1000
)

// UnlinkatFlags converts the flags of unlinkat.
func UnlinkatFlags(native uint32) uint32 { return native & atRemovedir }

// LinkatFlags converts the flags of linkat.
func LinkatFlags(native uint32) uint32 { return native & (atSymlinkFollow | atEmptyPath) }

// NewfstatatFlags converts the flags of newfstatat.
func NewfstatatFlags(native uint32) uint32 {
	return native & (atSymlinkNofollow | atEmptyPath | atNoAutomount)
}

// FchownatFlags converts the flags of fchownat.
func FchownatFlags(native uint32) uint32 { return native & (atSymlinkFollow | atEmptyPath) }

// FileMode converts the mode of chmod, mkdir and their like.
func FileMode(native uint32) uint32 { return native & 0o7777 }

// MknodMode converts the mode of mknod; no file type means a regular file.
func MknodMode(native uint32) uint32 {
	m := native & 0o7777
	switch t := native & 0o170000; t {
	case 0, 0o100000:
		m |= 0o100000
	case 0o140000, 0o060000, 0o020000, 0o010000:
		m |= t
	}
	return m
}

// MountFlags converts the flags of mount: as the kernel has them, without the
// magic number that old programs set in the upper half.
func MountFlags(native uint32) uint32 {
	if native&0xffff0000 == 0xC0ED0000 {
		native &^= 0xffff0000
	}
	return native
}

// Umount2Flags converts the flags of umount2.
func Umount2Flags(native uint32) uint32 { return native & 0xf }

// EpollCreate1Flags converts the flags of epoll_create1.
func EpollCreate1Flags(native uint32) uint32 { return bits(native, []bit{{0o2000000, 1}}) }

// SpliceFlags converts the flags of splice.
func SpliceFlags(native uint32) uint32 { return native & 0xf }

// PidfdOpenFlags converts the flags of pidfd_open.
func PidfdOpenFlags(native uint32) uint32 { return bits(native, []bit{{0o4000, 1}}) }

// FinitModuleFlags converts the flags of finit_module.
func FinitModuleFlags(native uint32) uint32 { return native & 7 }

// DeleteModuleFlags converts the flags of delete_module.
func DeleteModuleFlags(native uint32) uint32 { return bits(native, []bit{{0o4000, 2}, {0o1000, 1}}) }

// IoUringSetupFlags converts the flags of io_uring_setup.
func IoUringSetupFlags(native uint32) uint32 {
	return bits(native, []bit{
		{1 << 0, 1<<0 | 1<<2}, // IORING_SQ_NEED_WAKEUP has the same bit
		{1 << 1, 1 << 1}, {1 << 2, 1 << 3}, {1 << 3, 1 << 4}, {1 << 4, 1 << 5}, {1 << 5, 1 << 6}, {1 << 6, 1 << 7},
	})
}

// IoUringFeatures converts the features that io_uring_setup returns.
func IoUringFeatures(native uint32) uint32 { return native & (1<<11 - 1) }

// IoUringEnterFlags converts the flags of io_uring_enter.
func IoUringEnterFlags(native uint32) uint32 {
	return bits(native, []bit{{1 << 0, 1 << 0}, {1 << 1, 1 << 1}, {1 << 2, 1 << 2}, {1 << 3, 1 << 3}})
}
