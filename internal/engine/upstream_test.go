// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

var upstreamFiles = []string{"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"}

// upstream loads the upstream rules for system calls, or skips.
func upstream(t testing.TB, files ...string) *rules.Set {
	t.Helper()
	if len(files) == 0 {
		files = upstreamFiles
	}
	var list []rules.File
	for _, name := range files {
		list = append(list, rules.File{Name: name, Data: testdata(t, "rules/"+name)})
	}
	set, err := rules.LoadFiles(context.Background(), list, rules.Options{Sources: []filter.Source{fields.New()}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return set
}

func enableAll(*rules.Rule) bool { return true }

func newEngine(t testing.TB, set *rules.Set, opts Options) *Engine {
	t.Helper()
	e, err := New(set, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// described is what Falco says of a rule.
type described struct {
	Name           string   `json:"name"`
	Enabled        bool     `json:"enabled"`
	Events         []string `json:"events"`
	Output         string   `json:"output"`
	OutputCompiled string   `json:"output_compiled"`
}

func describedRules(t testing.TB) []described {
	t.Helper()
	var d struct{ Rules []described }
	if err := json.Unmarshal(testdata(t, "oracle/describe-upstream-rules.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d.Rules
}

func TestUpstreamRulesAreSupported(t *testing.T) {
	e := newEngine(t, upstream(t), Options{Enable: enableAll, Matching: All, TimeISO8601: true})
	if n := len(e.Evaluated(fields.SourceName)); n != 93 {
		t.Errorf("%d rules are evaluated, want 93", n)
	}
	for _, u := range e.Unsupported() {
		t.Errorf("%s: %s", u.Rule.Name, u.Reason)
	}
	if n := len(newEngine(t, upstream(t, "falco_rules.yaml"), Options{}).Evaluated(fields.SourceName)); n != 25 {
		t.Errorf("%d stable rules are evaluated, want 25", n)
	}
}

// TestOutputsEqualFalco compares the compiled outputs of the upstream rules
// with what Falco says they are.
func TestOutputsEqualFalco(t *testing.T) {
	e := newEngine(t, upstream(t), Options{Enable: enableAll, Matching: All, TimeISO8601: true})
	got, want := map[string]string{}, map[string]string{}
	for _, c := range e.sources[fields.SourceName].all {
		got[c.rule.Name] = c.output.compiled
	}
	for _, r := range describedRules(t) {
		want[r.Name] = r.OutputCompiled
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs differ (-falco +ours):\n%s", diff)
	}
}

// TestEventsEqualFalco compares the event types that each rule listens to.
func TestEventsEqualFalco(t *testing.T) {
	e := newEngine(t, upstream(t), Options{Enable: enableAll, Matching: All, TimeISO8601: true})
	got, want := map[string][]string{}, map[string][]string{}
	types := fields.New().EventTypes()
	for typ, list := range e.sources[fields.SourceName].byType {
		for _, c := range list {
			if types[typ] != "asyncevent" {
				got[c.rule.Name] = append(got[c.rule.Name], types[typ])
			}
		}
	}
	for _, r := range describedRules(t) {
		for _, name := range r.Events {
			if name != "asyncevent" { // Falco listens to what its plugins send, whatever the rule
				want[r.Name] = append(want[r.Name], name)
			}
		}
		slices.Sort(want[r.Name])
	}
	for _, names := range got {
		slices.Sort(names)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events differ (-falco +ours):\n%s", diff)
	}
}

// recorded is an alert as Falco wrote it.
type recorded struct {
	Rule     string         `json:"rule"`
	Output   string         `json:"output"`
	Priority string         `json:"priority"`
	Source   string         `json:"source"`
	Tags     []string       `json:"tags"`
	Fields   map[string]any `json:"output_fields"`
	Time     string         `json:"time"`
}

func recordedAlerts(t testing.TB) []recorded {
	t.Helper()
	var list []recorded
	for line := range bytes.Lines(testdata(t, "oracle/alerts.jsonl")) {
		var r recorded
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// TestRecordedAlertsLookLikeOurs renders each rule that was recorded for some
// event and compares everything that does not depend on the event: priority,
// source, tags, the text between the fields, and the fields' names and types.
func TestRecordedAlertsLookLikeOurs(t *testing.T) {
	e := newEngine(t, upstream(t), Options{Enable: enableAll, Matching: All, TimeISO8601: true})
	ev := e.NewEvaluator()
	sample := eventtest.Shadow()
	for _, want := range recordedAlerts(t) {
		i := slices.IndexFunc(e.sources[fields.SourceName].all, func(c *compiledRule) bool { return c.rule.Name == want.Rule })
		if i < 0 {
			t.Errorf("rule %q is not evaluated", want.Rule)
			continue
		}
		c := e.sources[fields.SourceName].all[i]
		got := ev.alert(e.sources[fields.SourceName], c, sample, sample.EventTime())
		if got.Priority.String() != want.Priority || got.Source != want.Source {
			t.Errorf("%s: priority %s, source %s; Falco has %s, %s", want.Rule, got.Priority, got.Source, want.Priority, want.Source)
		}
		if diff := cmp.Diff(want.Tags, got.Tags); diff != "" {
			t.Errorf("%s: tags (-falco +ours):\n%s", want.Rule, diff)
		}
		for name, v := range want.Fields {
			g, ok := got.Fields[name]
			if !ok {
				t.Errorf("%s: output field %s is missing", want.Rule, name)
			} else if kind(g) != kind(v) && g != nil && v != nil {
				t.Errorf("%s: output field %s is %T (%v), Falco has %T (%v)", want.Rule, name, g, g, v, v)
			}
		}
		for name := range got.Fields {
			if _, ok := want.Fields[name]; !ok {
				t.Errorf("%s: output field %s is too much", want.Rule, name)
			}
		}
		text := want.Output
		for _, p := range c.output.parts {
			if p.Operand != nil {
				continue
			}
			i := strings.Index(text, strings.TrimRight(p.Text, " "))
			if i < 0 {
				t.Errorf("%s: Falco's output has no %q:\n%s", want.Rule, p.Text, want.Output)
				break
			}
			text = text[i:]
		}
		head, _, _ := strings.Cut(want.Output, " ")
		gotHead, _, _ := strings.Cut(got.Output, " ")
		if len(head) != len(gotHead) || head[len(head)-6:] != gotHead[len(gotHead)-6:] {
			t.Errorf("%s: the output begins with %q, Falco's with %q", want.Rule, gotHead, head)
		}
	}
}

func kind(v any) string {
	switch v.(type) {
	case json.Number, float64:
		return "number"
	case string:
		return "string"
	case bool:
		return "bool"
	case nil:
		return "null"
	}
	return "other"
}
