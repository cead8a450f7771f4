// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"path/filepath"
	"strings"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(FindAwsCredentials)

// FindAwsCredentials searches home directories for the credentials of the AWS
// command line.
//
// Rule: spawned_process find with arguments that end in .aws/credentials: a
// copy of this executable runs as find and walks a home directory of its own.
// Needs: nothing. Nobody's real home is read.
//
// ATT&CK: T1552, unsecured credentials.
func FindAwsCredentials(h events.Helper) error {
	const suffix = ".aws/credentials"
	if program(h) == "find" {
		home, ok := searchRoot()
		if !ok {
			return nil
		}
		return walk(home, func(path string) error {
			if strings.HasSuffix(path, suffix) {
				h.Log().Infof("found %s", path)
			}
			return nil
		})
	}
	file, err := tempFile(h, suffix, "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n")
	if err != nil {
		return err
	}
	home := filepath.Dir(filepath.Dir(file))
	return h.SpawnAs("find", "syscall.FindAwsCredentials", home, "-path", "*/"+suffix)
}
