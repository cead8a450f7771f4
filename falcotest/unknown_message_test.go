// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// watched is a watcher that has seen what it is given.
type watched struct {
	watcher
	seen *engine.Why
}

func (w watched) why(string) *engine.Why { return w.seen }
func (w watched) note() string           { return "" }

// TestUnknownMessages holds what a person reads of a rule whose truth cannot be
// known: it is neither missed nor detected, and no run is repeated in vain.
func TestUnknownMessages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	text := "- macro: privileged\n  condition: (container.privileged = true)\n" +
		"- rule: Some rule\n  desc: d\n  condition: evt.type = openat and privileged and fd.name = /etc/x\n  output: x\n  priority: NOTICE\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := rules.Load(t.Context(), []string{file}, rules.Options{Sources: []filter.Source{fields.New()}})
	if err != nil {
		t.Fatal(err)
	}
	eng, err := engine.New(set, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := func(c *event.Container, name event.Param) *engine.Why {
		ev := eng.NewEvaluator()
		if err := ev.Explain("Some rule"); err != nil {
			t.Fatal(err)
		}
		ev.Evaluate(fields.SourceName, &event.Event{
			Type: event.SysOpenat, Ret: -2, FDNum: -1, HasFD: true, Thread: &event.Thread{Process: &event.Process{Comm: "cat", Container: c}},
			Params: []event.Param{{Num: -2}, {Num: -100}, name, {}, {}, {}, {}},
		}, func(*alert.Alert) { t.Error("an alert") })
		return ev.Why("Some rule")
	}
	known := event.Param{Str: "/etc/x", Path: "/etc/x"}
	var got strings.Builder
	for _, tt := range []struct {
		name    string
		seen    *engine.Why
		outcome Outcome
	}{
		{"it can never be known here", seen(&event.Container{Unknown: event.UnknownEngine}, known), Skipped},
		{"another run may know", seen(&event.Container{Complete: true, Privileged: true}, event.Param{Unknown: event.UnknownGone}), Inconclusive},
		{"it is known", seen(&event.Container{Complete: true}, known), Missed},
	} {
		s := &Session{cfg: &settings{}}
		r := &Result{Action: "some.Rule", Rule: "Some rule", Position: Position{File: "rules.yaml", Line: 4}, Judge: "the judge", Ran: time.Second}
		s.decide(t.Context(), r, plan.Registered("some.Rule", set.Rules[0]), verdict.Verdict{Outcome: verdict.Missed, Certain: true}, watched{seen: tt.seen})
		if r.Outcome != tt.outcome {
			t.Errorf("%s: %v, want %v", tt.name, r.Outcome, tt.outcome)
		}
		got.WriteString("--- " + tt.name + "\n" + r.message("TestRules/some.Rule") + "\n")
	}
	messages := strings.ReplaceAll(got.String(), file, "rules.yaml")
	file = filepath.Join("testdata", "unknown.txt")
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(file, []byte(messages), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), messages); d != "" {
		t.Errorf("messages differ from %s (-want +got):\n%s", file, d)
	}
}
