// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(SearchPrivateKeysOrPasswords)

// SearchPrivateKeysOrPasswords searches a home directory for private SSH keys.
//
// Rule: spawned_process find with the name of a private key among its
// arguments (private_key_or_password): a copy of this executable runs as find
// and walks a home directory of its own. Needs: nothing. Nobody's real home is
// read.
//
// ATT&CK: T1552.001, credentials in files.
func SearchPrivateKeysOrPasswords(h events.Helper) error {
	if program(h) == "find" {
		home, ok := searchRoot()
		if !ok {
			return nil
		}
		return walk(home, func(path string) error {
			if filepath.Base(path) == "id_rsa" {
				h.Log().Infof("found %s", path)
			}
			return nil
		})
	}
	file, err := tempFile(h, ".ssh/id_rsa", "not a key\n")
	if err != nil {
		return err
	}
	home := filepath.Dir(filepath.Dir(file))
	return h.SpawnAs("find", "syscall.SearchPrivateKeysOrPasswords", home, "-maxdepth", "2", "-iname", "id_rsa")
}
