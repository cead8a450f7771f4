// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(SetSetuidOrSetgidBit, events.WithDisabled())

// SetSetuidOrSetgidBit marks a file setuid, as a way back to a user's rights is
// left behind.
//
// Rule: chmod with S_ISUID. Needs: nothing. The file is its own, is no program,
// and cannot be executed by anybody.
//
// ATT&CK: T1548.001, setuid and setgid.
func SetSetuidOrSetgidBit(h events.Helper) error {
	file, err := tempFile(h, "backdoor", "not a program\n")
	if err != nil {
		return err
	}
	return os.Chmod(file, os.ModeSetuid|0o600)
}
