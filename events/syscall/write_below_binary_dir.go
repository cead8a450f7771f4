// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(WriteBelowBinaryDir, events.WithDisabled(), events.WithNeeds(events.WriteIn("/usr/bin")))

// WriteBelowBinaryDir drops a file among the system's programs.
//
// Rule: open_write of a file in /usr/bin (bin_dir) by a program that is no
// package manager. Needs: to be allowed to. The file is its own, cannot be executed, and is
// removed; existing programs are left alone.
//
// ATT&CK: T1543, create or modify system process.
func WriteBelowBinaryDir(h events.Helper) error {
	return createBelow(h, "/usr/bin")
}

// createBelow creates a file of its own in a directory, and that directory
// where it does not exist.
func createBelow(h events.Helper, dir string) error {
	if err := ownDir(h, dir); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	if _, err := createIn(h, dir); err != nil {
		return fmt.Errorf("creating a file: %w", err)
	}
	return nil
}
