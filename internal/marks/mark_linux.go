// SPDX-License-Identifier: Apache-2.0

package marks

import "golang.org/x/sys/unix"

// mark makes a mark.
func (m Marks) mark(kind, a, b uintptr) {
	if m != 0 {
		unix.RawSyscall6(unix.SYS_PRCTL, Option, uintptr(m), kind, a, b, 0)
	}
}
