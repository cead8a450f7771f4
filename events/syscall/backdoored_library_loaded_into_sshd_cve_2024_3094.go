// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(BackdooredLibraryLoadedIntoSSHDCVE20243094, events.WithDisabled())

// BackdooredLibraryLoadedIntoSSHDCVE20243094 lets an SSH server open the
// release of liblzma that carries a backdoor.
//
// Rule: open_read by sshd of a path that contains liblzma.so.5.6.1: a copy of
// this executable runs as sshd and reads an empty file of its own of that name.
// Needs: nothing. No library is loaded.
//
// ATT&CK: T1556, modify authentication process.
func BackdooredLibraryLoadedIntoSSHDCVE20243094(h events.Helper) error {
	if program(h) == "sshd" {
		return readByte(os.Args[len(os.Args)-1])
	}
	library, err := tempFile(h, "lib/liblzma.so.5.6.1", "")
	if err != nil {
		return err
	}
	return h.SpawnAs("sshd", "syscall.BackdooredLibraryLoadedIntoSSHDCVE20243094", "-D", library)
}
