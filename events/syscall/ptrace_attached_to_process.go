// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(PTRACEAttachedToProcess)

// PTRACEAttachedToProcess attaches to another process to read its memory, as
// code is injected.
//
// Rule: ptrace with PTRACE_ATTACH (ptrace_attach_or_injection); the attempt
// counts. A copy of this executable attaches to its parent, the action's own
// process, and detaches. Where the kernel forbids it (Yama), or the parent is
// traced already, it is refused. Needs: nothing. Other processes are left
// alone.
//
// ATT&CK: T1055.008, process injection by ptrace.
func PTRACEAttachedToProcess(h events.Helper) error {
	if !h.Spawned() {
		return h.SpawnAs("injector", "syscall.PTRACEAttachedToProcess")
	}
	runtime.LockOSThread() // the tracer is this thread
	defer runtime.UnlockOSThread()
	victim := os.Getppid()
	err := unix.PtraceAttach(victim)
	if err != nil {
		return attempted(h, "attaching to the parent", err, unix.EPERM, unix.EACCES)
	}
	// Only a stopped process can be detached from.
	for {
		_, err := unix.Wait4(victim, nil, unix.WALL, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for the parent to stop: %w", err)
		}
	}
	if err := unix.PtraceDetach(victim); err != nil {
		return fmt.Errorf("detaching from the parent: %w", err)
	}
	return nil
}
