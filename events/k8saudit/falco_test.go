// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// A falcoAlert is what Falco writes of an alert, less what depends on the host.
type falcoAlert struct {
	Rule, Priority, Output, Source, Time string
	Tags                                 []string
	Fields                               map[string]any `json:"output_fields"`
}

// The built-in engine says of the recorded events what Falco 0.43.1 with its
// plugins k8saudit 0.18.0 and json 0.7.3 said of them, with rule_matching: all
// and in UTC: testdata/falco_alerts.jsonl, which leaves out the rule "All K8s
// Audit Events" for its size. Falco was given the events of the actions before
// lastForFalco, in the order of their names.
func TestSameAsFalco(t *testing.T) {
	files := upstreamFiles(t)
	if files == nil {
		t.Skip("compares what the rules that Falco ships say")
	}
	e := load(t, files, engine.Options{Matching: engine.All, Hostname: "test", TimeISO8601: true})
	t.Setenv("TZ", "UTC")
	b, err := os.ReadFile("testdata/falco_alerts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var want []falcoAlert
	for line := range bytes.Lines(b) {
		var a falcoAlert
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		want = append(want, a)
	}
	var got []falcoAlert
	for _, action := range names() {
		b, err := os.ReadFile(recordedFile(action))
		if err != nil {
			t.Fatal(err)
		}
		evaluator := e.NewEvaluator()
		for _, event := range readEvents(t, b) {
			evaluator.Evaluate(audit.SourceName, event, func(a *alert.Alert) {
				if a.Rule != "All K8s Audit Events" {
					got = append(got, asFalco(t, a))
				}
			})
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("alerts (-Falco +here):\n%s", d)
	}
}

// asFalco writes an alert as Falco does and reads it again.
func asFalco(t *testing.T, a *alert.Alert) falcoAlert {
	t.Helper()
	b, err := json.Marshal(a.Fields)
	if err != nil {
		t.Fatal(err)
	}
	f := falcoAlert{
		Rule: a.Rule, Priority: a.Priority.String(), Output: a.Output, Source: a.Source, Tags: a.Tags,
		Time: a.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"),
	}
	if err := json.Unmarshal(b, &f.Fields); err != nil {
		t.Fatal(err)
	}
	return f
}
