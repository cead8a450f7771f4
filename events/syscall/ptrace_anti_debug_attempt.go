// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	std "syscall"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(PtraceAntiDebugAttempt)

// PtraceAntiDebugAttempt lets a child ask to be traced by its parent, so that
// no debugger can attach to it afterwards; when the request is refused, there
// is a debugger already.
//
// Rule: ptrace with PTRACE_TRACEME; the attempt counts. The child asks between
// fork and exec, and is killed at its first instruction. Needs: nothing. It
// leaves other processes alone.
//
// ATT&CK: T1622, debugger evasion.
func PtraceAntiDebugAttempt(h events.Helper) error {
	runtime.LockOSThread() // the tracer is this thread, and only it may wait
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe")
	cmd.SysProcAttr = &std.SysProcAttr{Ptrace: true}
	err := cmd.Start()
	if errors.Is(err, unix.EPERM) {
		h.Log().Info("PTRACE_TRACEME was refused: this process is being traced")
		return nil
	}
	if err != nil {
		return fmt.Errorf("starting a child that asks to be traced: %w", err)
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the traced child: %w", err)
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(cmd.Process.Pid, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("waiting for the traced child: %w", err)
		case status.Exited() || status.Signaled():
			return cmd.Process.Release()
		}
	}
}
