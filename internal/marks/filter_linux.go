// SPDX-License-Identifier: Apache-2.0

package marks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// InstallFilter puts a filter that package trace made into force in the calling
// process, for all its threads and all that descends from it. Without
// CAP_SYS_ADMIN it also sets no_new_privs, as the kernel demands: then programs
// executed later gain no privileges from their set-user-ID bit or file
// capabilities.
//
// A tracer must have attached before: with no tracer, every call that the
// filter selects fails with ENOSYS.
func InstallFilter(prog []byte) error {
	if len(prog) == 0 || len(prog)%8 != 0 {
		return fmt.Errorf("installing the seccomp filter: %d bytes are not a program", len(prog))
	}
	filters := make([]unix.SockFilter, len(prog)/8)
	for i := range filters {
		ins := prog[i*8:]
		filters[i] = unix.SockFilter{
			Code: binary.NativeEndian.Uint16(ins), Jt: ins[2], Jf: ins[3], K: binary.NativeEndian.Uint32(ins[4:]),
		}
	}
	fprog := unix.SockFprog{Len: uint16(len(filters)), Filter: &filters[0]}

	runtime.LockOSThread() // no_new_privs belongs to the thread that installs
	defer runtime.UnlockOSThread()
	err := installFilter(&fprog)
	if errors.Is(err, unix.EACCES) {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("installing the seccomp filter: setting no_new_privs: %w", err)
		}
		err = installFilter(&fprog)
	}
	if err != nil {
		return fmt.Errorf("installing the seccomp filter: %w", err)
	}
	return nil
}

func installFilter(fprog *unix.SockFprog) error {
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(fprog)))
	runtime.KeepAlive(fprog)
	if errno != 0 {
		return errno
	}
	if tid != 0 {
		return fmt.Errorf("thread %d has a filter of its own", tid)
	}
	return nil
}
