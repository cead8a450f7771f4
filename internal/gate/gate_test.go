// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	_ "github.com/falcotest/go-falcotest/internal/source/all"
)

// With -count, a rule that is detected in some runs of a test and missed in others is
// flaky, from then on and with its rate; what says nothing of it does not count.
func TestFlaky(t *testing.T) {
	history.Lock()
	history.of = nil // with -count, of this test's last run
	history.Unlock()
	for _, run := range []struct{ outcome, want, reason string }{
		{Detected, Detected, ""},
		{Skipped, Skipped, ""},
		{Missed, Flaky, "detected in 1 of 2 runs"},
		{Detected, Flaky, "detected in 2 of 3 runs"},
	} {
		entries := []Entry{{Rule: "Sometimes", Outcome: run.outcome}, {Rule: "Always", Outcome: Detected}}
		note(t.Name(), entries)
		if last := entries[0]; last.Outcome != run.want || last.Reason != run.reason {
			t.Errorf("%s became %q, %q; want %q, %q", run.outcome, last.Outcome, last.Reason, run.want, run.reason)
		}
		if entries[1].Outcome != Detected {
			t.Errorf("a rule that is always detected is %q", entries[1].Outcome)
		}
		// Another test's runs are its own.
		other := []Entry{{Rule: "Sometimes", Outcome: Missed}}
		if note(t.Name()+"/other", other); other[0].Outcome != Missed {
			t.Errorf("another test's rule is %q", other[0].Outcome)
		}
	}
}

// On the nodes of a cluster a rule is detected only if it is on all of them: neither one
// where it was skipped nor one that was not judged counts as that.
func TestOnNodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte("- {rule: R, desc: d, condition: evt.type = open, output: o, priority: NOTICE}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := config.New()
	settings.Rules = []string{file}
	p, err := plan.Load(t.Context(), &settings)
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{settings: &settings, plan: p}
	for _, c := range []struct {
		outcomes []result.Outcome
		want     string
	}{
		{[]result.Outcome{result.Detected, result.Detected}, Detected},
		{[]result.Outcome{result.Detected, result.Skipped}, Skipped},
		{[]result.Outcome{result.Skipped, result.Detected}, Skipped},
		{[]result.Outcome{result.Skipped, result.Inconclusive}, "inconclusive"},
		{[]result.Outcome{result.Missed, result.Detected, result.Inconclusive}, Missed},
		{[]result.Outcome{result.Detected, result.Silent}, Detected}, // of its near miss
	} {
		var results []*result.Result
		for i, o := range c.outcomes {
			results = append(results, &result.Result{Rule: "R", Action: "a", Node: fmt.Sprint("worker-", i), Outcome: o})
		}
		entries := g.entries(results)
		if entries[0].Outcome != c.want || len(entries[0].Tests) != 1 {
			t.Errorf("%v: %q with the tests %v, want %q", c.outcomes, entries[0].Outcome, entries[0].Tests, c.want)
		}
	}
}
