// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/audit"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// AuditEvents judges recorded Kubernetes audit events by the rules under test,
// with the built-in engine and without any cluster, and returns the alerts in
// the order of the events. The file holds what an API server writes to its
// audit log or sends to a webhook: events in JSON, one after the other or in
// lists. Of the options, it takes note of those about rules.
//
// It fails t when the rules do not load, when the file cannot be read whole,
// and when a rule for audit events is not supported by the built-in engine:
// then nothing can be said of that rule.
func AuditEvents(t testing.TB, file string, opts ...Option) []*Alert {
	t.Helper()
	alerts, err := judgeAuditEvents(t.Context(), file, opts)
	if err != nil {
		t.Fatal(startMessage(err))
	}
	return alerts
}

func judgeAuditEvents(ctx context.Context, file string, opts []Option) ([]*Alert, error) {
	cfg, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	files, err := cfg.rulesFiles()
	if err != nil {
		return nil, err
	}
	set, err := rules.Load(ctx, files.Names, rules.Options{Sources: []filter.Source{audit.Source()}})
	if err != nil {
		return nil, err
	}
	e, err := engine.New(set, auditOptions(cfg))
	if err != nil {
		return nil, err
	}
	for _, u := range e.Unsupported() {
		return nil, fmt.Errorf("rule %q is not supported by the built-in engine: %s (%s)", u.Rule.Name, u.Reason, u.Rule.Pos)
	}
	if len(e.Evaluated(audit.SourceName)) == 0 {
		return nil, fmt.Errorf("no enabled rule for audit events (source: %s) in %s", audit.SourceName, files.Names)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening recorded audit events: %w", err)
	}
	defer f.Close()
	events, err := audit.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var alerts []*Alert
	evaluator := e.NewEvaluator()
	for _, event := range events {
		evaluator.Evaluate(audit.SourceName, event, func(a *alert.Alert) { alerts = append(alerts, a) })
	}
	return alerts, nil
}

// auditOptions are the engine's options where it judges audit events alone.
func auditOptions(cfg *settings) engine.Options {
	opts := engine.Options{Matching: engine.All}
	if cfg.disabled {
		opts.Enable = func(*rules.Rule) bool { return true }
	}
	return opts
}
