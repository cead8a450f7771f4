// SPDX-License-Identifier: Apache-2.0

package fields

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

// TestFalcoVerdicts compares which conditions the engine's own table of fields
// takes with what Falco 0.43.1 said of them; see the file in internal/filter.
func TestFalcoVerdicts(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "filter", "testdata", "falco-verdicts.txt"))
	if err != nil {
		t.Fatal(err)
	}
	src := New()
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		want, cond := filtertest.Quoted(t, line)
		want = strings.TrimPrefix(want, "engine-")
		switch {
		case strings.HasPrefix(cond, "container."), strings.HasPrefix(cond, "k8s."):
			continue // recorded without the container plugin
		}
		e, err := filter.ParseString(cond)
		if err == nil {
			if _, err = filter.NewCompiler(src).Add(e); err == nil {
				err = filter.CheckEventTypes(e)
			}
		}
		got := "ok"
		if err != nil {
			got = "error"
		}
		if want == "warning" {
			want = "ok"
		}
		if got != want {
			t.Errorf("%s: got %s (%v), Falco says %s", cond, got, err, want)
		}
	}
}
