// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DropAndExecuteNewBinaryInContainer, events.WithContainer(events.Container{}))

// DropAndExecuteNewBinaryInContainer writes a program to a container's file
// system and executes it.
//
// Rule: spawned_process in a container with proc.is_exe_upper_layer, that is,
// of a file that the image does not have. The program is a few bytes of machine
// code that exit. Needs: a container whose file system is an overlay. It removes
// the program.
//
// ATT&CK: TA0003, persistence.
func DropAndExecuteNewBinaryInContainer(h events.Helper) error {
	image, err := exitProgram()
	if err != nil {
		return err
	}
	dir, err := overlayDir(h)
	if err != nil {
		return err
	}
	payload := filepath.Join(dir, "payload")
	if err := os.WriteFile(payload, image, 0o755); err != nil {
		return fmt.Errorf("dropping a program: %w", err)
	}
	if err := exec.Command(payload).Run(); err != nil {
		return fmt.Errorf("executing the dropped program: %w", err)
	}
	return nil
}

// overlayDir makes a directory of its own on a file system that is an overlay.
func overlayDir(h events.Helper) (string, error) {
	for _, parent := range []string{os.TempDir(), "/var/tmp", "/"} {
		var fs unix.Statfs_t
		if unix.Statfs(parent, &fs) != nil || fs.Type != unix.OVERLAYFS_SUPER_MAGIC {
			continue
		}
		if dir, err := tempDirIn(h, parent); err == nil {
			return dir, nil
		}
	}
	return "", &events.ErrSkipped{Reason: "the container's file system is not an overlay that this user may write to"}
}
