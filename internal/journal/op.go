// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Kind is what an operation does.
type Kind string

// The kinds of operations.
const (
	Remove     Kind = "remove"     // the file, link or empty directory Path
	RemoveTree Kind = "removetree" // the directory Path and all that it holds
	Restore    Kind = "restore"    // content, mode, owner and times of the file Path
	Interface  Kind = "interface"  // remove the network interface named Path
	Cgroup     Kind = "cgroup"     // remove the control group Path and those below it
	Kill       Kind = "kill"       // the process PID that started at Start
	Unmount    Kind = "unmount"    // Path
	Account    Kind = "account"    // remove the line Line from Path, /etc/passwd or /etc/group
	Containers Kind = "containers" // remove those that Owner made by the engine named Path at Host, and images
)

// undoContainers is set by internal/container, since this package knows no
// engines.
var undoContainers func(Op) error

// UndoContainers says how operations of the kind [Containers] are undone.
func UndoContainers(f func(Op) error) { undoContainers = f }

// endProcesses is set by internal/child, which knows an action's processes.
var endProcesses = func(id string) {}

// EndProcesses says how the processes of an action are ended, by its id, before
// what it has changed is undone: its process may still clean up, or have died with
// others below it that did not.
func EndProcesses(f func(id string)) { endProcesses = f }

// Op undoes one change. Undoing it twice, or when the change was not made
// after all, does nothing and is no error.
type Op struct {
	ID    string `json:"id"` // unique in its journal
	Kind  Kind   `json:"kind"`
	Path  string `json:"path,omitempty"`
	File  *File  `json:"file,omitempty"`
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"` // clock ticks from boot to the start of PID
	Host  string `json:"host,omitempty"`
	Owner string `json:"owner,omitempty"`
	Line  string `json:"line,omitempty"`
}

// File is what Restore restores.
type File struct {
	Content []byte      `json:"content"`
	Mode    fs.FileMode `json:"mode"`
	UID     int         `json:"uid"`
	GID     int         `json:"gid"`
	ModTime time.Time   `json:"mtime"`
}

// maxContent bounds what is kept of a file.
const maxContent = 16 << 20

// Save returns the operation that gives the file at path its present content,
// mode, owner and time of modification again. Links on the way to it are
// resolved now; none is followed when it is restored.
func Save(path string) (Op, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return Op{}, fmt.Errorf("saving a file before it is changed: %w", err)
	}
	path = filepath.Join(dir, filepath.Base(path))
	named, err := os.Lstat(path)
	if err != nil {
		return Op{}, fmt.Errorf("saving a file before it is changed: %w", err)
	}
	if !named.Mode().IsRegular() {
		return Op{}, fmt.Errorf("saving %s before it is changed: it is not a regular file", path)
	}
	in, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return Op{}, fmt.Errorf("saving a file before it is changed: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil && !os.SameFile(info, named) {
		err = errors.New("it was replaced meanwhile")
	}
	if err != nil {
		return Op{}, fmt.Errorf("saving %s before it is changed: %w", path, err)
	}
	content, err := io.ReadAll(io.LimitReader(in, maxContent+1))
	if err != nil {
		return Op{}, fmt.Errorf("saving a file before it is changed: %w", err)
	}
	if len(content) > maxContent {
		return Op{}, fmt.Errorf("saving %s before it is changed: it has more than %d bytes", path, maxContent)
	}
	f := &File{Content: content, Mode: info.Mode(), ModTime: info.ModTime(), UID: -1, GID: -1}
	f.UID, f.GID = owner(info)
	return Op{Kind: Restore, Path: path, File: f}, nil
}

func (op Op) check() error {
	switch op.Kind {
	case Remove, RemoveTree, Cgroup, Unmount:
		if !filepath.IsAbs(op.Path) || filepath.Clean(op.Path) != op.Path || filepath.Dir(op.Path) == op.Path {
			return fmt.Errorf("journal: %s needs an absolute, clean path: %q", op.Kind, op.Path)
		}
	case Account:
		if op.Path != passwdFile && op.Path != groupFile || op.Line == "" {
			return fmt.Errorf("journal: account needs %s or %s, and a line: %q", passwdFile, groupFile, op.Path)
		}
	case Restore:
		if !filepath.IsAbs(op.Path) || op.File == nil {
			return fmt.Errorf("journal: restore needs an absolute path and a file: %q", op.Path)
		}
	case Interface:
		if op.Path == "" {
			return errors.New("journal: interface needs a name")
		}
	case Containers:
		if op.Path == "" || op.Host == "" || op.Owner == "" {
			return fmt.Errorf("journal: containers needs an engine, its host and an owner, not %q, %q and %q", op.Path, op.Host, op.Owner)
		}
	case Kill:
		if op.PID <= 1 || op.Start == 0 {
			return fmt.Errorf("journal: kill needs a process and its start, not %d and %d", op.PID, op.Start)
		}
	default:
		return fmt.Errorf("journal: unknown operation %q", op.Kind)
	}
	return nil
}

// String says what the operation does.
func (op Op) String() string {
	switch op.Kind {
	case RemoveTree:
		return "remove " + op.Path + " and all it holds"
	case Interface:
		return "remove the network interface " + op.Path
	case Account:
		return fmt.Sprintf("remove %q from %s", op.Line, op.Path)
	case Cgroup:
		return "remove the control group " + op.Path
	case Containers:
		return fmt.Sprintf("remove the containers and images of a run from %s at %s", op.Path, op.Host)
	case Kill:
		return fmt.Sprintf("kill process %d", op.PID)
	}
	return string(op.Kind) + " " + op.Path
}

// Undo does the operation.
func (op Op) Undo() error {
	err := op.check()
	if err == nil {
		err = op.undo()
	}
	if err != nil {
		return fmt.Errorf("undoing a change (%s): %w", op, err)
	}
	return nil
}

func (op Op) undo() error {
	switch op.Kind {
	case Remove:
		return unlessGone(os.Remove(op.Path))
	case RemoveTree:
		return removeTree(op.Path)
	case Restore:
		return op.restore()
	case Cgroup:
		return removeCgroup(op.Path)
	case Containers:
		if undoContainers == nil {
			return errors.ErrUnsupported
		}
		return undoContainers(op)
	}
	return op.undoSystem()
}

func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeCgroup removes the directories of a control group from below: their
// files go with them. A group has a process until somebody has waited for its end.
func removeCgroup(path string) error {
	const again = 10 * time.Millisecond
	for deadline := time.Now().Add(patience); ; time.Sleep(again) {
		err := removeEmptyCgroup(path)
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return err
		}
	}
}

func removeEmptyCgroup(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return unlessGone(err)
	}
	var errs []error
	for _, entry := range entries {
		if entry.IsDir() {
			errs = append(errs, removeEmptyCgroup(filepath.Join(path, entry.Name())))
		}
	}
	return errors.Join(append(errs, unlessGone(os.Remove(path)))...)
}
