// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/filter"
)

var update = flag.Bool("update", false, "write golden files anew")

// testdata reads recorded Falco data, or skips.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(testdataPath(name))
	if err != nil {
		t.Skipf("no recorded Falco data (set FALCO_TESTDATA): %v", err)
	}
	return b
}

func testdataPath(name string) string {
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "falco")
	}
	return filepath.Join(dir, name)
}

// TestTableEqualsFalco compares the fields' classes, names and types with what
// falco --list=syscall prints.
func TestTableEqualsFalco(t *testing.T) {
	row := regexp.MustCompile("^`([^`]+)` \\| ([A-Z0-9()]+) \\|")
	var want, got []string
	class := ""
	for line := range strings.Lines(string(testdata(t, "fields-syscall.md"))) {
		line = strings.TrimSpace(line)
		if c, ok := strings.CutPrefix(line, "## Field Class: "); ok {
			class = c
		}
		if m := row.FindStringSubmatch(line); m != nil {
			want = append(want, class+" "+m[1]+" "+m[2])
		}
	}
	for _, f := range Fields() {
		typ := f.Type.String()
		if f.List {
			typ = "LIST(" + typ + ")"
		}
		got = append(got, f.Class+" "+f.Name+" "+typ)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table differs from Falco's (-falco +ours):\n%s", diff)
	}
	if len(got) != 268 {
		t.Errorf("%d fields, want 268", len(got))
	}
}

// TestEachFieldIsImplementedOrSaysWhy resolves every field, with an argument
// where it needs one, and writes the documentation of what is supported.
func TestEachFieldIsImplementedOrSaysWhy(t *testing.T) {
	s := New()
	args := map[string]string{
		"evt.type.is": ".open", "evt.arg": ".flags", "evt.rawarg": ".flags", "evt.around": "[1]", "thread.cgroup": ".cpu",
		"container.label": "[app]", "k8s.pod.label": ".app",
	}
	var doc strings.Builder
	doc.WriteString("# Fields of system call events\n\n" +
		"Generated from the table in this package by `go test ./internal/source/syscall/fields -update`. A rule that uses a field which the\n" +
		"built-in engine cannot know is reported as not supported, with the reason below; it is neither passed nor failed.\n\n")
	supported, class := 0, ""
	var rows strings.Builder
	for _, d := range Fields() {
		arg := args[d.Name]
		if arg == "" && strings.HasPrefix(d.Name, "container.mount") && d.Name != "container.mounts" {
			arg = "[/etc]"
		}
		if arg == "" && strings.HasSuffix(d.Name, ".label") {
			arg = "[app]"
		}
		name, bracket, _ := strings.Cut(d.Name+arg, "[")
		f, err := s.Field(name, strings.TrimSuffix(bracket, "]"), bracket != "")
		if err != nil {
			t.Errorf("%s: %v", d.Name+arg, err)
			continue
		}
		if (f.Unsupported != "") == (f.Get != nil) {
			t.Errorf("%s: want either a Get or a reason", d.Name)
		}
		if f.Unsupported != d.Unsupported {
			t.Errorf("%s: reason %q, documented as %q", d.Name, f.Unsupported, d.Unsupported)
		}
		state := "yes"
		if f.Unsupported != "" {
			state = "no: " + f.Unsupported
		} else {
			supported++
		}
		if d.Class != class {
			class = d.Class
			fmt.Fprintf(&rows, "\n## %s\n\n| Field | Type | Argument | Supported |\n| :-- | :-- | :-- | :-- |\n", class)
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", d.Name, typeOf(d), d.Argument, state)
	}
	fmt.Fprintf(&doc, "%d of %d fields are supported.\n%s", supported, len(Fields()), rows.String())
	if supported < 230 {
		t.Errorf("%d fields are supported, want at least 230", supported)
	}
	golden(t, "FIELDS.md", doc.String())
}

func typeOf(d FieldDoc) string {
	if d.List {
		return "list of " + d.Type.String()
	}
	return d.Type.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s is out of date, run go test -update (-file +generated):\n%s", file, diff)
	}
}

func TestFieldErrors(t *testing.T) {
	tests := []struct{ field, arg, want string }{
		{"proc.nmae", "", `unknown field "proc.nmae", did you mean "proc.name"?`},
		{"proc.name", "1", "field proc.name takes no argument"},
		{"proc.aname", "x", "proc.aname[x]: want the number of an ancestor: 1 is the parent, 2 the grandparent"},
		{"evt.arg", "", "field evt.arg needs an argument: evt.arg[index] or .name"},
		{"evt.arg.flagss", "", `unknown event argument "flagss", did you mean "flags"?`},
		{"evt.rawarg", "0", "evt.rawarg takes the name of a parameter after a dot: evt.rawarg.flags"},
		{"evt.type.is.openatt", "", `unknown event type "openatt", did you mean "openat"?`},
		{"fd.types", "x", "fd.types[x]: want the number of a descriptor"},
		{"evt.abspath.foo", "", "evt.abspath.foo: want evt.abspath, evt.abspath.src or evt.abspath.dst"},
		{"thread.cgroup", "", "field thread.cgroup needs an argument: thread.cgroup.name"},
		{"container.mount", "[", "container.mount[[]: not a regular expression: error parsing regexp: missing closing ]: `[`"},
	}
	s := New()
	for _, tt := range tests {
		_, err := s.Field(tt.field, tt.arg, tt.arg != "")
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s[%s]: got %v, want %s", tt.field, tt.arg, err, tt.want)
		}
	}
	if _, err := s.Field("evt.dir", "", false); err != nil {
		t.Errorf("evt.dir is deprecated and must still resolve: %v", err)
	}
	f, err := s.Field("evt.rawarg.flags", "", false)
	if err != nil || f.Type != filter.Uint32 {
		t.Errorf("evt.rawarg.flags: type %v, %v", f.Type, err)
	}
}
