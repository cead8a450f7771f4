// SPDX-License-Identifier: Apache-2.0

// Package filtertest has a source of events for tests of conditions and rules:
// its fields are given by tables, and an event is a map of their values.
//
// It imports internal/filter alone.
package filtertest

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

// Event is an event of a [Source]: the values of its fields by their names with
// arguments, as conditions write them.
type Event map[string]filter.Value

// Source is a source whose fields read an [Event].
type Source struct {
	Label string
	// Fields are the fields by name; Get is filled in.
	Fields map[string]filter.Field
}

// Name returns the label.
func (s *Source) Name() string { return s.Label }

// Field returns the field of that name, or of evt.arg, evt.rawarg and
// evt.type.is with an argument behind a dot. It does not check arguments.
func (s *Source) Field(name, arg string, hasArg bool) (*filter.Field, error) {
	f, ok := s.Fields[name]
	for _, p := range []string{"evt.arg.", "evt.rawarg.", "evt.type.is."} {
		if !ok && !hasArg && strings.HasPrefix(name, p) {
			f, ok = s.Fields[strings.TrimSuffix(p, ".")]
			if f.Type == filter.Dynamic {
				f.Type = filter.Int64
			}
		}
	}
	if !ok {
		if near := spelling.Nearest(name, slices.Sorted(maps.Keys(s.Fields))); near != "" {
			return nil, fmt.Errorf("unknown field %s, did you mean %s?", name, near)
		}
		return nil, fmt.Errorf("unknown field %s", name)
	}
	f.Name = name
	if hasArg {
		f.Name += "[" + arg + "]"
		if strings.HasPrefix(name, "proc.a") {
			f.Any = false
		}
	}
	key := f.Name
	if f.Unsupported == "" {
		f.Get = func(ev any, v *filter.Value) bool {
			x, ok := ev.(Event)[key]
			if ok {
				*v = x
			}
			return ok && x.Unknown == nil
		}
	}
	return &f, nil
}

// TypedSource is a source whose events have types.
type TypedSource struct {
	*Source
	Types []string
}

// EventTypes returns the types.
func (s *TypedSource) EventTypes() []string { return s.Types }

// Data returns the path of a file of Falco's own data, or skips the test where
// there is none.
func Data(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		root := "."
		for range 6 {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			root = filepath.Join(root, "..")
		}
		dir = filepath.Join(root, "..", "shared", "falco")
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no Falco data to test against: %v (set FALCO_TESTDATA)", err)
	}
	return path
}

var fieldRow = regexp.MustCompile("^`([A-Za-z0-9_.]+)` \\| (LIST\\()?([A-Z0-9]+)")

// Table returns a source with the fields of a table that `falco --list
// --markdown` wrote, one of Falco's own data.
func Table(t testing.TB, label, table string) *Source {
	t.Helper()
	f, err := os.Open(Data(t, table))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &Source{Label: label, Fields: map[string]filter.Field{}}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		m := fieldRow.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		typ, ok := filter.ParseType(m[3])
		if !ok {
			t.Fatalf("field %s has the unknown type %s", m[1], m[3])
		}
		s.Fields[m[1]] = filter.Field{Type: typ, List: m[2] != ""}
	}
	return s
}

var eventRow = regexp.MustCompile(`(?m)^[<>] ([a-z0-9_]+)\(`)

// Syscalls returns the source of system calls, by Falco's own tables.
func Syscalls(t testing.TB) *TypedSource {
	t.Helper()
	s := &TypedSource{Source: Table(t, "syscall", "fields-syscall.md")}
	data, err := os.ReadFile(Data(t, "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range eventRow.FindAllStringSubmatch(string(data), -1) {
		s.Types = append(s.Types, m[1])
	}
	// Not in the tables, but still there: fields of the enter events that Falco
	// no longer makes.
	s.Fields["evt.dir"] = filter.Field{Type: filter.CharBuf}
	s.Fields["evt.latency"] = filter.Field{Type: filter.RelTime}
	set := func(change func(*filter.Field), names ...string) {
		for _, n := range names {
			f := s.Fields[n]
			change(&f)
			s.Fields[n] = f
		}
	}
	ancestors := []string{"proc.aname", "proc.apid", "proc.aexe", "proc.aexepath", "proc.acmdline", "proc.aenv"}
	ends := []string{"fd.ip", "fd.net", "fd.port", "fd.proto"}
	own := append(append([]string{"fd.cnet", "fd.snet", "fd.lnet", "fd.rnet", "evt.rawarg", "evt.around"}, ancestors...), ends...)
	set(func(f *filter.Field) { f.NoRight, f.NoTransform = true, true }, own...)
	set(func(f *filter.Field) { f.Any = true }, append(slices.Clone(ancestors), ends...)...)
	set(func(f *filter.Field) { f.NotEqualAll, f.FilterOnly = true, true }, ends...)
	return s
}

// Str is a string value.
func Str(s string) filter.Value { return filter.Value{Str: s} }

// Num is a number, a time or a truth value.
func Num(n int64) filter.Value { return filter.Value{Num: n} }

// Strs is a list of strings.
func Strs(list ...string) filter.Value {
	v := filter.Value{List: []filter.Value{}}
	for _, s := range list {
		v.List = append(v.List, Str(s))
	}
	return v
}

// Nums is a list of numbers.
func Nums(list ...int64) filter.Value {
	v := filter.Value{List: []filter.Value{}}
	for _, n := range list {
		v.List = append(v.List, Num(n))
	}
	return v
}

// Quoted cuts a line of a data file into what stands before a tab and the Go
// string behind it.
func Quoted(t testing.TB, line string) (string, string) {
	t.Helper()
	head, rest, _ := strings.Cut(line, "\t")
	s, err := strconv.Unquote(rest)
	if err != nil {
		t.Fatalf("reading %q: %v", line, err)
	}
	return head, s
}
