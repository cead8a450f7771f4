// SPDX-License-Identifier: Apache-2.0

package turns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/filelock"
)

// files takes turns by locks on files of a folder that all users write to. What
// is in such a file, or whose it is, does not matter: it is never written to.
type files struct {
	dir string
}

func (p files) holder(string) string { return another }

func (p files) try(name, _ string) (func(), error) {
	path := filepath.Join(p.dir, name+".lock")
	f, err := p.open(path)
	if err != nil || f == nil {
		return nil, err
	}
	ok, err := filelock.Try(f)
	if err != nil || !ok || !filelock.Names(path, f) {
		f.Close()
		return nil, err // its last holder removed it between open and lock
	}
	return func() {
		// While it is locked, nobody else can have locked it. Another user's
		// stays.
		os.Remove(path)
		f.Close()
	}, nil
}

// open opens the lock's file, or makes it; it returns nil to be tried again.
func (p files) open(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return nil, nil
		}
		if err == nil {
			err = f.Chmod(0o644) // whatever the umask says, others must be able to open it
		}
		if err != nil {
			if f != nil {
				f.Close()
			}
			return nil, err
		}
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || links(info) > 1 {
		return nil, fmt.Errorf("%s is not the lock that falcotest makes there but %s: see who made it, and remove it", path, kind(info))
	}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // it vanished meanwhile, as its holder ended
	case errors.Is(err, fs.ErrPermission):
		if time.Since(info.ModTime()) < time.Second {
			return nil, nil // perhaps it is just being made
		}
		return nil, fmt.Errorf("%w: it is another user's, who lets nobody else open it: see who made it, and remove it", err)
	case err != nil:
		return nil, err
	}
	return f, nil
}

func kind(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsRegular():
		return "a file that has other names, too"
	}
	return "no file"
}

// folders takes turns by locks on a folder that there is. Processes that may not
// read it do without.
type folders struct {
	path string
}

// locked are the folders that this process has locked, by their files.
var locked struct {
	sync.Mutex
	folders []*lockedFolder
}

type lockedFolder struct {
	file  *os.File
	info  fs.FileInfo
	turns int
}

func (p folders) holder(string) string { return another + " on this machine, perhaps in a container," }

func (p folders) try(string, string) (func(), error) {
	nothing := func() {}
	f, err := os.Open(p.path)
	if err != nil {
		return nothing, nil
	}
	info, err := f.Stat()
	if err != nil || !info.IsDir() {
		f.Close()
		return nothing, nil
	}
	locked.Lock()
	defer locked.Unlock()
	for _, l := range locked.folders {
		if os.SameFile(l.info, info) {
			f.Close()
			l.turns++
			return l.release, nil
		}
	}
	ok, err := filelock.Try(f)
	if err != nil || !ok {
		f.Close()
		if err != nil { // the file system has no locks
			return nothing, nil
		}
		return nil, nil
	}
	l := &lockedFolder{file: f, info: info, turns: 1}
	locked.folders = append(locked.folders, l)
	return l.release, nil
}

func (l *lockedFolder) release() {
	locked.Lock()
	defer locked.Unlock()
	if l.turns--; l.turns > 0 {
		return
	}
	l.file.Close()
	for i, other := range locked.folders {
		if other == l {
			locked.folders = append(locked.folders[:i], locked.folders[i+1:]...)
			return
		}
	}
}
