// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(ReadSshInformation, events.WithDisabled())

// ReadSshInformation lists a user's .ssh and reads known_hosts, to learn which
// machines that user reaches.
//
// Rule: open_read and open_directory in a user_ssh_directory. Needs: a home
// directory below /home that can be written to. The directory is its own;
// nobody's keys are read.
//
// ATT&CK: T1005, data from local system.
func ReadSshInformation(h events.Helper) error {
	dir, err := sshDirectory(h)
	if err != nil {
		return err
	}
	hosts := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(hosts, []byte("bastion ssh-ed25519 AAAA\n"), 0o600); err != nil {
		return err
	}
	if _, err := os.ReadDir(dir); err != nil {
		return err
	}
	return readByte(hosts)
}
