// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
	"github.com/google/go-cmp/cmp"
)

// testdata returns a file of the data about Falco that is not part of this
// project, or skips the test.
func testdata(t testing.TB, path string) string {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "falco")
	}
	file := filepath.Join(dir, filepath.FromSlash(path))
	if _, err := os.Stat(file); err != nil {
		t.Skipf("needs data about Falco: %v: set FALCO_TESTDATA to its folder", err)
	}
	return file
}

var fieldRow = regexp.MustCompile("(?m)^`([^`]+)` \\| (\\w+)(?:\\((\\w+)\\))? \\|")

// Every field that Falco lists has the same type here, and there are no others.
func TestFieldsAreThoseOfFalco(t *testing.T) {
	b, err := os.ReadFile(testdata(t, "fields-k8s_audit.md"))
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]filter.Type{
		"CHARBUF": filter.CharBuf, "UINT64": filter.Uint64, "ABSTIME": filter.AbsTime,
		"RELTIME": filter.RelTime, "BOOL": filter.Bool,
	}
	type field struct {
		Type filter.Type
		List bool
	}
	want := make(map[string]field)
	for _, m := range fieldRow.FindAllStringSubmatch(string(b), -1) {
		f := field{Type: types[m[2]]}
		if m[2] == "LIST" {
			f = field{Type: types[m[3]], List: true}
		}
		if f.Type == 0 {
			t.Fatalf("%s: unknown type in %q", m[1], m[0])
		}
		want[m[1]] = f
	}
	if len(want) < 100 {
		t.Fatalf("only %d fields were read", len(want))
	}
	got := make(map[string]field)
	for _, name := range audit.FieldNames() {
		f, err := audit.Source().Field(name, "", false)
		if err != nil {
			if f, err = audit.Source().Field(name, "x", true); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
		}
		if f.Unsupported != "" {
			t.Errorf("%s is not supported: %s", name, f.Unsupported)
		}
		got[name] = field{f.Type, f.List}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fields (-Falco +here):\n%s", d)
	}
}

func TestFieldArguments(t *testing.T) {
	tests := []struct {
		name, arg string
		hasArg    bool
		wantErr   string
	}{
		{"ka.verb", "", false, ""},
		{"ka.verb", "x", true, "takes no argument"},
		{"ka.uri.param", "", false, "needs an argument"},
		{"ka.uri.param", "command", true, ""},
		{"jevt.value", "", false, "needs an argument"},
		{"jevt.value", "/stage", true, ""},
		{"ka.req.role.rules.verbs", "", false, ""},
		{"ka.req.role.rules.verbs", "0", true, ""},
		{"ka.req.role.rules.verbs", "12", true, ""},
		{"ka.req.role.rules.verbs", "01", true, "want a number"},
		{"ka.req.role.rules.verbs", "-1", true, "want a number"},
		{"ka.req.role.rules.verbs", "", true, "want a number"},
		{"ka.req.role.rules.verbs", "99999999999999999999", true, "want a number"},
		{"ka.vreb", "", false, "did you mean ka.verb?"},
		{"proc.name", "", false, `unknown field "proc.name" of source k8s_audit`},
	}
	for _, tt := range tests {
		t.Run(tt.name+"["+tt.arg+"]", func(t *testing.T) {
			_, err := audit.Source().Field(tt.name, tt.arg, tt.hasArg)
			switch {
			case tt.wantErr == "" && err != nil:
				t.Error(err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Errorf("error %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}
