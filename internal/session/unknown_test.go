// SPDX-License-Identifier: Apache-2.0

package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

func init() { gotest.DefineUpdate() }

// seen is a watcher that has seen what it is given.
type seen struct {
	judge.Watcher
	why *engine.Why
}

func (w seen) Why(string) *engine.Why { return w.why }
func (w seen) Note() string           { return "" }

// nobody judges, live.
type nobody struct{ judge.Judge }

func (nobody) Replays() bool { return false }

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
	why := func(c *event.Container, name event.Param) *engine.Why {
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
		outcome result.Outcome
	}{
		{"it can never be known here", why(&event.Container{Unknown: event.UnknownEngine}, known), result.Skipped},
		{"another run may know", why(&event.Container{Complete: true, Privileged: true}, event.Param{Unknown: event.UnknownGone}), result.Inconclusive},
		{"it is known", why(&event.Container{Complete: true}, known), result.Missed},
	} {
		s := &Session{settings: &config.Settings{}, plan: &plan.Plan{}, Judge: nobody{}}
		r := &result.Result{Action: "some.Rule", Rule: "Some rule", Position: result.Position{File: "rules.yaml", Line: 4}, Judge: "the judge", Ran: time.Second}
		s.decide(t.Context(), r, plan.Registered("some.Rule", set.Rules[0]), verdict.Verdict{Outcome: verdict.Missed, Certain: true}, seen{why: tt.seen})
		if r.Outcome != tt.outcome {
			t.Errorf("%s: %v, want %v", tt.name, r.Outcome, tt.outcome)
		}
		got.WriteString("--- " + tt.name + "\n" + r.Message("TestRules/some.Rule") + "\n")
	}
	messages := strings.ReplaceAll(got.String(), file, "rules.yaml")
	file = filepath.Join("testdata", "unknown.txt")
	if gotest.Updating() {
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
