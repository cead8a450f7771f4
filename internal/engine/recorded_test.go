// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm64)

package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// recordBuild records the calls of a shell script that builds a small program:
// all calls of the types that Falco has parameters for.
func recordBuild(t testing.TB) (events []*event.Event) {
	t.Helper()
	for _, tool := range []string{"cc", "ar", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	runTraced(t, []string{filepath.Join(wd, "testdata", "build.sh")}, nil, conformanceTypes(), func(e *event.Event) {
		events = append(events, e.Clone())
	})
	if len(events) < 1000 {
		t.Fatalf("the script made %d calls, want thousands", len(events))
	}
	return events
}

// BenchmarkRecorded evaluates the 93 upstream rules, all enabled, for the calls
// of a build. Those for which a rule alerts are left out, so that the figure is
// that of evaluation.
func BenchmarkRecorded(b *testing.B) {
	e := newEngine(b, upstream(b), Options{Enable: enableAll, Matching: All, TimeISO8601: true})
	ev := e.NewEvaluator()
	var events []*event.Event
	for _, call := range recordBuild(b) {
		quiet := true
		ev.Evaluate(fields.SourceName, call, func(*alert.Alert) { quiet = false })
		if quiet {
			events = append(events, call)
		}
	}
	wanted, types := 0, fields.Types(e.EventTypes(fields.SourceName))
	for _, call := range events {
		if slices.Contains(types, call.Type) {
			wanted++
		}
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		ev.Evaluate(fields.SourceName, events[n%len(events)], nil)
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(wanted)/float64(len(events))*100, "%wanted")
}

// TestRecordedDoesNotAllocate evaluates real calls twice; the second time no
// text has to be made any more.
func TestRecordedDoesNotAllocate(t *testing.T) {
	e := newEngine(t, upstream(t), Options{Enable: enableAll, Matching: All, TimeISO8601: true})
	ev := e.NewEvaluator()
	var quiet []*event.Event
	for _, call := range recordBuild(t) {
		alerts := 0
		ev.Evaluate(fields.SourceName, call, func(*alert.Alert) { alerts++ })
		if alerts == 0 {
			quiet = append(quiet, call)
		}
	}
	n := testing.AllocsPerRun(1, func() {
		for _, call := range quiet {
			ev.Evaluate(fields.SourceName, call, nil)
		}
	})
	if per := n / float64(len(quiet)); per > 0.05 {
		t.Errorf("%v allocations for %d calls, want next to none", n, len(quiet))
	}
	t.Logf("%v allocations for %d calls that do not alert", n, len(quiet))
}

// TestFoldedRulesEqualWholeRules compares the conditions in which the event's
// type is worked out with the whole ones, for real calls.
func TestFoldedRulesEqualWholeRules(t *testing.T) {
	set := upstream(t)
	e := newEngine(t, set, Options{Enable: enableAll, Matching: All, TimeISO8601: true})
	whole, ev := set.Program(fields.SourceName).NewMachine(), e.NewEvaluator()
	for i, call := range append(recordBuild(t), eventtest.Shadow()) {
		want, got := map[string]bool{}, map[string]bool{}
		whole.Reset(call)
		for _, c := range e.sources[fields.SourceName].all {
			if whole.Eval(c.cond) {
				want[c.rule.Name] = true
			}
		}
		ev.Evaluate(fields.SourceName, call, func(a *alert.Alert) { got[a.Rule] = true })
		for name := range want {
			if !got[name] {
				t.Errorf("call %d, %s %s: the rule %q is true as a whole and not for the type", i, call.Type, call.Args(), name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("call %d, %s: %v alerted, want %v", i, call.Type, got, want)
		}
	}
}
