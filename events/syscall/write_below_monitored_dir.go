// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(WriteBelowMonitoredDir, events.WithDisabled())

// WriteBelowMonitoredDir drops a file in a directory where programs and
// libraries are looked for; as an ordinary user, in a user's .ssh.
//
// Rule: open_write in /usr/local/bin or in a user_ssh_directory (monitored_dir)
// by a program that is no package manager. Needs: nothing as root, else a home
// directory below /home. The file is its own and is removed.
//
// ATT&CK: T1543, create or modify system process.
func WriteBelowMonitoredDir(h events.Helper) error {
	if os.Geteuid() == 0 {
		return createBelow(h, "/usr/local/bin")
	}
	dir, err := sshDirectory(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "rc"), []byte("true\n"), 0o600)
}
