// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

// TestFalcoVerdicts loads small rules files, one for each thing that a file can
// say or get wrong, and compares the codes of errors and warnings with Falco's.
func TestFalcoVerdicts(t *testing.T) {
	src := filtertest.Syscalls(t)
	data, err := os.ReadFile("testdata/verdicts/falco.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, want, _ := strings.Cut(line, ":")
		set, err := Load(context.Background(), []string{"testdata/verdicts/" + name + ".yaml"}, Options{Sources: []filter.Source{src}})
		got := codes(t, set, err)
		wantCodes := strings.Fields(want)
		if err != nil { // Falco stops at the first error; warnings with it are its own affair
			wantCodes = slices.DeleteFunc(wantCodes, func(c string) bool { return !Code(c).IsError() })
			got = got[:1]
		}
		if d := cmp.Diff(wantCodes, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: codes differ from Falco's (-want +got):\n%s%+v", name, d, err)
		}
	}
}

// codes are those of a load, without those that Falco does not have.
func codes(t *testing.T, set *Set, err error) []string {
	t.Helper()
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("loading gave %T: %v", err, err)
		}
		var got []string
		for _, p := range e.Problems {
			got = append(got, string(p.Code))
			if p.Pos.Line == 0 {
				t.Errorf("no line in %s", p)
			}
		}
		return got
	}
	var got []string
	for _, w := range set.Warnings {
		got = append(got, string(w.Code))
	}
	slices.Sort(got)
	return got
}

// TestFalcoCompiled compares what those files amount to with what Falco makes
// of them.
func TestFalcoCompiled(t *testing.T) {
	src := filtertest.Syscalls(t)
	f, err := os.Open("testdata/verdicts/compiled.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type rule struct {
		File, Rule, Priority, Description, Condition, Output string
		Enabled, Capture                                     bool
		Tags, Exceptions                                     []string
	}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var want rule
		if err := json.Unmarshal(sc.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		set, err := Load(context.Background(), []string{"testdata/verdicts/" + want.File + ".yaml"}, Options{Sources: []filter.Source{src}})
		if err != nil {
			t.Errorf("%s: %v", want.File, err)
			continue
		}
		r := set.Rule(want.Rule)
		if r == nil {
			t.Errorf("%s: no rule %s", want.File, want.Rule)
			continue
		}
		got := rule{File: want.File, Rule: r.Name, Priority: r.Priority.String(), Description: r.Desc, Condition: r.Expr.String(),
			Output: r.CompiledOutput(), Enabled: r.Enabled, Capture: r.Capture, Tags: r.Tags}
		for _, ex := range r.Exceptions {
			if !slices.Contains(got.Exceptions, ex.Name) {
				got.Exceptions = append(got.Exceptions, ex.Name)
			}
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: differs from Falco's (-want +got):\n%s", want.File, d)
		}
	}
}
