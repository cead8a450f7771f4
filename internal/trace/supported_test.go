// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package trace

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDenied holds that what keeps calls from being traced comes with what allows
// it, and that other errors do not.
func TestDenied(t *testing.T) {
	for _, err := range []error{unix.EPERM, unix.EACCES, unix.ENOSYS} {
		got := deniedError(err)
		if !errors.Is(got, err) || !strings.HasPrefix(got.Error(), "tracing system calls is denied here: ptrace: ") ||
			!strings.Contains(got.Error(), "--cap-add SYS_PTRACE") && !strings.Contains(got.Error(), "kernel.yama.ptrace_scope") {
			t.Errorf("%v becomes %q", err, got)
		}
	}
	if got := deniedError(unix.ENOEXEC); !errors.Is(got, unix.ENOEXEC) || strings.Contains(got.Error(), "SYS_PTRACE") {
		t.Errorf("got %q", got)
	}
}
