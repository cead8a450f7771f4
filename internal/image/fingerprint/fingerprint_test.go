// SPDX-License-Identifier: Apache-2.0

package fingerprint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/golden"
)

// cache gives the test a cache of its own.
func cache(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv("LocalAppData", dir)
	dir, err := noted()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// here makes files and goes to where they are.
func here(t *testing.T, names ...string) *List {
	t.Helper()
	t.Chdir(t.TempDir())
	l := &List{Package: "example.org/rules", Files: map[string]string{}, Tests: map[string][]string{"TestRules": names}, Binaries: []Binary{{SHA256: "in the image"}}}
	for _, name := range names {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
		sum, err := Of(name)
		if err != nil {
			t.Fatal(err)
		}
		l.Files[name] = sum
	}
	return l
}

func TestCheck(t *testing.T) {
	cache(t)
	want, err := filepath.Abs("testdata/mismatch.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"rules/a.yaml", "rules/b.yaml"}
	for n := range 7 {
		names = append(names, fmt.Sprintf("rules/more%d.yaml", n))
	}
	l := here(t, names...)
	if err := l.check("in the image", "TestRules", names); err != nil {
		t.Error(err)
	}
	if err := l.Note(Binary{SHA256: "built beside it"}); err != nil {
		t.Fatal(err)
	}
	if err := l.check("built beside it", "TestRules", names); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile("rules/a.yaml", []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("rules/c.yaml", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range []struct {
		what, self, test string
		files            []string
	}{
		{"another binary", "another", "TestRules", names[1:2]},
		{"other files", "built beside it", "TestRules", []string{"rules/a.yaml", "rules/c.yaml"}},
		{"another test", "built beside it", "TestOthers", nil},
	} {
		err := l.check(c.self, c.test, c.files)
		if err == nil {
			t.Errorf("%s: nothing is said", c.what)
			continue
		}
		fmt.Fprintf(&b, "%s:\n%v\n\n", c.what, err)
	}
	l.Files["rules/b.yaml"] = "other rules" // another image, of which nothing is noted
	if err := l.check("built beside it", "TestRules", names[:1]); err == nil {
		t.Error("the note of an image is taken for that of another")
	} else if m := (*Mismatch)(nil); !errors.As(err, &m) || !m.Binary {
		t.Errorf("got %v", err)
	}
	golden.Assert(t, b.String(), want)
	if err := l.check("another", "TestRules", []string{"rules/none.yaml"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Notes are kept for a month, those of several images beside one another.
func TestNotes(t *testing.T) {
	dir := cache(t)
	first, second := here(t, "a.yaml"), here(t, "b.yaml")
	for _, l := range []*List{first, second} {
		if err := l.Note(Binary{SHA256: "x"}, Binary{SHA256: "y"}); err != nil {
			t.Fatal(err)
		}
	}
	if !first.IsOf("x") || !second.IsOf("x") || !second.IsOf("y") || second.IsOf("z") {
		t.Error("the notes are not as they were made")
	}
	long := time.Now().Add(-forgetAfter - time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "x"), long, long); err != nil {
		t.Fatal(err)
	}
	if err := second.Note(Binary{SHA256: "z"}); err != nil {
		t.Fatal(err)
	}
	if first.IsOf("x") || !first.IsOf("y") || !second.IsOf("z") {
		t.Error("old notes are kept, or others not")
	}
}

func TestTellAndRead(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "told")
	if told, err := Told(name); err != nil || told != nil {
		t.Errorf("nobody told, and it is %v, %v", told, err)
	}
	want := []Session{{Test: "TestRules", Files: []string{"rules/a.yaml"}}, {Test: "TestRules/sub", Files: []string{}}}
	for _, s := range want {
		if err := Tell(name, s); err != nil {
			t.Fatal(err)
		}
	}
	told, err := Told(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Told(name); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("half a line: %v", err)
	}

	l := here(t, "a.yaml")
	text, err := json.Marshal(l)
	if err == nil {
		err = os.WriteFile("list.json", text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := read("list.json")
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != l.ID() {
		t.Errorf("%+v is not %+v", again, l)
	}
	if _, err := read("none.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	self, err := Self()
	if err != nil || len(self) != 64 {
		t.Errorf("%q, %v", self, err)
	}
}
