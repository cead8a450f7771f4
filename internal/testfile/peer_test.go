// SPDX-License-Identifier: Apache-2.0

package testfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/falcotest/go-falcotest/internal/testfile"
)

// peerFiles are files of Falco's own suite, where they are.
func peerFiles(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = "../../../shared/falco"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "evtgen_suite", "*.yaml"))
	if len(files) == 0 {
		t.Skip("there are no files of Falco's suite; FALCO_TESTDATA says where they are")
	}
	return files
}

func TestFalcosOwnSuite(t *testing.T) {
	files, err := testfile.Load(peerFiles(t)...)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		n += len(f.Tests)
	}
	if want := 39 + 8 + 1 + 12 + 7 + 50 + 16 + 7 + 18 + 8*34 + 16 + 72; n != want {
		t.Errorf("got %d tests, want %d", n, want)
	}
}
