// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trace

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

const (
	goarch     = "arm64"
	auditArch  = unix.AUDIT_ARCH_AARCH64
	compatArch = 0 // 32-bit ARM programs are followed, their calls not reported

	openDirectory = 0x4000
	openDirect    = 0x10000
	openLargefile = 0x20000
)

func nativeType(nr int) event.Type { return event.FromARM64(nr) }

// setFirstArg changes the first argument of the call that a thread has
// stopped in.
const compatClone, compatPrctl = 0, 0

const argsAfterCall = false // the result has taken its place

func setFirstArg(tid int, _ bool, value uint64) error {
	var regs unix.PtraceRegs
	if err := regset(unix.PTRACE_GETREGSET, tid, &regs); err != nil {
		return err
	}
	regs.Regs[0] = value
	return regset(unix.PTRACE_SETREGSET, tid, &regs)
}

// cloneArg returns the flags that a thread inside clone(2) gave it, or where
// the arguments of clone3(2) are, whose first are the flags.
func cloneArg(tid int) (flags, addr uint64, ok bool) {
	var regs unix.PtraceRegs
	if regset(unix.PTRACE_GETREGSET, tid, &regs) != nil {
		return 0, 0, false
	}
	switch regs.Regs[8] {
	case unix.SYS_CLONE:
		return regs.Regs[0], 0, true
	case unix.SYS_CLONE3:
		return 0, regs.Regs[0], true
	}
	return 0, 0, false
}

func regset(request, tid int, regs *unix.PtraceRegs) error {
	const prstatus = 1 // NT_PRSTATUS
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(regs))}
	iov.SetLen(int(unsafe.Sizeof(*regs)))
	return ptrace(request, tid, prstatus, uintptr(unsafe.Pointer(&iov)))
}
