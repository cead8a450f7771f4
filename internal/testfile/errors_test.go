// SPDX-License-Identifier: Apache-2.0

package testfile_test

import (
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
