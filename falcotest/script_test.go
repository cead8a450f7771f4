// SPDX-License-Identifier: Apache-2.0

package falcotest_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/falcotest/go-falcotest/falcotest"
)

var update = flag.Bool("update", false, "rewrite the scripts' expected output")

// scripted tells that a script in testdata/script runs this test binary as the
// one of a rules repository.
const (
	scripted         = "SCRIPTED"
	scriptedDeadline = "SCRIPT_DEADLINE"
)

// TestRules is the test of that rules repository; its rules come from the
// environment.
func TestRules(t *testing.T) {
	if os.Getenv(scripted) == "" {
		t.Skip("run by TestScripts")
	}
	var opts []falcotest.Option
	if d, err := time.ParseDuration(os.Getenv(scriptedDeadline)); err == nil {
		opts = append(opts, falcotest.WithActionDeadline(d))
	}
	falcotest.Run(t, opts...)
}

// TestOtherRules is the test of another package of that repository.
func TestOtherRules(t *testing.T) {
	if os.Getenv(scripted) == "" {
		t.Skip("run by TestScripts")
	}
	t.Setenv("FALCOTEST_RULES", "other.yaml")
	falcotest.Run(t)
}

// TestRecordings is the test of that repository's recordings.
func TestRecordings(t *testing.T) {
	if os.Getenv(scripted) == "" {
		t.Skip("run by TestScripts")
	}
	falcotest.Replay(t, "*.scap")
}

// TestScripts runs small rules repositories, passing and failing, and compares
// all that a person would read with testdata/script.
func TestScripts(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv(scripted, "1")
			env.Setenv("FALCOTEST_RULES", filepath.Join(env.WorkDir, "rules.yaml"))
			env.Setenv("RULES_TEST", exe)
			env.Setenv("EXAMPLES", examples)
			env.Setenv("FALCOTEST_TERMINAL", "0")
			// testscript's own HOME does not exist.
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"normalize": normalize,
		},
	})
}

// normalize rewrites a file of output, "stdout" by default, so that runs can be
// compared: times, process ids and folders differ from run to run.
func normalize(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: normalize file")
	}
	text := ts.ReadFile("stdout")
	text = strings.ReplaceAll(text, ts.Getenv("WORK"), "$WORK")
	for _, r := range variable {
		text = r.expr.ReplaceAllString(text, r.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o666))
}

var variable = []struct {
	expr *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\(pid \d+\)`), "(pid N)"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ms|s|µs)\b`), "TIME"},
	{regexp.MustCompile(` +TIME`), " TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\.\d{9}\b`), "HH:MM:SS"},
	{regexp.MustCompile(`container_id=.*( k8s_ns_name=\S+|…)`), "container_id=…"},
	{regexp.MustCompile(`\d+ actions registered`), "N actions registered"},
	{regexp.MustCompile(`(opens-file|makes-folder)-\d+`), "$1-N"},
	{regexp.MustCompile(`falcotest-[0-9a-z]{6,}`), "falcotest-ID"},
	{regexp.MustCompile(`\S+/faults_test\.go:\d+`), "DIR/faults_test.go:LINE"},
	{regexp.MustCompile(`(script|rules)_test\.go:\d+`), "rules_test.go:LINE"},
}
