// SPDX-License-Identifier: Apache-2.0

// Package journal writes down how to undo a change before the change is made,
// so that another process can undo it when the one that made it has died.
//
// A [Dir] is the directory of one action: its journal, and the temporary files
// that the action makes. The process that runs the action owns it and holds a
// lock on the journal; the lock goes with the process, however it ends. What a
// dead owner left is found by [Recover], undone and removed.
//
// The package imports nothing of this module. Operations enter from the
// process that is about to change something, and leave to the disk.
package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	prefix   = "falcotest-" // of directories, before the id of the action
	fileName = "journal"
	tempName = "tmp"
)

// Dir is the directory of one action and its journal. It is safe for
// concurrent use.
type Dir struct {
	path string

	mu   sync.Mutex
	file *os.File
	todo []Op // that are not undone yet, in the order of the changes
}

// line is one line of the journal: an operation, or the ID of one that is
// undone.
type line struct {
	Op   *Op    `json:"op,omitempty"`
	Done string `json:"done,omitempty"`
}

// Create makes the directory falcotest-<id> in the given one, and locks it for
// this process. An empty parent is [os.TempDir].
func Create(parent, id string) (*Dir, error) { return newDir(parent, id, true) }

// CreatePrivate is like [Create], for files of this process that are no
// action's: the directory is this user's alone, and has no [Dir.Temp].
func CreatePrivate(parent, id string) (*Dir, error) { return newDir(parent, id, false) }

func newDir(parent, id string, shared bool) (*Dir, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	path := filepath.Join(parent, prefix+id)
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	d := &Dir{path: path}
	var err error
	if shared {
		err = d.share()
	}
	if err == nil {
		err = d.open()
	}
	if err != nil {
		os.RemoveAll(path)
		return nil, err
	}
	return d, nil
}

// share lets every user in: an action may become another.
func (d *Dir) share() error {
	// Not by Mkdir, whose mode the caller's umask cuts.
	if err := os.Chmod(d.path, 0o755); err != nil {
		return fmt.Errorf("opening the action's directory to every user: %w", err)
	}
	if err := os.Mkdir(d.Temp(), 0o777); err != nil {
		return fmt.Errorf("making the action's temporary directory: %w", err)
	}
	if err := os.Chmod(d.Temp(), 0o777|os.ModeSticky); err != nil {
		return fmt.Errorf("opening the action's temporary directory to every user: %w", err)
	}
	return nil
}

func (d *Dir) open() error {
	f, err := os.OpenFile(filepath.Join(d.path, fileName), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("making a journal: %w", err)
	}
	if _, err := lock(f); err != nil {
		f.Close()
		return fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	d.file = f
	return nil
}

// Path returns the directory.
func (d *Dir) Path() string { return d.path }

// Temp returns the directory below it for the action's temporary files, which
// every user may write to.
func (d *Dir) Temp() string { return filepath.Join(d.path, tempName) }

// Add writes an operation to the disk. The change that it undoes may be made
// after Add has returned without an error, not before.
func (d *Dir) Add(op Op) error {
	if err := op.check(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.append(line{Op: &op}); err != nil {
		return err
	}
	if err := d.file.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", d.file.Name(), err)
	}
	d.todo = append(d.todo, op)
	return nil
}

// Done notes that the operation of that ID is undone already.
func (d *Dir) Done(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, op := range d.todo {
		if op.ID == id {
			d.todo = append(d.todo[:i], d.todo[i+1:]...)
			return d.append(line{Done: id})
		}
	}
	return nil
}

func (d *Dir) append(l line) error {
	if d.file == nil {
		return fmt.Errorf("writing the journal in %s: %w", d.path, fs.ErrClosed)
	}
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("writing %s: %w", d.file.Name(), err)
	}
	if _, err := d.file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("writing %s: %w", d.file.Name(), err)
	}
	return nil
}

// Close undoes what is not undone yet, the last change first, and removes the
// directory with all that it holds. It returns what it undid. The process that
// made the changes must have ended. When an operation fails, the directory
// stays for a later [Recover].
func (d *Dir) Close() (undone []Op, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		return nil, nil
	}
	var errs []error
	for i := len(d.todo) - 1; i >= 0; i-- {
		if err := d.todo[i].Undo(); err != nil {
			errs = append(errs, err)
			continue
		}
		undone = append(undone, d.todo[i])
	}
	d.todo = nil
	if len(errs) == 0 {
		errs = append(errs, RemoveAll(d.path))
	}
	errs = append(errs, d.file.Close())
	d.file = nil
	return undone, errors.Join(errs...)
}

// RemoveAll is [os.RemoveAll] for a tree whose directories may forbid their
// owner to write to them.
func RemoveAll(path string) error {
	err := os.RemoveAll(path)
	if err == nil {
		return nil
	}
	filepath.WalkDir(path, func(p string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			os.Chmod(p, 0o700)
		}
		return nil
	})
	if os.RemoveAll(path) == nil {
		return nil
	}
	return fmt.Errorf("removing temporary files: %w", err)
}

// Recover undoes what processes of this user left that died before they could,
// and removes their directories. An empty parent is [os.TempDir]. It returns a
// line for each operation and directory, for a person to read. Directories
// whose owner lives are left alone, as are those of other users.
func Recover(parent string) (report []string, err error) {
	if parent == "" {
		parent = os.TempDir()
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, fmt.Errorf("looking for what earlier runs left: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), prefix) || !entry.IsDir() {
			continue
		}
		lines, err := recoverDir(filepath.Join(parent, entry.Name()))
		report = append(report, lines...)
		errs = append(errs, err)
	}
	return report, errors.Join(errs...)
}

func recoverDir(path string) (report []string, err error) {
	if !own(path) {
		return nil, nil
	}
	name := filepath.Join(path, fileName)
	if !own(name) {
		return nil, nil // not a directory of ours, or one that is being made
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("looking at what an earlier run left: %w", err)
	}
	locked, err := lock(f)
	if err != nil || !locked {
		f.Close()
		return nil, err
	}
	d := &Dir{path: path, file: f}
	if d.todo, err = read(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	undone, err := d.Close()
	for _, op := range undone {
		report = append(report, fmt.Sprintf("undid what an earlier run left: %s", op))
	}
	if err != nil {
		return report, fmt.Errorf("undoing what an earlier run left in %s: %w", path, err)
	}
	return append(report, "removed what an earlier run left: "+path), nil
}

// read returns the operations that are not undone. A last line that is cut
// short was never acknowledged, so nothing was changed after it.
func read(r io.Reader) ([]Op, error) {
	var todo []Op
	in := bufio.NewReader(r)
	for {
		data, err := in.ReadBytes('\n')
		if err == io.EOF {
			return todo, nil
		}
		if err != nil {
			return nil, err
		}
		var l line
		if err := json.Unmarshal(data, &l); err != nil {
			return nil, err
		}
		if l.Op != nil {
			if err := l.Op.check(); err != nil {
				return nil, err
			}
			todo = append(todo, *l.Op)
		}
		for i := range todo {
			if l.Done != "" && todo[i].ID == l.Done {
				todo = append(todo[:i], todo[i+1:]...)
				break
			}
		}
	}
}
