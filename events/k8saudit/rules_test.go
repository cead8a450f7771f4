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
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// ownFiles is a rules file of our own: what each action does, in as few clauses
// as will do.
var ownFiles = []string{filepath.Join("testdata", "rules.yaml")}

// upstreamFiles returns the rules that Falco ships and what switches all of them
// on, and nil where FALCO_TESTDATA does not have them.
func upstreamFiles(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("FALCO_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "falco")
	}
	file := filepath.Join(dir, "rules", "k8s_audit_rules.yaml")
	if _, err := os.Stat(file); err != nil {
		t.Logf("without the rules that Falco ships: %v (FALCO_TESTDATA says where they are)", err)
		return nil
	}
	return []string{file, filepath.Join("testdata", "switched_on.yaml")}
}

// eachSet runs a test with our own rules and with those that Falco ships, which
// are the stricter test.
func eachSet(t *testing.T, test func(t *testing.T, files []string)) {
	t.Run("own", func(t *testing.T) { test(t, ownFiles) })
	if files := upstreamFiles(t); files != nil {
		t.Run("upstream", func(t *testing.T) { test(t, files) })
	}
}

// load returns an engine with the rules of some files, that alerts by each that
// matches unless options say otherwise.
func load(t testing.TB, files []string, opts ...engine.Options) *engine.Engine {
	t.Helper()
	set, err := rules.Load(context.Background(), files, rules.Options{Sources: []filter.Source{audit.Source()}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	o := engine.Options{Matching: engine.All, Hostname: "test"}
	if len(opts) > 0 {
		o = opts[0]
	}
	e, err := engine.New(set, o)
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

// Each rule has one action, disabled by default.
func TestEachRuleHasItsAction(t *testing.T) { eachSet(t, eachRuleHasItsAction) }

func eachRuleHasItsAction(t *testing.T, files []string) {
	e := load(t, files)
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
