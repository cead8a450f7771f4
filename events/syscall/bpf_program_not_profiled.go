// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(BPFProgramNotProfiled, events.WithDisabled())

// BPFProgramNotProfiled loads a program into the kernel's BPF machine.
//
// Rule: bpf with BPF_PROG_LOAD by a program that is none of
// bpf_profiled_binaries; the attempt counts. The program is a socket filter
// that returns 0; it is attached to nothing and unloaded at once. Needs:
// nothing; the kernel refuses it to an ordinary user, where
// kernel.unprivileged_bpf_disabled is set. The kernel stays as it is.
//
// ATT&CK: TA0003, persistence.
func BPFProgramNotProfiled(h events.Helper) error {
	program := [...]uint64{
		0x00000000000000b7, // r0 = 0
		0x0000000000000095, // exit
	}
	license := [...]byte{'A', 'p', 'a', 'c', 'h', 'e', 0}
	attr := struct { // the start of union bpf_attr, for BPF_PROG_LOAD
		kind, count          uint32
		program, license     uint64
		logLevel, logSize    uint32
		log                  uint64
		kernelVersion, flags uint32
	}{
		kind:    unix.BPF_PROG_TYPE_SOCKET_FILTER,
		count:   uint32(len(program)),
		program: uint64(uintptr(unsafe.Pointer(&program))),
		license: uint64(uintptr(unsafe.Pointer(&license))),
	}
	var pins runtime.Pinner // the kernel follows the addresses in attr
	defer pins.Unpin()
	pins.Pin(&program)
	pins.Pin(&license)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	for try := 0; errno == unix.EAGAIN && try < 5; try++ { // a signal came while the kernel looked at the program
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}
	if errno != 0 {
		return attempted(h, "loading a BPF program", errno, unix.EPERM, unix.ENOSYS, unix.EINVAL, unix.EAGAIN)
	}
	return unix.Close(int(fd))
}
