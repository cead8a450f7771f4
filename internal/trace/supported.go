// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Supported tells why system calls cannot be traced here, nil when they can:
// it looks for the kernel's seccomp filters and for a Yama policy that forbids
// all tracing. Whether a certain process may be traced, only [Attach] tells.
func Supported() error {
	// A null filter is refused with EFAULT where filters exist.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0)
	if errno != unix.EFAULT && errno != unix.EACCES {
		return fmt.Errorf("tracing system calls needs seccomp filters: %w", errno)
	}
	if b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && strings.TrimSpace(string(b)) == "3" {
		return errors.New("tracing system calls is forbidden here: kernel.yama.ptrace_scope is 3")
	}
	return nil
}
