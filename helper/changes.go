// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"io/fs"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/changes"
)

// Op undoes one change of the machine; see [Undo].
type Op struct{ op changes.Op }

// String says what the operation does.
func (o Op) String() string { return o.op.String() }

// Undo sees to it that a change is undone, whatever becomes of this process:
// call it before the change is made. The default helper has the operation
// written down first and undoes it among the cleanups; when the action's
// process dies, the process that runs the action undoes it, and when that dies
// too, the next one. With other helpers it is a cleanup and no more.
//
// What vanishes with the action's process anyway is not written down.
func Undo(h events.Helper, op Op) error { return changes.Undo(h, op.op) }

// RemoveFile removes the file, link or empty directory at an absolute path.
func RemoveFile(path string) Op { return Op{changes.RemoveFile(path)} }

// RemoveTree removes a directory and all that it holds.
func RemoveTree(path string) Op { return Op{changes.RemoveTree(path)} }

// RemoveInterface removes the network interface of that name.
func RemoveInterface(name string) Op { return Op{changes.RemoveInterface(name)} }

// RemoveCgroup removes the control group at that directory, and those below it.
func RemoveCgroup(path string) Op { return Op{changes.RemoveCgroup(path)} }

// Unmount unmounts what is mounted at path.
func Unmount(path string) Op { return Op{changes.Unmount(path)} }

// Kill kills a process, which must exist when Kill is called: another one that
// is given the same number later is not meant.
func Kill(pid int) (Op, error) {
	op, err := changes.Kill(pid)
	return Op{op}, err
}

// CreateFile creates a file at an absolute path where there is none, with the
// given permissions whatever the umask is, and has it removed when the action
// completes.
func CreateFile(h events.Helper, path string, data []byte, mode fs.FileMode) error {
	return changes.CreateFile(h, path, data, mode)
}

// ModifyFile saves content, mode, owner and time of modification of the file
// at an absolute path and has them restored when the action completes; then
// change is called, which may do with the file what it likes.
func ModifyFile(h events.Helper, path string, change func() error) error {
	return changes.ModifyFile(h, path, change)
}

// TempDir makes an empty directory that every user may enter, below
// [os.TempDir], and has it removed when the action completes. Its name
// contains the run's [ID].
func TempDir(h events.Helper) (string, error) { return changes.TempDir(h) }
