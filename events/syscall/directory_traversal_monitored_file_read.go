// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"strings"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(DirectoryTraversalMonitoredFileRead)

// DirectoryTraversalMonitoredFileRead reads /etc/passwd by climbing out of a
// web root, as a request for ../../../etc/passwd makes a careless server do.
//
// Rule: open_read of a file below /etc (etc_dir) by a path that climbs twice
// (directory_traversal). Needs: a parent process that is no shell. It reads one
// byte of a file that every user may read.
//
// ATT&CK: T1555, credentials from password stores.
func DirectoryTraversalMonitoredFileRead(h events.Helper) error {
	root, err := tempDir(h)
	if err != nil {
		return err
	}
	climb := strings.Repeat("/..", strings.Count(root, "/"))
	return readByte(root + climb + "/etc/passwd") // not cleaned on purpose
}
