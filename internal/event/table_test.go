// SPDX-License-Identifier: Apache-2.0

package event

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata returns the folder of recorded Falco data, or skips.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "falco")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("no recorded Falco data (set FALCO_TESTDATA): %v", err)
	}
	return b
}

var (
	eventLine = regexp.MustCompile(`^([<>]) (\w+)\((.*)\)$`)
)

// parseParams splits "TYPE **name**: FLAG, FLAG, TYPE **name**".
func parseParams(s string) (params []string) {
	start := regexp.MustCompile(`([A-Z0-9]+) \*\*(\w+)\*\*`)
	at := start.FindAllStringSubmatchIndex(s, -1)
	for i, m := range at {
		end := len(s)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		rest := strings.TrimSuffix(strings.TrimSpace(strings.TrimPrefix(s[m[1]:end], ":")), ",")
		params = append(params, s[m[2]:m[3]]+" "+s[m[4]:m[5]]+" "+rest)
	}
	return params
}

// TestTableEqualsFalco compares every event, parameter, type and flag name
// with what falco --list-events prints.
func TestTableEqualsFalco(t *testing.T) {
	type def struct {
		Params []string
	}
	want := map[string]def{}
	for line := range strings.Lines(string(testdata(t, "events.md"))) {
		m := eventLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		if _, seen := want[m[2]]; seen && m[1] == ">" {
			continue // the exit event counts
		}
		want[m[2]] = def{parseParams(m[3])}
	}
	got := map[string]def{}
	for _, d := range Table[1:] {
		var params []string
		for _, p := range d.Params {
			var names []string
			for _, f := range p.Flags {
				if p.Type == PMode {
					break // Falco does not list the names of modes
				}
				names = append(names, f.Name)
			}
			params = append(params, strings.TrimSpace(p.Type.String()+" "+p.Name)+" "+strings.Join(names, ", "))
		}
		got[d.Name] = def{params}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table differs from Falco's (-falco +ours):\n%s", diff)
	}
}
