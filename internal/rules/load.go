// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/input"
)

// maxFile is how large a rules file may be, in bytes. The largest of the
// upstream ones has 95 kB.
const maxFile = 8 << 20

// maxAhead is how many files are parsed before their turn.
const maxAhead = 8

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
	f, err := input.Open(name)
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
	l := &loader{collector: newCollector(), sources: map[string]filter.Source{}, files: map[string]*file{}, compilers: map[string]*filter.Compiler{}, rulesByWord: map[string][]*rule{}}
	for _, s := range opts.Sources {
		l.sources[s.Name()] = s
	}
	set := &Set{programs: map[string]*filter.Program{}}
	read := make([]*file, len(files))
	for i, f := range files {
		set.Files = append(set.Files, f.Name)
		if len(f.Data) > maxFile {
			l.errs = append(l.errs, &Problem{Code: ErrFileRead, Pos: filter.Pos{File: f.Name}, Msg: fmt.Sprintf("the file is larger than %d MiB", maxFile>>20)})
			continue
		}
		read[i] = newFile(f.Name, f.Data)
		l.files[f.Name] = read[i]
	}
	// Parsing the YAML is a third of the work, and can be done for several files at
	// once, not for all: what is parsed is large. What the items mean depends on
	// their order.
	var wg sync.WaitGroup
	defer wg.Wait()
	ahead := 0
	whole := len(l.errs) == 0
	for i, f := range read {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("loading rules: %w", err)
		}
		for ; ahead < len(read) && ahead < i+maxAhead; ahead++ {
			if read[ahead] != nil {
				wg.Go(read[ahead].parse)
			}
		}
		if f == nil {
			continue
		}
		<-f.parsed
		r := &reader{loader: l, file: f}
		errs := len(l.errs)
		r.read()
		f.release()
		whole = whole && len(l.errs) == errs
		if whole { // what is missing would only cause more errors
			if err := l.compile(ctx); err != nil {
				return nil, fmt.Errorf("loading rules: %w", err)
			}
		}
	}
	if opts.Plugins != nil {
		l.checkPlugins(opts.Plugins)
	}
	if len(l.errs) > 0 {
		l.explainLater()
		l.gather()
		return nil, &Error{Problems: l.errs, Warnings: l.warnings, Remarks: l.remarks}
	}
	l.assemble(set)
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
	sources   map[string]filter.Source
	compilers map[string]*filter.Compiler // by source
	files     map[string]*file
	// rulesByWord are the rules that were compiled, by the words in their conditions.
	rulesByWord map[string][]*rule

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

// otherPlugins are the plugins of falcosecurity/plugins that Options.Plugins may
// lack: their events or fields are not here, which their rules say one by one.
var otherPlugins = []string{"anomalydetection", "cloudtrail", "collector", "dummy", "dummy_c", "gcpaudit", "github", "json", "k8saudit",
	"k8saudit-aks", "k8saudit-eks", "k8saudit-gke", "k8saudit-ovh", "k8smeta", "kafka", "krsi", "okta"}

// checkPlugins refuses requirements that the plugins do not satisfy. One that
// names a well-known plugin, which is not here, is a remark: only rules that use
// that plugin cannot be judged.
func (l *loader) checkPlugins(have map[string]string) {
requirements:
	for _, req := range l.plugins {
		var want []string
		wellKnown := false
		for _, alt := range req.alternatives {
			w, _ := parseVersion(alt.Version)
			if version, ok := have[alt.Name]; ok {
				if h, ok := parseVersion(version); ok && h.satisfies(w) {
					continue requirements
				}
				l.errs = append(l.errs, l.problem(ErrValidate, req.pos, "required_plugin_versions",
					fmt.Sprintf("the rules require the plugin %s in version %s, but its version is %s", alt.Name, alt.Version, version)))
				continue requirements
			}
			wellKnown = wellKnown || slices.Contains(otherPlugins, alt.Name)
			want = append(want, alt.Name+" (>= "+alt.Version+")")
		}
		msg := "plugin requirement not satisfied, one of these must be there: " + strings.Join(want, ", ")
		if wellKnown {
			l.remark(req.pos, "%s", msg).hint("rules that use it are not judged; a Falco without it refuses the file")
			continue
		}
		l.errs = append(l.errs, l.problem(ErrValidate, req.pos, "required_plugin_versions", msg).
			hint("the plugins that are here are %s: judge these rules with a Falco that loads the others", strings.Join(slices.Sorted(maps.Keys(have)), ", ")))
	}
}

// TestFileSuffix is what the names of files of tests beside rules end in.
const TestFileSuffix = "_falcotest.yaml"

// IsTestFile tells whether a file is one of tests, by its name.
func IsTestFile(name string) bool { return strings.HasSuffix(name, TestFileSuffix) }

// Files are rules files that were found.
type Files struct {
	Names []string

	// Left are the files that a folder or a glob stands for and that are no rules
	// files, because their names end neither in .yaml nor in .yml.
	Left []string
}

// Find expands what a user names as rules files: files, directories, and globs
// of both, in order. A directory stands for the .yaml and .yml files in it, and a
// glob for those that it matches, by name; a file "x.local.yaml" comes after
// "x.yaml", as Falco loads its own falco_rules.local.yaml. A file that is named
// several times counts where it is named first. A pattern that stands for nothing
// is an error. Files of tests, which lie beside the rules, are passed over unless
// they are named one by one.
func Find(patterns ...string) (*Files, error) {
	found := &Files{}
	seen := map[string]bool{}
	for _, p := range patterns {
		names, left, err := expand(p)
		if err != nil {
			return nil, fmt.Errorf("finding rules files: %w", err)
		}
		if len(names) == 0 {
			err := fmt.Errorf("finding rules files: nothing matches %q (a file, a directory with .yaml files, or a glob)", p)
			if len(left) > 0 {
				err = fmt.Errorf("%w: %s: neither .yaml nor .yml", err, strings.Join(left[:min(3, len(left))], ", "))
			}
			return nil, err
		}
		for _, name := range names {
			key := name
			if abs, err := filepath.Abs(name); err == nil {
				key = abs
			}
			if !seen[key] {
				seen[key] = true
				found.Names = append(found.Names, name)
			}
		}
		for _, name := range left {
			if !slices.Contains(found.Left, name) {
				found.Left = append(found.Left, name)
			}
		}
	}
	return found, nil
}

// expand lists the rules files that a pattern stands for, and what else it does.
func expand(pattern string) (names, left []string, err error) {
	matches, isGlob := []string{pattern}, false
	if _, err := os.Lstat(pattern); err != nil {
		if matches, err = filepath.Glob(pattern); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", pattern, err)
		}
		isGlob = true
	}
	sortRulesFiles(matches)
	for _, name := range matches {
		info, err := os.Stat(name)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case isGlob && !info.IsDir() && IsTestFile(name):
		case !info.IsDir() && (!isGlob || isRulesFile(name)):
			names = append(names, name)
		case !info.IsDir():
			left = append(left, name)
		default:
			entries, err := os.ReadDir(name)
			if err != nil {
				return nil, nil, err
			}
			var within []string
			for _, e := range entries {
				full := filepath.Join(name, e.Name())
				info, err := os.Stat(full)
				switch {
				case err != nil || !info.Mode().IsRegular() || IsTestFile(full):
				case isRulesFile(full):
					within = append(within, full)
				default:
					left = append(left, full)
				}
			}
			sortRulesFiles(within)
			names = append(names, within...)
		}
	}
	return names, left, nil
}

func isRulesFile(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}

// sortRulesFiles sorts by name, x.local.yaml as if it were x.yaml and behind it.
func sortRulesFiles(names []string) {
	key := func(name string) (string, int) {
		ext := filepath.Ext(name)
		base, local := strings.CutSuffix(strings.TrimSuffix(name, ext), ".local")
		if local {
			return base + ext, 1
		}
		return name, 0
	}
	slices.SortStableFunc(names, func(a, b string) int {
		keyA, localA := key(a)
		keyB, localB := key(b)
		return cmp.Or(strings.Compare(keyA, keyB), localA-localB)
	})
}
