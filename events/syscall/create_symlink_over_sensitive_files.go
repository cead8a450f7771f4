// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(CreateSymlinkOverSensitiveFiles)

// CreateSymlinkOverSensitiveFiles makes a symbolic link to /etc/shadow under
// an innocent name, to read it past filters that look at paths.
//
// Rule: create_symlink whose target is one of sensitive_file_names. Needs:
// nothing. The link is in a directory of its own; /etc/shadow is not touched.
//
// ATT&CK: T1555, credentials from password stores.
func CreateSymlinkOverSensitiveFiles(h events.Helper) error {
	dir, err := tempDir(h)
	if err != nil {
		return err
	}
	return os.Symlink("/etc/shadow", filepath.Join(dir, "notes"))
}
