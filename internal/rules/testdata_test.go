// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
)

// shared returns the path of a file of Falco's data, or skips the test where
// there is none.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "falco")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no Falco data to test against: %v (set FALCO_TESTDATA)", err)
	}
	return path
}

// tableSource is a source whose fields are those of a table that `falco --list
// --markdown` prints. Its fields have no values.
type tableSource struct {
	name   string
	fields map[string]filter.Type
	lists  map[string]bool
	types  []string
}

func (s *tableSource) Name() string { return s.name }

func (s *tableSource) Field(name, arg string, hasArg bool) (*filter.Field, error) {
	t, ok := s.fields[name]
	for _, p := range []string{"evt.arg.", "evt.rawarg.", "evt.type.is."} {
		if !ok && strings.HasPrefix(name, p) && !hasArg {
			t, ok = s.fields[strings.TrimSuffix(p, ".")]
			if t == filter.Dynamic {
				t = filter.Int64
			}
		}
	}
	if !ok {
		var names []string
		for n := range s.fields {
			names = append(names, n)
		}
		if near := filter.Nearest(name, names); near != "" {
			return nil, fmt.Errorf("unknown field %s, did you mean %s?", name, near)
		}
		return nil, fmt.Errorf("unknown field %s", name)
	}
	full := name
	if hasArg {
		full += "[" + arg + "]"
	}
	return &filter.Field{
		Name: full, Type: t, List: s.lists[name],
		Get: func(ev any, v *filter.Value) bool {
			x, ok := ev.(map[string]filter.Value)[full]
			*v = x
			return ok
		},
	}, nil
}

// typedSource is a table source whose events have types.
type typedSource struct{ *tableSource }

func (s typedSource) EventTypes() []string { return s.types }

var tableRow = regexp.MustCompile("^`([A-Za-z0-9_.]+)` \\| (?:LIST\\()?([A-Z0-9]+)(\\)?)")

func newTableSource(t testing.TB, name, table string) *tableSource {
	t.Helper()
	f, err := os.Open(shared(t, table))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &tableSource{name: name, fields: map[string]filter.Type{}, lists: map[string]bool{}}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		m := tableRow.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		typ, ok := filter.ParseType(m[2])
		if !ok {
			t.Fatalf("field %s has the unknown type %s", m[1], m[2])
		}
		s.fields[m[1]] = typ
		s.lists[m[1]] = m[3] != ""
	}
	return s
}

var eventRow = regexp.MustCompile(`^[<>] ([a-z0-9_]+)\(`)

// syscallSource is the source of system calls, by Falco's own tables.
func syscallSource(t testing.TB) filter.Source {
	s := newTableSource(t, "syscall", "fields-syscall.md")
	data, err := os.ReadFile(shared(t, "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if m := eventRow.FindStringSubmatch(line); m != nil {
			s.types = append(s.types, m[1])
		}
	}
	return typedSource{s}
}

func auditSource(t testing.TB) filter.Source {
	return newTableSource(t, "k8s_audit", "fields-k8s_audit.md")
}

func upstream(t testing.TB) []string {
	return []string{shared(t, "rules/falco_rules.yaml"), shared(t, "rules/falco-incubating_rules.yaml"), shared(t, "rules/falco-sandbox_rules.yaml")}
}
