// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/ptrace.h, where x/sys/unix has no name for them on every processor.
const (
	ptraceGetSyscallInfo = 0x420e

	syscallInfoEntry   = 1
	syscallInfoExit    = 2
	syscallInfoSeccomp = 3

	eventFork      = 1
	eventVfork     = 2
	eventClone     = 3
	eventExec      = 4
	eventVforkDone = 5
	eventSeccomp   = 7
	eventStop      = 128

	traceOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
		unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_EXITKILL
)

// syscallInfo is struct ptrace_syscall_info, with its union flattened: at
// entry a is the number and b to g are the arguments, at exit a is the result.
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	a    uint64
	args [6]uint64
	_    uint64
}

// ptrace does one request. The requests used here return at once, so Go's
// scheduler need not know of them.
func ptrace(request, tid int, addr, data uintptr) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func ptraceSyscallInfo(tid int, info *syscallInfo) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(tid), unsafe.Sizeof(*info),
		uintptr(unsafe.Pointer(info)), 0, 0)
	runtime.KeepAlive(info)
	if errno != 0 {
		return errno
	}
	return nil
}

func ptraceEventMsg(tid int) (uint64, error) {
	var msg uint64
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETEVENTMSG, uintptr(tid), 0,
		uintptr(unsafe.Pointer(&msg)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return msg, nil
}

// wait4 waits for a tracee of this very thread, and for nothing else of this
// process. With WNOHANG it returns 0 when there is nothing to be told.
func wait4(status *uint32, options uintptr) (int, error) {
	pid, _, errno := unix.Syscall6(unix.SYS_WAIT4, ^uintptr(0), uintptr(unsafe.Pointer(status)),
		unix.WALL|unix.WNOTHREAD|options, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(pid), nil
}
