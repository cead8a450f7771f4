// SPDX-License-Identifier: Apache-2.0

package testfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/gotest"
	_ "github.com/falcotest/go-falcotest/internal/source/all" // tests may name them
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// A wrong file of each kind gives its errors, all at once and each at its place.
func TestErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = testfile.Parse(filepath.Base(file), data)
			if err == nil {
				t.Fatal("there is no error")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

// What editors put into texts is no error, and moves no place.
func TestEditors(t *testing.T) {
	const good, bad = "tests:\n  - name: a\n    before: |\n      echo a\n      echo b\n    description: \"a\n      b\"\n", "    ruel: R\n"
	for name, write := range map[string]func(string) string{
		"as it is":        func(s string) string { return s },
		"byte order mark": func(s string) string { return "\ufeff" + s },
		"Windows":         func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "\n", "\r\n") },
		"a directive":     func(s string) string { return "%YAML 1.2\n---\n" + s },
		"a document":      func(s string) string { return "---\n" + s + "...\n" },
	} {
		f, err := testfile.Parse("f.yaml", []byte(write(good)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := f.Tests[0]; got.Scenario.Before != "echo a\necho b\n" || got.Description != "a b" {
			t.Errorf("%s: got %q and %q", name, got.Scenario.Before, got.Description)
		}
		line := 8 + strings.Count(write(""), "\n") - strings.Count(write(""), "...\n")
		want := fmt.Sprintf(`f.yaml:%d:5: there is no key "ruel" in the test a (did you mean rule?)`, line)
		if _, err := testfile.Parse("f.yaml", []byte(write(good+bad))); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

// What is too much to read is refused, and a file that is all wrong is not told whole.
func TestLimits(t *testing.T) {
	nested := "x-a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n"
	for c := 'b'; c < 'k'; c++ {
		nested += fmt.Sprintf("x-%c: &%c [*%[3]c, *%[3]c, *%[3]c, *%[3]c, *%[3]c, *%[3]c, *%[3]c, *%[3]c]\n", c, c, c-1)
	}
	for name, test := range map[string]struct{ file, want string }{
		"deep":    {"tests: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "f.yaml:1:71: a value is in more than 64 others"},
		"aliases": {nested, "the file has more than 262144 values, with those that aliases repeat"},
		"problems": {"tests:\n" + strings.Repeat("  - nam: a\n", 200),
			"f.yaml:101:5: there is no key \"nam\" in tests[99] (did you mean name?)\nf.yaml:101:5: there are more problems in this file (the first 100 are shown)"},
	} {
		_, err := testfile.Parse("f.yaml", []byte(test.file))
		if err == nil || !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%s: got %.500v, want %s", name, err, test.want)
		}
	}
}

// Files that cannot be read, and tests of one name, are told together with all else.
func TestLoadErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"a.yaml": "tests: [{name: a}, {name: b}]", "b.yaml": "tests: [{name: b}, {name: c, ruel: R}]"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("c.yaml", 0o755); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Create("d.yaml"); err != nil || f.Truncate(17<<20) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	_, err := testfile.Load("a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml")
	want := `b.yaml:1:16: there is a test "b" without a rule already, at a.yaml:1:27 (the tests of a rule have different names)
b.yaml:1:30: there is no key "ruel" in the test c (did you mean rule?)
c.yaml: reading a file of tests: read c.yaml: is a directory
d.yaml: reading a file of tests: it has more than 16777216 bytes
e.yaml: reading a file of tests: open e.yaml: no such file or directory`
	if err == nil {
		t.Fatal("there is no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Whoever compares names with those there are finds their places.
func TestPlaces(t *testing.T) {
	f, err := testfile.Parse("f.yaml", []byte(`
tests:
  - name: a
    rule: "%{ item.r }"
    steps: [{type: action, name: s, action: syscall.X}]
    expectedOutcome: {outputFields: {fd.name: x}}
    cases: [{strategy: vector, values: {r: R}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	one := f.Tests[0]
	for _, test := range []struct{ what, got, want string }{
		{"test", one.Pos.String(), "f.yaml:3:11"}, {"action", one.ActionPos.String(), "f.yaml:5:45"},
		{"field", one.FieldPos["fd.name"].String(), "f.yaml:6:38"}, {"rule", one.RulePos.String(), "f.yaml:7:44"},
	} {
		if test.got != test.want {
			t.Errorf("the %s is at %s, want %s", test.what, test.got, test.want)
		}
	}
}

// What a test will do is told step by step.
func TestExplain(t *testing.T) {
	files, err := testfile.Load("testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := files[0].Explain(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/explained.golden", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if gotest.Updating() {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// However wrong a file is, it gives errors with places, and no panic.
func FuzzParse(f *testing.F) {
	for _, glob := range []string{"testdata/*.yaml", "testdata/errors/*.yaml", "../../falcotest/testdata/testfiles/*_falcotest.yaml"} {
		for _, file := range mustGlob(glob) {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := testfile.Parse("f.yaml", data)
		if err == nil {
			file.Explain(&strings.Builder{})
			return
		}
		if !strings.HasPrefix(err.Error(), "f.yaml") {
			t.Errorf("an error has no place: %v", err)
		}
	})
}
