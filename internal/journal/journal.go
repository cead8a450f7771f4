// SPDX-License-Identifier: Apache-2.0

// Package journal writes down how to undo a change before the change is made,
// so that another process can undo it when the one that made it has died.
//
// A [Dir] is the directory of one action: its journal, and the temporary files
// that the action makes. The process that runs the action owns it and holds a
// lock on the journal; the lock goes with the process, however it ends. What a
// dead owner left is found by [Recover], undone and removed.
//
// A directory has a private name while it is made and while it is removed: under
// its own name it always has a journal, which is locked from its first moment
// on, and which goes last. Directories are worked in by descriptors, never by
// paths that another user may turn into links.
//
// The package imports internal/filelock alone. Operations enter from the process
// that is about to change something, and leave to the disk.
package journal

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/filelock"
)

// Temporary is what the names of directories of this package's begin with, and the
// full names of users whom [Dir.AddUsers] made.
const Temporary = prefix

const (
	prefix   = "falcotest-" // of directories, before the id of the action
	private  = "~"          // is in their names while they are made and removed
	fileName = "journal"
	tempName = "tmp"
)

// patience is how long removing a directory may take: others may still write to
// it, or may have left more than a run can wait for.
var patience = 10 * time.Second

// Dir is the directory of one action and its journal. It is safe for
// concurrent use.
type Dir struct {
	path string

	mu   sync.Mutex
	root *os.Root // the directory, whatever its name
	file *os.File
	torn bool // the file ends in a part of a line
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
	d := &Dir{path: filepath.Join(parent, prefix+id)}
	for {
		err := d.make(shared)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, errTaken) {
			return nil, err
		}
	}
}

// errTaken says that another process met the directory before its journal was
// locked, took it for a dead run's, and removes it.
var errTaken = errors.New("the directory was taken for a dead run's")

// privateName returns a name beside path that no one else has.
func privateName(path string) string { return path + private + rand.Text()[:8] }

func (d *Dir) make(shared bool) (err error) {
	at := d.path
	if renames {
		at = privateName(d.path)
	}
	if err := os.Mkdir(at, 0o700); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() {
		if err != nil {
			d.letGo()
		}
		if err != nil && err != errTaken {
			os.RemoveAll(at)
		}
	}()
	d.root, err = openDir(at)
	if err == nil {
		d.file, err = d.root.OpenFile(fileName, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errTaken
	}
	if err != nil {
		return fmt.Errorf("making a journal: %w", err)
	}
	locked, err := filelock.Try(d.file)
	if err != nil {
		return err
	}
	if !locked || !d.hasJournal() {
		return errTaken
	}
	if shared {
		if err := d.share(); err != nil {
			return err
		}
	}
	if at != d.path {
		if err := os.Rename(at, d.path); err != nil {
			return fmt.Errorf("making a directory: %w", err)
		}
	}
	return nil
}

// hasJournal tells whether the open journal is the directory's, still.
func (d *Dir) hasJournal() bool {
	is, err := d.file.Stat()
	if err != nil {
		return false
	}
	named, err := d.root.Lstat(fileName)
	return err == nil && os.SameFile(is, named)
}

// share lets every user in: an action may become another.
func (d *Dir) share() error {
	// Not by Mkdir, whose mode the caller's umask cuts.
	if err := d.root.Chmod(".", 0o755); err != nil {
		return fmt.Errorf("opening the action's directory to every user: %w", err)
	}
	if err := d.root.Mkdir(tempName, 0o777); err != nil {
		return fmt.Errorf("making the action's temporary directory: %w", err)
	}
	if err := d.root.Chmod(tempName, 0o777|os.ModeSticky); err != nil {
		return fmt.Errorf("opening the action's temporary directory to every user: %w", err)
	}
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
	if d.torn { // by an earlier write that failed, as where the disk is full
		data = append([]byte{'\n'}, data...)
	}
	n, err := d.file.Write(append(data, '\n'))
	d.torn = err != nil && (n > 0 || d.torn)
	if err != nil {
		return fmt.Errorf("writing %s: %w", d.file.Name(), err)
	}
	return nil
}

// Close undoes what is not undone yet, the last change first, and removes the
// directory with all that it holds. It returns what it undid. The process that
// made the changes must have ended. When an operation fails, or the directory
// cannot be removed within some seconds, it stays for a later [Recover].
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
		errs = append(errs, d.remove())
	}
	return undone, errors.Join(append(errs, d.letGo())...)
}

// letGo closes the directory and the journal, and so unlocks it.
func (d *Dir) letGo() error {
	var errs []error
	if d.file != nil {
		errs = append(errs, d.file.Close())
	}
	if d.root != nil {
		errs = append(errs, d.root.Close())
	}
	d.file, d.root = nil, nil
	return errors.Join(errs...)
}
