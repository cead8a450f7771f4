// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/audit"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// upstreamFile returns the file of the upstream rules, or skips the test where
// there is none.
func upstreamFile(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "falco")
	}
	file := filepath.Join(dir, "rules", "k8s_audit_rules.yaml")
	if _, err := os.Stat(file); err != nil {
		t.Skipf("needs data about Falco: %v: set FALCO_TESTDATA to its folder", err)
	}
	return file
}

// upstream returns an engine with the upstream rules, all of them switched on,
// or skips the test.
func upstream(t testing.TB) *engine.Engine {
	t.Helper()
	files := []string{upstreamFile(t), "testdata/switched_on.yaml"}
	set, err := rules.Load(context.Background(), files, rules.Options{Sources: []filter.Source{audit.Source()}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	e, err := engine.New(set, engine.Options{Matching: engine.All, Hostname: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ruleOf returns the rule that an action is for.
func ruleOf(t testing.TB, e *engine.Engine, action string) string {
	t.Helper()
	for _, rule := range e.Evaluated(audit.SourceName) {
		if events.MatchRule(action, rule) {
			return rule
		}
	}
	t.Fatalf("%s matches no rule", action)
	return ""
}

// judge returns the alerts of a rule.
func judge(e *engine.Engine, rule string, of []*audit.Event) []*alert.Alert {
	var alerts []*alert.Alert
	evaluator := e.NewEvaluator()
	for _, event := range of {
		evaluator.Evaluate(audit.SourceName, event, func(a *alert.Alert) {
			if a.Rule == rule {
				alerts = append(alerts, a)
			}
		})
	}
	return alerts
}

// Each upstream rule has one action, disabled by default.
func TestEachRuleHasItsAction(t *testing.T) {
	e := upstream(t)
	all := names()
	for _, name := range all {
		ruleOf(t, e, name)
		if !events.Disabled(name) {
			t.Errorf("%s is not disabled", name)
		}
	}
	for _, rule := range e.Evaluated(audit.SourceName) {
		n := 0
		for _, name := range all {
			if events.MatchRule(name, rule) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("rule %q has %d actions", rule, n)
		}
	}
	if !slices.IsSorted(all) || len(all) != 48 {
		t.Errorf("%d actions, want 48", len(all))
	}
}
