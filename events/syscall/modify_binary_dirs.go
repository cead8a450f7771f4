// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ModifyBinaryDirs, events.WithDisabled())

// ModifyBinaryDirs moves a file to where the system's programs are, and away from
// there.
//
// Rule: rename of a path below /usr/bin (bin_dir_rename) by a program that is
// no package manager; the attempt counts. Needs: nothing; the kernel refuses it
// to an ordinary user and across file systems. The file is its own, cannot be
// executed, and is removed.
//
// ATT&CK: T1222.002, Linux file permissions modification.
func ModifyBinaryDirs(h events.Helper) error {
	file, err := tempFile(h, "program", "not a program\n")
	if err != nil {
		return err
	}
	program := filepath.Join("/usr/bin", filepath.Base(filepath.Dir(file)))
	if err := moveTo(h, file, program); err != nil {
		return err
	}
	return moveTo(h, program, file)
}
