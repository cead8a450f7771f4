// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"os"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

// TestFalcoVerdicts compares which conditions are errors with what Falco says.
func TestFalcoVerdicts(t *testing.T) {
	src := filtertest.Syscalls(t)
	data, err := os.ReadFile("testdata/falco-verdicts.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "engine-") {
			continue // the latter depend on arguments that only the engine's fields check
		}
		want, cond := filtertest.Quoted(t, line)
		got, res, err := "ok", filter.Result{}, error(nil)
		var e *filter.Expr
		if e, err = filter.ParseString(cond); err == nil {
			res, err = filter.NewCompiler(src).Add(e)
		}
		switch {
		case err != nil:
			got = "error"
		case len(res.Unsupported) > 0: // newer than the engine: Falco 0.43 refuses it
			got = "error"
		case len(res.Warnings) > 0:
			got = "warning"
		}
		if got == "warning" && want == "ok" && knownBetter[cond] {
			continue
		}
		if got != want {
			t.Errorf("%s: got %s (%v), Falco says %s", cond, got, err, want)
		}
	}
}

// knownBetter are conditions that we warn of and Falco does not, although they
// do not do what they say.
var knownBetter = map[string]bool{
	`fd.ip in (1.2.3.4)`:         true,
	`fd.ip intersects (1.2.3.4)`: true,
	`fd.name regex '('`:          true,
	`fd.name regex '\\d+'`:       true,
	`fd.name regex 'a{1,1001}'`:  true,
	`fd.name regex '[[:alpha'`:   true,
	`fd.name regex '\\bfoo'`:     true,
}
