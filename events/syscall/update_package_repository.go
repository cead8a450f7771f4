// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/events"
)

var _ = events.Register(UpdatePackageRepository, events.WithDisabled())

// UpdatePackageRepository adds a list of packages of the attacker's to the
// package manager's.
//
// Rule: open_write in /etc/apt/sources.list.d (access_repositories) by a
// program that is no package manager; as a user who may not write there, a
// rename of a file to there, which is refused (modify_repositories). Needs:
// nothing. The list is its own, holds a comment only, and is removed; existing
// lists are left alone.
//
// ATT&CK: T1072, software deployment tools.
func UpdatePackageRepository(h events.Helper) error {
	const dir = "/etc/apt/sources.list.d"
	err := ownDir(h, dir)
	if err == nil {
		_, err = createIn(h, dir)
	}
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) {
		if err != nil {
			return fmt.Errorf("adding a package list: %w", err)
		}
		return nil
	}
	list, err := tempFile(h, "falcotest.list", "# made by falcotest\n")
	if err != nil {
		return err
	}
	return moveTo(h, list, filepath.Join(dir, filepath.Base(filepath.Dir(list))+".list"))
}

// moveTo renames a file of its own to a path where it does not stay: where the
// kernel does not refuse it, the file is removed when the action completes.
func moveTo(h events.Helper, from, to string) error {
	if err := undo(h, to); err != nil {
		return err
	}
	err := os.Rename(from, to)
	return attempted(h, "moving a file to "+filepath.Dir(to), err,
		unix.EACCES, unix.EPERM, unix.EXDEV, unix.EROFS, unix.ENOENT)
}
