// SPDX-License-Identifier: Apache-2.0

// Package changes changes the machine for an action and undoes it, come what may:
// what is to be undone is written down by whoever runs the action before the
// change is made.
//
// It imports package events and internal/journal, whose operations undo. Actions
// use it, their users by package helper; nothing here knows how an action is run.
package changes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/journal"
)

// Op undoes one change of the machine; see [Undo].
type Op = journal.Op

// Undo sees to it that a change is undone, whatever becomes of this process: call
// it before the change is made. A helper that can has it written down; with others
// it is a cleanup and no more.
func Undo(h events.Helper, op Op) error {
	if j, ok := h.(interface{ Undo(Op) error }); ok {
		return j.Undo(op)
	}
	h.Cleanup(func() {
		if err := op.Undo(); err != nil {
			h.Log().Error(err)
		}
	}, op)
	return nil
}

// RemoveFile removes the file, link or empty directory at an absolute path.
func RemoveFile(path string) Op {
	return Op{Kind: journal.Remove, Path: path}
}

// RemoveTree removes a directory and all that it holds.
func RemoveTree(path string) Op {
	return Op{Kind: journal.RemoveTree, Path: path}
}

// RemoveInterface removes the network interface of that name.
func RemoveInterface(name string) Op {
	return Op{Kind: journal.Interface, Path: name}
}

// RemoveCgroup removes the control group at that directory, and those below it.
func RemoveCgroup(path string) Op {
	return Op{Kind: journal.Cgroup, Path: path}
}

// Unmount unmounts what is mounted at path.
func Unmount(path string) Op {
	return Op{Kind: journal.Unmount, Path: path}
}

// Kill kills a process, which must exist when Kill is called: another one that
// is given the same number later is not meant.
func Kill(pid int) (Op, error) {
	start, err := journal.StartOf(pid)
	if err != nil {
		return Op{}, fmt.Errorf("looking at process %d: %w", pid, err)
	}
	return Op{Kind: journal.Kill, PID: pid, Start: start}, nil
}

// CreateFile creates a file at an absolute path where there is none, with the
// given permissions whatever the umask is, and has it removed when the action
// completes.
func CreateFile(h events.Helper, path string, data []byte, mode fs.FileMode) error {
	// Where there is a file already, it must not be removed.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return fmt.Errorf("creating %s: %w", path, err)
	}
	if err := Undo(h, RemoveFile(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm())
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// ModifyFile saves content, mode, owner and time of modification of the file
// at an absolute path and has them restored when the action completes; then
// change is called, which may do with the file what it likes.
func ModifyFile(h events.Helper, path string, change func() error) error {
	op, err := journal.Save(path)
	if err != nil {
		return err
	}
	if err := Undo(h, op); err != nil {
		return err
	}
	return change()
}

// TempDir makes an empty directory that every user may enter, below
// [os.TempDir], and has it removed when the action completes. Its name
// contains the run's id.
func TempDir(h events.Helper) (string, error) {
	dir, err := os.MkdirTemp("", strings.TrimSuffix("falcotest-"+config.ID(), "-")+"-")
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := Undo(h, RemoveTree(dir)); err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, os.Chmod(dir, 0o755)
}
