// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ExecutionFromDevShm)

// ExecutionFromDevShm drops a program in /dev/shm, which every user may write
// to, and lets a shell execute it.
//
// Rule: spawned_process with a path below /dev/shm as the program (proc.exe),
// and, for a shell, at the start of its arguments. The program is a few bytes
// of machine code that exit; where /dev/shm is mounted noexec, the shell's
// command line alone satisfies the rule. Needs: a writable /dev/shm. It
// removes the program.
//
// ATT&CK: T1059.004, Unix shell.
func ExecutionFromDevShm(h events.Helper) error {
	if program(h) == "sh" {
		err := exec.Command(os.Args[len(os.Args)-1]).Run()
		return attempted(h, "executing a program in /dev/shm", err, unix.EACCES, unix.EPERM)
	}
	image, err := exitProgram()
	if err != nil {
		return err
	}
	dir, err := tempDirIn(h, "/dev/shm")
	if err != nil {
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EROFS) {
			return &events.ErrSkipped{Reason: fmt.Sprintf("/dev/shm cannot be written to: %v", err)}
		}
		return err
	}
	payload := filepath.Join(dir, "payload")
	if err := os.WriteFile(payload, image, 0o755); err != nil {
		return fmt.Errorf("dropping a program: %w", err)
	}
	return h.SpawnAs("sh", "syscall.ExecutionFromDevShm", "-c", payload)
}
