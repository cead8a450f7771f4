// SPDX-License-Identifier: Apache-2.0

//go:build linux

package trace

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/event"
)

const (
	goarch     = "amd64"
	auditArch  = unix.AUDIT_ARCH_X86_64
	compatArch = unix.AUDIT_ARCH_I386

	openDirectory = 0x10000
	openDirect    = 0x4000
	openLargefile = 0x8000
)

func nativeType(nr int) event.Type { return event.FromAMD64(nr) }

// argsAfterCall tells whether the first argument stands in its register still
// when the call has returned.
const argsAfterCall = true

// setFirstArg changes the first argument of the call that a thread has
// stopped in.
func setFirstArg(tid int, compat bool, value uint64) error {
	reg := unsafe.Offsetof(unix.PtraceRegs{}.Rdi)
	if compat {
		reg = unsafe.Offsetof(unix.PtraceRegs{}.Rbx)
	}
	return ptrace(unix.PTRACE_POKEUSR, tid, reg, uintptr(value))
}

// cloneArg returns the flags that a thread inside clone(2) gave it, or where
// the arguments of clone3(2) are, whose first are the flags.
func cloneArg(tid int) (flags, addr uint64, ok bool) {
	var regs unix.PtraceRegs
	if ptrace(unix.PTRACE_GETREGS, tid, 0, uintptr(unsafe.Pointer(&regs))) != nil {
		return 0, 0, false
	}
	compat := regs.Cs == 0x23
	switch {
	case compat && regs.Orig_rax == compatClone:
		return uint64(uint32(regs.Rbx)), 0, true
	case compat && regs.Orig_rax == unix.SYS_CLONE3: // which has one number everywhere
		return 0, regs.Rbx, true
	case compat:
	case regs.Orig_rax == unix.SYS_CLONE:
		return regs.Rdi, 0, true
	case regs.Orig_rax == unix.SYS_CLONE3:
		return 0, regs.Rdi, true
	}
	return 0, 0, false
}

// The numbers of clone(2) and prctl(2) for 32-bit x86, which runs in the code
// segment 0x23.
const (
	compatClone = 120
	compatPrctl = 172
)
