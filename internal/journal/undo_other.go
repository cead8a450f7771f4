// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package journal

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

const nonblock = 0

func (op Op) undoSystem() error { return errors.ErrUnsupported }

// StartOf returns an error: processes are named this way on Linux only.
func StartOf(int) (uint64, error) { return 0, errors.ErrUnsupported }

func (op Op) restore() error {
	f := op.File
	perm := f.Mode.Perm()
	// The same inode is written where it still exists: others may hold it.
	if err := os.WriteFile(op.Path, f.Content, perm); err != nil {
		return err
	}
	return errors.Join(
		os.Chmod(op.Path, f.Mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)),
		os.Chtimes(op.Path, time.Time{}, f.ModTime))
}

const passwdFile, groupFile = "/etc/passwd", "/etc/group"

// AddUsers returns an error: users are made on Linux only.
func (d *Dir) AddUsers(...string) error { return errors.ErrUnsupported }
