// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// formats are the kinds of files, by the end of their names. The longest end that
// fits counts.
var formats = []struct {
	end, is string
	write   func(*Document, io.Writer) error
}{
	{".codequality.json", "GitLab's code quality", (*Document).CodeQuality},
	{".navigator.json", "a layer of the ATT&CK Navigator", (*Document).Navigator},
	{".json", "all of it", (*Document).JSON},
	{".md", "Markdown", (*Document).Markdown},
	{".html", "a page", (*Document).HTML},
	{".xml", "JUnit's XML", (*Document).JUnit},
	{".sarif", "SARIF, for code scanning", (*Document).SARIF},
	{".cov", "a cover profile of the rules files", (*Document).CoverProfile},
}

func format(file string) func(*Document, io.Writer) error {
	for _, f := range formats {
		if strings.HasSuffix(file, f.end) {
			return f.write
		}
	}
	return nil
}

// Check tells whether files have names whose ends say what to write into them.
func Check(files []string) error {
	for _, file := range files {
		if format(file) != nil {
			continue
		}
		var ends []string
		for _, f := range formats {
			ends = append(ends, f.end+" ("+f.is+")")
		}
		return fmt.Errorf("%q does not end in any of %s", file, strings.Join(ends, ", "))
	}
	return nil
}

// Write writes a document into files, each in the format that its name's end says.
// A file is replaced as a whole, so that whoever reads it sees the old or the new one.
func (d *Document) Write(files ...string) error {
	for _, file := range files {
		write := format(file)
		if write == nil {
			return Check(files)
		}
		var b bytes.Buffer
		if err := write(d, &b); err != nil {
			return fmt.Errorf("writing the report %s: %w", file, err)
		}
		if err := replace(file, b.Bytes()); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

func replace(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".falcotest-report-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Parts is a folder in which the packages of one run leave what they found, so that
// whoever ends last writes the reports of all.
type Parts struct {
	Dir string
	// Run tells the runs of go test from each other. What another run left in the
	// folder is removed.
	Run string
}

const runFile = "run"

// Add adds a run's report to the folder and returns the document of all that are
// there. The caller holds a lock: no two may add to one folder at a time.
func (p Parts) Add(r *Report) (*Document, error) {
	fail := func(err error) (*Document, error) {
		return nil, fmt.Errorf("adding to the reports in %s: %w", p.Dir, err)
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return fail(err)
	}
	last, err := os.ReadFile(filepath.Join(p.Dir, runFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if string(last) != p.Run {
		old, err := filepath.Glob(filepath.Join(p.Dir, "*.json"))
		if err != nil {
			return fail(err)
		}
		for _, file := range old {
			if err := os.Remove(file); err != nil {
				return fail(err)
			}
		}
		if err := os.WriteFile(filepath.Join(p.Dir, runFile), []byte(p.Run), 0o644); err != nil {
			return fail(err)
		}
		// The folder stands in a checkout, and is not for committing.
		if err := os.WriteFile(filepath.Join(p.Dir, ".gitignore"), []byte("*\n"), 0o644); err != nil {
			return fail(err)
		}
	}
	var b bytes.Buffer
	if err := NewDocument(r).JSON(&b); err != nil {
		return fail(err)
	}
	if err := replace(filepath.Join(p.Dir, name(r.Package+" "+r.Test)+".json"), b.Bytes()); err != nil {
		return fail(err)
	}
	return Merge(p.Dir)
}

// name makes a file's name of a text.
func name(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_') {
			b.WriteRune(r)
		} else {
			b.WriteString("%" + strconv.FormatInt(int64(r), 16))
		}
	}
	return b.String()
}

// Merge reads the reports in JSON that are given as files or stand in folders, and
// returns the document of all. Of several of one test in one package, the one read
// last counts.
func Merge(paths ...string) (*Document, error) {
	var runs []*Report
	at := map[[2]string]int{}
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil {
				return nil, err
			}
		}
		for _, file := range files {
			d, err := readFile(file)
			if err != nil {
				return nil, err
			}
			for _, r := range d.Runs {
				key := [2]string{r.Package, r.Test}
				if i, ok := at[key]; ok {
					runs[i] = r
					continue
				}
				at[key] = len(runs)
				runs = append(runs, r)
			}
		}
	}
	return NewDocument(runs...), nil
}

func readFile(file string) (*Document, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := Read(f)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, fmt.Errorf("%s: %w (at byte %d)", file, err, syntax.Offset)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}
