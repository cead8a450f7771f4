// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(MkdirBinaryDirs, events.WithDisabled())

// MkdirBinaryDirs makes a directory where the system's programs are.
//
// Rule: mkdir of a path below /usr/bin (bin_dir_mkdir) by a program that is no
// package manager; the attempt counts. Needs: nothing; the kernel refuses it to
// an ordinary user. The directory is its own, empty, and is removed.
//
// ATT&CK: T1222.002, Linux file permissions modification.
func MkdirBinaryDirs(h events.Helper) error {
	_, err := tempDirIn(h, "/usr/bin")
	return attempted(h, "making a directory among programs", err, unix.EACCES, unix.EPERM, unix.EROFS)
}
