// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DebugfsLaunchedInPrivilegedContainer, events.WithContainer(events.Container{Privileged: true}))

// DebugfsLaunchedInPrivilegedContainer starts the file system debugger in a
// privileged container, which reads the host's disk past its permissions.
//
// Rule: spawned_process debugfs in a container that is privileged: a copy of
// this executable runs as debugfs and reads an image of its own. Needs: a
// privileged container. No disk is read.
//
// ATT&CK: T1611, escape to host.
func DebugfsLaunchedInPrivilegedContainer(h events.Helper) error {
	if program(h) == "debugfs" {
		return readByte(os.Args[len(os.Args)-1])
	}
	image, err := tempFile(h, "disk.img", "no file system\n")
	if err != nil {
		return err
	}
	return h.SpawnAs("debugfs", "syscall.DebugfsLaunchedInPrivilegedContainer", "-R", "cat /etc/shadow", image)
}
