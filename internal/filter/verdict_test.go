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
	src.Types = append(src.Types, "syscall") // all calls that have no name
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
			if res, err = filter.NewCompiler(src).Add(e); err == nil {
				err = filter.CheckEventTypes(e)
			}
		}
		switch {
		case err != nil:
			got = "error"
		case len(res.Warnings) > 0:
			got = "warning"
		}
		if got != want {
			t.Errorf("%s: got %s (%v), Falco says %s", cond, got, err, want)
		}
	}
}
