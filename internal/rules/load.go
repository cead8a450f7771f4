// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// maxFile is how large a rules file may be, in bytes. The largest of the
// upstream ones has 95 kB.
const maxFile = 8 << 20

// Options say what rules are loaded for.
type Options struct {
	// Sources are the sources of events whose rules are loaded. Rules of other
	// sources are left out, with a warning. None: no rule is loaded.
	Sources []filter.Source

	// Plugins are the versions of plugins that are there, by name. When it is
	// not nil, required_plugin_versions that they do not satisfy are errors.
	Plugins map[string]string
}

// File is a rules file in memory.
type File struct {
	Name string // as it shall stand in messages
	Data []byte
}

// Load reads rules files in the order given and returns what they amount to. An
// error about what the files hold is an [*Error] with all that is wrong.
// It is safe for concurrent use.
func Load(ctx context.Context, names []string, opts Options) (*Set, error) {
	var files []File
	var errs []*Problem
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("loading rules: %w", err)
		}
		data, err := readFile(name)
		if err != nil {
			errs = append(errs, &Problem{Code: ErrFileRead, Pos: filter.Pos{File: name}, Msg: err.Error(), Hint: "does the file exist, and may it be read?"})
			continue
		}
		files = append(files, File{name, data})
	}
	if len(errs) > 0 {
		return nil, &Error{Problems: errs}
	}
	return LoadFiles(ctx, files, opts)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cause(err)
	}
	return data, nil
}

// cause is an error without the file's name, which the problem has already.
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// LoadFiles is like [Load], for files in memory.
func LoadFiles(ctx context.Context, files []File, opts Options) (*Set, error) {
	l := &loader{collector: newCollector(), sources: map[string]filter.Source{}, files: map[string]*file{}}
	for _, s := range opts.Sources {
		l.sources[s.Name()] = s
	}
	set := &Set{programs: map[string]*filter.Program{}}
	// Parsing the YAML is a third of the work, and can be done for all files at
	// once; what the items mean depends on their order.
	read := make([]*file, len(files))
	var wg sync.WaitGroup
	for i, f := range files {
		set.Files = append(set.Files, f.Name)
		if len(f.Data) > maxFile {
			l.errs = append(l.errs, &Problem{Code: ErrFileRead, Pos: filter.Pos{File: f.Name}, Msg: fmt.Sprintf("the file is larger than %d MiB", maxFile>>20)})
			continue
		}
		read[i] = newFile(f.Name, f.Data)
		l.files[f.Name] = read[i]
		wg.Go(read[i].parse)
	}
	wg.Wait()
	for _, f := range read {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("loading rules: %w", err)
		}
		if f != nil {
			r := &reader{loader: l, file: f}
			r.read()
		}
	}
	if opts.Plugins != nil {
		l.checkPlugins(opts.Plugins)
	}
	if len(l.errs) == 0 { // what is missing would only cause more errors
		if err := l.compile(ctx, set); err != nil {
			return nil, fmt.Errorf("loading rules: %w", err)
		}
	}
	if len(l.errs) > 0 {
		return nil, &Error{Problems: l.errs, Warnings: l.warnings, Remarks: l.remarks}
	}
	set.Warnings, set.Remarks = l.warnings, l.remarks
	if l.engine != (version{}) {
		set.RequiredEngine = l.engine.String()
	}
	for _, p := range l.plugins {
		set.RequiredPlugins = append(set.RequiredPlugins, p.alternatives)
	}
	return set, nil
}

// loader is the state of one load.
type loader struct {
	*collector
	sources  map[string]filter.Source
	files    map[string]*file
	errs     []*Problem
	warnings []*Problem
	remarks  []*Problem
}

// problem makes a problem with the line that it is about.
func (l *loader) problem(code Code, pos filter.Pos, item, msg string) *Problem {
	p := &Problem{Code: code, Item: item, Pos: pos, Msg: msg}
	if f := l.files[pos.File]; f != nil && pos.Line > 0 {
		p.Snippet = snippet(f.Line(pos.Line), pos.Column)
	}
	return p
}

func (l *loader) sourceNames() string {
	var names []string
	for n := range l.sources {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (l *loader) checkPlugins(have map[string]string) {
requirements:
	for _, req := range l.plugins {
		var want []string
		for _, alt := range req.alternatives {
			w, _ := parseVersion(alt.Version)
			if h, ok := parseVersion(have[alt.Name]); ok && h.satisfies(w) {
				continue requirements
			}
			want = append(want, alt.Name+" (>= "+alt.Version+")")
		}
		l.errs = append(l.errs, l.problem(ErrValidate, req.pos, "required_plugin_versions", "plugin requirement not satisfied, one of these must be there: "+strings.Join(want, ", ")))
	}
}

// Find expands what a user names as rules files: files, directories, and globs
// of both, in order. A directory stands for the .yaml and .yml files in it, by
// name. A file that is named several times counts where it is named first. A
// pattern that stands for nothing is an error.
func Find(patterns ...string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	add := func(name string) {
		key := name
		if abs, err := filepath.Abs(name); err == nil {
			key = abs
		}
		if !seen[key] {
			seen[key] = true
			files = append(files, name)
		}
	}
	for _, p := range patterns {
		names := []string{p}
		if _, err := os.Lstat(p); err != nil {
			var globErr error
			if names, globErr = filepath.Glob(p); globErr != nil {
				return nil, fmt.Errorf("finding rules files %q: %w", p, globErr)
			}
		}
		found := false
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				return nil, fmt.Errorf("finding rules files: %w", err)
			}
			if !info.IsDir() {
				add(name)
				found = true
				continue
			}
			entries, err := os.ReadDir(name)
			if err != nil {
				return nil, fmt.Errorf("finding rules files: %w", err)
			}
			for _, e := range entries {
				full := filepath.Join(name, e.Name())
				if ext := filepath.Ext(full); ext != ".yaml" && ext != ".yml" {
					continue
				}
				if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() {
					add(full)
					found = true
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("finding rules files: nothing matches %q (a file, a directory with .yaml files, or a glob)", p)
		}
	}
	return files, nil
}
