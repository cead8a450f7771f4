// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(CreateHardlinkOverSensitiveFiles)

// CreateHardlinkOverSensitiveFiles makes a hard link to /etc/shadow under an
// innocent name, to read it past filters that look at paths.
//
// Rule: create_hardlink whose old path is one of sensitive_file_names; the
// attempt counts. Needs: nothing; the kernel refuses it to a user who may not
// read the file, and across file systems. The link is in a directory of its
// own and is removed; the content of /etc/shadow is not touched.
//
// ATT&CK: T1555, credentials from password stores.
func CreateHardlinkOverSensitiveFiles(h events.Helper) error {
	dir, err := tempDir(h)
	if err != nil {
		return err
	}
	err = os.Link("/etc/shadow", filepath.Join(dir, "notes"))
	return attempted(h, "linking /etc/shadow", err, unix.EXDEV, unix.EPERM, unix.EACCES, unix.ENOENT)
}
