// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		dir = filepath.Join("..", "..", "..", "shared", "falco")
	}
	return filepath.Join(dir, name)
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
