// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ClearLogActivities)

// ClearLogActivities empties an authentication log to cover its tracks.
//
// Rule: open_write with O_TRUNC of a file whose name is one of
// access_log_files: auth.log, in a directory of its own. Needs: nothing. It leaves
// the machine's own logs alone.
//
// ATT&CK: T1070, indicator removal.
func ClearLogActivities(h events.Helper) error {
	log, err := tempFile(h, "auth.log", "Failed password for root\n")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(log, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
