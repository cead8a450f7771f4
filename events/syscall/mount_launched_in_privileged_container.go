// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(MountLaunchedInPrivilegedContainer, events.WithDisabled(),
	events.WithContainer(events.Container{Privileged: true}))

// MountLaunchedInPrivilegedContainer mounts a file system in a privileged
// container, where an attacker would mount the host's disk.
//
// Rule: spawned_process mount with arguments in a container that is privileged:
// a copy of this executable runs as mount and mounts an empty file system in
// memory in a mount namespace of its own. Needs: a privileged container. No
// disk is mounted.
//
// ATT&CK: T1611, escape to host.
func MountLaunchedInPrivilegedContainer(h events.Helper) error {
	if program(h) != "mount" {
		dir, err := tempDir(h)
		if err != nil {
			return err
		}
		return h.SpawnAs("mount", "syscall.MountLaunchedInPrivilegedContainer", "-t", "tmpfs", "none", dir)
	}
	return onOwnThread(func() error {
		err := unix.Unshare(unix.CLONE_NEWNS)
		if errors.Is(err, unix.EPERM) {
			return &events.ErrSkipped{Reason: "mounting needs CAP_SYS_ADMIN"}
		}
		if err != nil {
			return fmt.Errorf("making a mount namespace: %w", err)
		}
		if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("making mounts private: %w", err)
		}
		if err := unix.Mount("none", os.Args[len(os.Args)-1], "tmpfs", 0, "size=4k"); err != nil {
			return fmt.Errorf("mounting an empty file system: %w", err)
		}
		return nil
	})
}
