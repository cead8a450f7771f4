// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DeleteOrRenameShellHistory, events.WithDisabled())

// DeleteOrRenameShellHistory renames a shell's history and deletes it, to cover
// its tracks.
//
// Rule: rename and remove of a path that ends in ash_history
// (modify_shell_history). Needs: nothing. The file is its own, in a directory
// of its own.
//
// ATT&CK: T1070, indicator removal.
func DeleteOrRenameShellHistory(h events.Helper) error {
	history, err := tempFile(h, ".bash_history", "curl http://127.0.0.1/payload\n")
	if err != nil {
		return err
	}
	renamed := history + ".old_bash_history"
	if err := os.Rename(history, renamed); err != nil {
		return err
	}
	return os.Remove(renamed)
}
