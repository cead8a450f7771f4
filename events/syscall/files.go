// SPDX-License-Identifier: Apache-2.0

//go:build linux

package syscall

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/changes"
	"github.com/falcotest/go-falcotest/internal/config"
)

// readSensitiveFile opens a file that the rules call sensitive_files for
// reading, and reads its first byte: /etc/shadow where this process may, else
// a file of /etc/pam.d, which every user may read.
func readSensitiveFile(h events.Helper) error {
	err := readByte("/etc/shadow")
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading a sensitive file: %w", err)
	}
	h.Log().WithError(err).Info("falling back to a file of /etc/pam.d")
	files, _ := filepath.Glob("/etc/pam.d/*")
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && readByte(file) == nil {
			return nil
		}
	}
	return &events.ErrSkipped{Reason: "no sensitive file can be read: neither /etc/shadow nor any of /etc/pam.d"}
}

func readByte(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 1)); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// uniqueName is a file name that nobody else has. It carries the id of this run,
// so that an alert which prints the path can be attributed to it.
func uniqueName() string {
	name := "falcotest-"
	if id := config.ID(); id != "" {
		name += id + "-"
	}
	return name + strings.ToLower(rand.Text()[:8])
}

// undo sees that what is about to be made at a path of its own is removed when
// the action completes, and also when it is killed. Call it before making it.
func undo(h events.Helper, path string) error {
	return changes.Undo(h, changes.RemoveTree(path))
}

// tempDir makes an empty directory that every user may enter, among temporary
// files, and removes it with all that it holds when the action completes.
func tempDir(h events.Helper) (string, error) {
	return tempDirIn(h, os.TempDir())
}

func tempDirIn(h events.Helper, parent string) (string, error) {
	dir := filepath.Join(parent, uniqueName())
	if err := undo(h, dir); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask is
		return "", fmt.Errorf("opening a directory to every user: %w", err)
	}
	return dir, nil
}

// createIn creates a file of its own in an existing directory, as openat with
// O_CREAT and O_RDWR, writes a line to it, and removes it when the action
// completes.
func createIn(h events.Helper, dir string) (string, error) {
	return create(h, filepath.Join(dir, uniqueName()))
}

func create(h events.Helper, name string) (string, error) {
	if err := undo(h, name); err != nil {
		return "", err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString("# made by falcotest\n")
	return name, errors.Join(err, f.Close())
}

// tempFile creates a file of the given base name and content in a temporary
// directory of its own, making the folders between.
func tempFile(h events.Helper, name, content string) (string, error) {
	dir, err := tempDir(h)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	// Without O_TRUNC, which means something to rules.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", fmt.Errorf("making a file: %w", err)
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("writing a file: %w", err)
	}
	return path, nil
}

// ownDir makes sure that a directory exists, and removes the folders that it
// had to make when the action completes.
func ownDir(h events.Helper, dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	if err := ownDir(h, filepath.Dir(dir)); err != nil {
		return err
	}
	// Others may come to use it: it is removed only once it is empty.
	if err := changes.Undo(h, changes.RemoveFile(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// walk visits all files below a directory, as find and grep -r do.
func walk(dir string, visit func(path string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return visit(path)
	})
}

// searchRoot returns the directory that a copy running as find or grep was
// asked to search: the first argument that is an absolute path.
func searchRoot() (string, bool) {
	for _, arg := range os.Args[1:] {
		if filepath.IsAbs(arg) {
			return arg, true
		}
	}
	return "", false
}
