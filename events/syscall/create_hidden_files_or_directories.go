// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(CreateHiddenFilesOrDirectories, events.WithDisabled())

// CreateHiddenFilesOrDirectories makes a hidden directory and a hidden file in
// it, where ls does not show them.
//
// Rule: mkdir of a path that contains "/.", and open_write with O_CREAT of one.
// Needs: nothing. Both are in a directory of its own.
//
// ATT&CK: T1564.001, hidden files and directories.
func CreateHiddenFilesOrDirectories(h events.Helper) error {
	dir, err := tempDir(h)
	if err != nil {
		return err
	}
	hidden := filepath.Join(dir, ".cache")
	if err := os.Mkdir(hidden, 0o755); err != nil {
		return fmt.Errorf("making a hidden directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(hidden, ".loot"), nil, 0o600); err != nil {
		return fmt.Errorf("making a hidden file: %w", err)
	}
	return nil
}
