// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(AddingSshKeysToAuthorizedKeys, events.WithDisabled())

// AddingSshKeysToAuthorizedKeys adds a key to a user's authorized_keys, with
// which to come back.
//
// Rule: open_write of a file that ends in authorized_keys in a
// user_ssh_directory, by a program that is none of ssh_binaries. Needs: a home
// directory below /home that can be written to. The directory is its own, of no
// user; nobody can log in by it.
//
// ATT&CK: T1098.004, SSH authorized keys.
func AddingSshKeysToAuthorizedKeys(h events.Helper) error {
	dir, err := sshDirectory(h)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "authorized_keys"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("ssh-ed25519 AAAA mallory\n")
	return errors.Join(err, f.Close())
}
