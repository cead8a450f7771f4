// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(UserMgmtBinaries, events.WithDisabled())

// UserMgmtBinaries adds a user by a program for the management of accounts.
//
// Rule: spawned_process of one of user_mgmt_binaries, not in a container and
// not by cron or the like: a copy of this executable runs as useradd and adds a
// line to a passwd file of its own. Needs: to be outside of a container. The
// machine's users stay as they are.
//
// ATT&CK: T1098, account manipulation.
func UserMgmtBinaries(h events.Helper) error {
	if program(h) == "useradd" {
		return addUser(filepath.Join(os.Args[2], "etc", "passwd"), os.Args[3])
	}
	if err := stayOutOfContainers(h); err != nil {
		return err
	}
	passwd, err := tempFile(h, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	if err != nil {
		return err
	}
	root := filepath.Dir(filepath.Dir(passwd))
	return h.SpawnAs("useradd", "syscall.UserMgmtBinaries", "--prefix", root, "mallory")
}

func addUser(passwd, name string) error {
	f, err := os.OpenFile(passwd, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(name + ":x:0:0::/:/bin/sh\n")
	return errors.Join(err, f.Close())
}
