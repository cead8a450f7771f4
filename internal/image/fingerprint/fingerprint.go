// SPDX-License-Identifier: Apache-2.0

// Package fingerprint is how a test binary knows whether an image was made of it:
// the image holds a list of the binaries and of the files that it was made of, by
// their SHA-256. The binaries that go test makes have the folder of their sources in
// them, and an image is to be the same wherever it was made: they are noted in the
// user's cache, each with the image that was made beside it.
//
// Package image writes the list, and asks test binaries which files they read; the
// binaries answer by [Tell]. In a pod the list is read by [Read]; the driver of a
// run compares itself with it by [List.Check]. It imports nothing of this project,
// and no library: whatever tests rules links it.
package fingerprint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Path is where the list is in an image.
const Path = "/falcotest/fingerprints.json"

// List says what an image was made of.
type List struct {
	// Package is the import path of the tests' package.
	Package string `json:"package"`
	// Binaries are the test binaries in it, and, where GOFLAGS has -trimpath, those
	// that go test makes of the same sources.
	Binaries []Binary `json:"binaries"`
	// Tests are the functions that run tests of rules, with the names of the files
	// that each reads, as it names them.
	Tests map[string][]string `json:"tests"`
	// Files are the SHA-256 of those files, by their names.
	Files map[string]string `json:"files"`
}

// Binary is a test binary.
type Binary struct {
	SHA256 string `json:"sha256"`
	Made   string `json:"made"` // how, such as "go test, linux/amd64"
}

// Read reads the list of the image that this process runs in. Outside of one, the
// error is [fs.ErrNotExist].
func Read() (*List, error) { return read(Path) }

func read(name string) (*List, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading what the image was made of: %w", err)
	}
	l := new(List)
	if err := json.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("reading what the image was made of: %s: %w", name, err)
	}
	return l, nil
}

// Self returns the SHA-256 of this executable.
var Self = sync.OnceValues(func() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this executable: %w", err)
	}
	return Of(exe)
})

// Of returns the SHA-256 of a file, in hexadecimal.
func Of(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("taking the fingerprint of a file: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("taking the fingerprint of %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ID tells what is in the image from what is in any other.
func (l *List) ID() string {
	text, err := json.Marshal(l) // maps in the order of their keys
	if err != nil {
		panic(err) // it is strings alone
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// noted is the folder of the user's notes: files that are called like the SHA-256
// of a binary and have the IDs of its images, a line each, the newest last.
func noted() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "falcotest", "images"), err
}

// forgetAfter is how long a note is kept.
const forgetAfter = 30 * 24 * time.Hour

// Note notes for this user that the image is of these binaries.
func (l *List) Note(binaries ...Binary) error {
	dir, err := noted()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("noting which binaries the image is of: %w", err)
	}
	old, err := os.ReadDir(dir)
	for _, e := range old {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > forgetAfter {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	errs := []error{err}
	for _, b := range binaries {
		f, err := os.OpenFile(filepath.Join(dir, b.SHA256), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(l.ID() + "\n")
			err = errors.Join(err, f.Close())
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("noting which binaries the image is of: %w", err)
	}
	return nil
}

// IsOf tells whether the image is of a binary, by its SHA-256.
func (l *List) IsOf(sum string) bool {
	if slices.ContainsFunc(l.Binaries, func(b Binary) bool { return b.SHA256 == sum }) {
		return true
	}
	dir, err := noted()
	if err != nil {
		return false
	}
	ids, err := os.ReadFile(filepath.Join(dir, sum))
	return err == nil && slices.Contains(strings.Fields(string(ids)), l.ID())
}

// Command makes an image anew.
const Command = "go tool falcotest image"

// Check compares the image with this executable and the files that a test reads
// here. The error is a [*Mismatch] if the image is not of them.
func (l *List) Check(test string, files []string) error {
	self, err := Self()
	if err != nil {
		return err
	}
	return l.check(self, test, files)
}

func (l *List) check(self, test string, files []string) error {
	m := &Mismatch{Package: l.Package, Test: test, Binary: !l.IsOf(self)}
	inside, ok := l.Tests[test]
	if m.NoTest = !ok; !ok {
		return m
	}
	// Names are compared as they are in the image, whose slashes are those of Linux.
	here := map[string]bool{}
	for _, name := range files {
		slashed := filepath.ToSlash(name)
		here[slashed] = true
		sum, err := Of(name)
		switch {
		case err != nil:
			return err
		case !slices.Contains(inside, slashed):
			m.New = append(m.New, slashed)
		case sum != l.Files[slashed]:
			m.Changed = append(m.Changed, slashed)
		}
	}
	for _, name := range inside {
		if !here[name] {
			m.Gone = append(m.Gone, name)
		}
	}
	if !m.Binary && len(m.New)+len(m.Changed)+len(m.Gone) == 0 {
		return nil
	}
	return m
}

// Mismatch says in what an image differs from what is here.
type Mismatch struct {
	Package string // of the image
	Test    string
	Binary  bool     // the executable is another
	NoTest  bool     // the test is none of the image's
	Changed []string // files with another content
	New     []string // files that are here and not in the image
	Gone    []string // files that the test reads in the image, and not here
}

func (m *Mismatch) Error() string {
	var b strings.Builder
	b.WriteString("the image was not made of what is tested here")
	files := func(what string, names []string) {
		const most = 5
		if len(names) == 0 {
			return
		}
		more := ""
		if n := len(names) - most; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(&b, "\n  %s%s%s", what, strings.Join(names[:min(most, len(names))], ", "), more)
	}
	if m.NoTest {
		fmt.Fprintf(&b, "\n  test      it has the tests of %s, and %s is not one of rules there", m.Package, m.Test)
	} else if m.Binary {
		b.WriteString("\n  binary    another than those that were built beside the image")
	}
	files("changed   ", m.Changed)
	files("lacks     ", m.New)
	files("too many  ", m.Gone)
	fmt.Fprintf(&b, "\n  next      make it anew: %s", Command)
	if m.Binary && !m.NoTest {
		b.WriteString(", here, with the GOFLAGS and CGO_ENABLED of go test (-race, -cover and -tags on its command line make another binary);" +
			"\n            made on another machine, an image is known with GOFLAGS=-trimpath on both")
	}
	return b.String()
}

// Session is which files a test reads.
type Session struct {
	Test  string   `json:"test"`
	Files []string `json:"files"`
}

// Tell adds a session to what is told in a file.
func Tell(name string, s Session) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("telling which files the tests read: %w", err)
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("telling which files the tests read: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("telling which files the tests read: %w", err)
	}
	return nil
}

// Told returns what was told in a file; nothing if there is none.
func Told(name string) ([]Session, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading which files the tests read: %w", err)
	}
	defer f.Close()
	var all []Session
	for d := json.NewDecoder(f); ; {
		var s Session
		switch err := d.Decode(&s); {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("reading which files the tests read: %s: %w", name, err)
		}
		all = append(all, s)
	}
}
