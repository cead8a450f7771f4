// SPDX-License-Identifier: Apache-2.0

package rules_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/filter/filtertest"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// verdict is what a loader says of a rules file.
type verdict struct {
	Name     string   `json:"name"`
	OK       bool     `json:"ok"`
	Errors   []string `json:"errors,omitempty"`
	Messages []string `json:"messages,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Throws is what Falco ended with where it reported no error.
	Throws string `json:"throws,omitempty"`

	RulesFile       string `json:"rules_file,omitempty"`
	RulesFileBase64 []byte `json:"rules_file_base64,omitempty"`
}

// ours is what this package says of a case.
func ours(t *testing.T, c *verdict, plugins map[string]string) verdict {
	t.Helper()
	v := verdict{Name: c.Name, OK: true}
	opts := rules.Options{Sources: []filter.Source{fields.New()}, Plugins: plugins}
	if c.audit() {
		opts.Sources, opts.Plugins = append(opts.Sources, audit.Source()), audit.Plugins
	}
	set, err := rules.LoadFiles(context.Background(), []rules.File{{Name: "rules.yaml", Data: c.data()}}, opts)
	var warnings []*rules.Problem
	if err != nil {
		var e *rules.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: loading gave %T: %v", c.Name, err, err)
		}
		v.OK, warnings = false, e.Warnings
		// Falco stops at the first error.
		v.Errors = []string{string(e.Problems[0].Code)}
		v.Messages = []string{strings.TrimPrefix(e.Problems[0].String(), "rules.yaml:")}
	} else {
		warnings = set.Warnings
	}
	for _, w := range warnings {
		v.Warnings = append(v.Warnings, string(w.Code))
	}
	slices.Sort(v.Warnings)
	return v
}

// disagreements are the cases of which this package says something else than
// what is recorded, and why.
var disagreements = map[string]string{
	"cond_067":       "recorded without the container plugin, whose k8s.ns.label needs a key",
	"cond_121":       "recorded without the json plugin: a rule that uses its fields is not supported, which does not stop the others",
	"cond_123":       "recorded without the json plugin",
	"out_38":         "recorded without the json plugin",
	"list_two_names": "Falco loads it; what threw is its description of the rule, which parses the condition without its lists",
}

// TestFalcoCases compares what Falco 0.43.1 said of 475 rules files on the edges
// of the language.
func TestFalcoCases(t *testing.T) {
	compareVerdicts(t, readVerdicts(t, filtertest.Data(t, "loader/cases.jsonl")), nil, disagreements)
}

func readVerdicts(t *testing.T, name string) (list []*verdict) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return decodeVerdicts(t, f)
}

// compareVerdicts compares verdicts of Falco's with ours: whether the file loads,
// the code of the error, the warnings, and the message by its counterpart. plugins
// are those that the Falco had; nil where it did not look.
func compareVerdicts(t *testing.T, cases []*verdict, plugins, disagreements map[string]string) {
	t.Helper()
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	messages := readMessages(t)
	listed := 0
	for _, c := range cases {
		got := ours(t, c, plugins)
		want := *c
		want.RulesFile, want.RulesFileBase64 = "", nil
		slices.Sort(want.Warnings)
		if want.Throws != "" { // no code, and no line
			got.Errors, got.Messages, want.Throws = nil, nil, ""
		}
		if !want.OK { // Falco reads no further than the first error
			got.Warnings = slices.DeleteFunc(got.Warnings, func(w string) bool { return !slices.Contains(want.Warnings, w) })
			got.Warnings, want.Warnings = slices.Compact(got.Warnings), slices.Compact(want.Warnings)
		}
		falco, our := strings.Join(want.Messages, "\n"), strings.Join(got.Messages, "\n")
		got.Messages, want.Messages = nil, nil
		diff := cmp.Diff(want, got, cmpopts.EquateEmpty())
		if diff == "" && falco != "" {
			if problem := messages.compare(falco, our); problem != "" {
				diff = problem
			}
		}
		_, known := disagreements[c.Name]
		if known {
			listed++
		}
		switch {
		case diff != "" && !known:
			t.Errorf("%s: differs from Falco's verdict (-want +got):\n%s\nFalco: %s\nours: %s\n%.400q", c.Name, diff, falco, our, c.RulesFile)
		case diff == "" && known:
			t.Errorf("%s: agrees with Falco, though it is listed as one that does not", c.Name)
		}
	}
	if listed != len(disagreements) {
		t.Errorf("%d of the %d disagreements are among the cases", listed, len(disagreements))
	}
}

// messageTable says which of our messages stands for which of Falco's.
type messageTable []struct{ falco, ours *regexp.Regexp }

func readMessages(t *testing.T) (table messageTable) {
	t.Helper()
	data, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		falco, ours, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("testdata/messages.txt:%d: no tab in %q", i+1, line)
		}
		table = append(table, struct{ falco, ours *regexp.Regexp }{regexp.MustCompile(`^(?s:` + falco + `)`), regexp.MustCompile(ours)})
	}
	return table
}

var yamlPlace = regexp.MustCompile(`^yaml-cpp: error at line (\d+), column (\d+): `)

// compare returns what is wrong with our message, "" when nothing is.
func (m messageTable) compare(falco, ours string) string {
	if place := yamlPlace.FindStringSubmatch(falco); place != nil {
		if want := place[1] + ":" + place[2] + ":"; !strings.HasPrefix(ours, want) {
			return "want the error at " + want
		}
		falco = falco[len(place[0]):]
	}
	for _, row := range m {
		if row.falco.MatchString(falco) {
			if !row.ours.MatchString(ours) {
				return fmt.Sprintf("the message is no counterpart of Falco's: want %s", row.ours)
			}
			return ""
		}
	}
	return "testdata/messages.txt has no counterpart of Falco's message"
}
