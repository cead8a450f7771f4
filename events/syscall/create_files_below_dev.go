// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(CreateFilesBelowDev, events.WithDisabled())

// CreateFilesBelowDev hides a file among the devices.
//
// Rule: an open with O_CREAT in /dev by a program that is none of
// dev_creation_binaries; the attempt counts. Needs: nothing; the kernel refuses
// it to an ordinary user. The file is an ordinary one of its own, and is removed.
//
// ATT&CK: T1543, create or modify system process.
func CreateFilesBelowDev(h events.Helper) error {
	_, err := createIn(h, "/dev")
	return attempted(h, "creating a file in /dev", err, unix.EACCES, unix.EPERM, unix.EROFS)
}
