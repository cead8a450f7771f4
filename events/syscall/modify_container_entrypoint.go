// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ModifyContainerEntrypoint, events.WithDisabled(),
	events.WithContainer(events.Container{}))

// ModifyContainerEntrypoint opens a program for writing by way of a descriptor
// that refers to it, as the attack on runc does that replaces the host's
// container runtime (CVE-2019-5736).
//
// Rule: open_write in a container of a path below /proc/self/fd. The descriptor
// refers to a file of its own. Needs: a container. No program is changed.
//
// ATT&CK: T1611, escape to host.
func ModifyContainerEntrypoint(h events.Helper) error {
	file, err := tempFile(h, "runc", "not a program\n")
	if err != nil {
		return err
	}
	fd, err := unix.Open(file, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a file by its path: %w", err)
	}
	defer unix.Close(fd)
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("opening a file by its descriptor: %w", err)
	}
	return f.Close()
}
