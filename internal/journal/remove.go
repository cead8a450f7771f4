// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// openDir opens a directory of this user's that no other may write to. A
// symbolic link is none.
func openDir(path string) (*os.Root, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil && !ours(info) {
		err = fmt.Errorf("%s is not this user's alone", path)
	}
	if err == nil {
		err = named(path, root)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// named returns nil if a path names an open directory, and is no link to it.
func named(path string, root *os.Root) error {
	is, err := root.Stat(".")
	if err != nil {
		return err
	}
	there, err := os.Lstat(path)
	if err == nil && !os.SameFile(is, there) {
		err = fmt.Errorf("%s has been replaced", path)
	}
	return err
}

// ours tells whether a file or directory belongs to this user and no other may
// write to it: what it says is then ours to do.
func ours(info fs.FileInfo) bool {
	uid, _ := owner(info)
	return uid == os.Geteuid() && (uid < 0 || info.Mode()&0o022 == 0)
}

// remove removes the directory, its journal last. It has no more its own name
// then, so that nobody can put more into it by its path.
func (d *Dir) remove() error {
	at := d.path
	if err := named(at, d.root); err != nil {
		return unlessGone(fmt.Errorf("removing temporary files: %w", err))
	}
	if renames && !strings.Contains(filepath.Base(at), private) {
		at = privateName(at)
		if err := os.Rename(d.path, at); err != nil {
			return fmt.Errorf("removing temporary files: %w", err)
		}
	}
	d.root.Chmod(tempName, 0o700) // it may have none
	err := empty(d.root, fileName, time.Now().Add(patience))
	if err == nil {
		err = unlessGone(d.root.Remove(fileName))
	}
	if err == nil {
		err = unlessGone(os.Remove(at))
	}
	if err != nil {
		return fmt.Errorf("removing temporary files in %s: %w", at, err)
	}
	return nil
}

// removeTree removes a file, or a directory with all that it holds.
func removeTree(path string) error {
	parent, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return unlessGone(err)
	}
	defer parent.Close()
	return removeEntry(parent, filepath.Base(path), time.Now().Add(patience))
}

// errSlow says that a directory cannot be emptied in time.
var errSlow = errors.New("there is too much in it, or something still writes to it: a later run goes on")

// empty removes all that a directory holds, but what is named keep. It follows
// no links, and removes also from directories that forbid their owner to write
// to them.
func empty(root *os.Root, keep string, deadline time.Time) error {
	for {
		names, err := someNames(root)
		if err != nil {
			return unlessGone(err)
		}
		left := 0
		var errs []error
		for _, name := range names {
			if name == keep {
				continue
			}
			left++
			errs = append(errs, removeEntry(root, name, deadline))
		}
		if err := errors.Join(errs...); err != nil || left == 0 {
			return err
		}
	}
}

// someNames returns some of the names in a directory, all if they are few.
func someNames(root *os.Root) ([]string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(1024)
	if err == io.EOF {
		err = nil
	}
	return names, err
}

func removeEntry(in *os.Root, name string, deadline time.Time) error {
	if time.Now().After(deadline) {
		return errSlow
	}
	err := unlessGone(in.Remove(name))
	if err == nil {
		return nil
	}
	info, is := in.Lstat(name)
	if is != nil {
		return unlessGone(is)
	}
	if !info.IsDir() {
		return err
	}
	sub, err := in.OpenRoot(name)
	if errors.Is(err, fs.ErrPermission) {
		in.Chmod(name, 0o700)
		sub, err = in.OpenRoot(name)
	}
	if err != nil {
		return unlessGone(err)
	}
	defer sub.Close()
	if info.Mode()&0o700 != 0o700 {
		sub.Chmod(".", 0o700)
	}
	if err := empty(sub, "", deadline); err != nil {
		return err
	}
	return unlessGone(in.Remove(name))
}
