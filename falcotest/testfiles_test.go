// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/falcotest/go-falcotest/falcotest"
)

// TestFiles runs tests of rules that this project wrote, in each part of the
// language.
func TestFiles(t *testing.T) {
	t.Setenv("FALCOTEST_RULES", filepath.Join("testdata", "testfiles", "rules.yaml"))
	falcotest.RunFiles(t)
}

// TestForms runs what the language takes in all its forms, the odd ones too.
func TestForms(t *testing.T) {
	t.Setenv("FALCOTEST_RULES", filepath.Join("testdata", "testforms", "rules.yaml"))
	falcotest.RunFiles(t)
}

// TestFalcosOwnFiles runs files with which Falco's own CI tests its stable rules.
func TestFalcosOwnFiles(t *testing.T) {
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = "../../shared/falco"
	}
	files := filepath.Join(dir, "evtgen_suite", "*.yaml")
	if found, _ := filepath.Glob(files); len(found) == 0 {
		t.Skip("there are no files of Falco's suite; FALCO_TESTDATA says where they are")
	}
	t.Setenv("FALCOTEST_RULES", filepath.Join(dir, "rules", "falco_rules.yaml"))
	falcotest.RunFiles(t, files)
}
