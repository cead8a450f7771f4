// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ContainerAccessToHostSensitivePaths, events.WithDisabled(),
	events.WithContainer(events.Container{Mounts: []string{"/etc:/host/etc:ro"}}))

// ContainerAccessToHostSensitivePaths reads the host's list of users from a
// container that has the host's files.
//
// Rule: open_read in a container of a path below /host. Inside of a container
// that has no such mount, it reads a file of its own there. Needs: a container
// with the host's /etc, read-only, at /host/etc. It reads one byte of a file that
// every user may read.
//
// ATT&CK: T1611, escape to host.
func ContainerAccessToHostSensitivePaths(h events.Helper) error {
	err := readByte("/host/etc/passwd")
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = ownDir(h, "/host")
	if errors.Is(err, fs.ErrPermission) {
		return &events.ErrSkipped{Reason: "the container has no /host/etc, and this user may not make /host"}
	}
	if err != nil {
		return fmt.Errorf("making /host: %w", err)
	}
	file, err := createIn(h, "/host")
	if err != nil {
		return err
	}
	return readByte(file)
}
