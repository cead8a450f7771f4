// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/falcotest/go-falcotest/internal/filelock"
)

// Recover undoes what processes of this user left that died before they could,
// and removes their directories. An empty parent is [os.TempDir], with
// what [CreateForSocket] made elsewhere. It returns a line for each operation and
// directory, for a person to read. Directories whose owner lives are left alone,
// as are those of other users.
func Recover(parent string) (report []string, err error) {
	if parent == "" {
		var errs []error
		for _, dir := range parents() {
			lines, err := Recover(dir)
			report, errs = append(report, lines...), append(errs, err)
		}
		return report, errors.Join(errs...)
	}
	names, err := namesIn(parent)
	if err != nil {
		return nil, fmt.Errorf("looking for what earlier runs left: %w", err)
	}
	var errs []error
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		lines, err := recoverDir(filepath.Join(parent, name))
		report = append(report, lines...)
		errs = append(errs, err)
	}
	return report, errors.Join(errs...)
}

// namesIn returns the names in a directory, in no order: there may be very many.
func namesIn(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func recoverDir(path string) (report []string, err error) {
	d := &Dir{path: path}
	defer d.letGo()
	if d.root, err = openDir(path); err != nil {
		return nil, nil // no directory, not this user's, or gone
	}
	info, err := d.root.Lstat(fileName)
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(filepath.Base(path), private) {
		// Its owner has died before it had a journal, or has not got there yet
		// and will make another.
		os.Remove(path)
		return nil, nil
	}
	if err != nil || !info.Mode().IsRegular() || !ours(info) {
		return nil, nil // not a directory of ours
	}
	if d.file, err = d.root.OpenFile(fileName, os.O_RDWR|os.O_APPEND, 0); err != nil {
		return nil, unlessGone(err)
	}
	if locked, err := filelock.Try(d.file); err != nil || !locked {
		return nil, err
	}
	if !d.hasJournal() || named(path, d.root) != nil {
		return nil, nil // its owner has removed or renamed it meanwhile
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), prefix), private)
	endProcesses(id)
	var unread error
	if d.todo, unread = read(d.file); unread != nil {
		unread = fmt.Errorf("reading %s: %w", d.file.Name(), unread)
	}
	undone, err := d.Close()
	for _, op := range undone {
		report = append(report, fmt.Sprintf("undid what an earlier run left: %s", op))
	}
	if err = errors.Join(unread, err); err != nil {
		return report, fmt.Errorf("undoing what an earlier run left in %s: %w", path, err)
	}
	return append(report, "removed what an earlier run left: "+path), nil
}

// read returns the operations that are not undone, and what is wrong with the
// journal. A line that is cut short was never acknowledged, so nothing was
// changed after it; what follows it stands.
func read(r io.Reader) ([]Op, error) {
	var todo []Op
	var errs []error
	in := bufio.NewReader(r)
	for {
		data, err := in.ReadBytes('\n')
		if err != nil {
			if err != io.EOF {
				errs = append(errs, err)
			}
			return todo, errors.Join(errs...)
		}
		l, ok := parse(data)
		if !ok {
			continue
		}
		if l.Op != nil {
			if err := l.Op.check(); err != nil {
				errs = append(errs, err)
				continue
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

// parse reads a line. One that was cut short may stand before it, without an
// end of its own. Quotes within values are escaped, so that only a line starts
// like one.
func parse(data []byte) (l line, ok bool) {
	start := max(0, bytes.LastIndex(data, []byte(`{"op":`)), bytes.LastIndex(data, []byte(`{"done":`)))
	err := json.Unmarshal(data[start:], &l)
	return l, err == nil
}
