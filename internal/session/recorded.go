// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/input"
	"github.com/falcotest/go-falcotest/internal/machine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/source"
)

// recordedEngine judges the recorded events of test files.
type recordedEngine struct {
	once   sync.Once
	engine *engine.Engine
	err    error
}

// judgeEvents judges a test's recorded events by the built-in engine, whoever
// judges what runs, and tells why the rule did not fire.
func (s *Session) judgeEvents(ctx context.Context, a *plan.Action) ([]*alert.Alert, *engine.Why, error) {
	if s.plan.Rules == nil {
		return nil, nil, fmt.Errorf("judging recorded %s: the rules are not known here: name their files by WithRules or FALCOTEST_RULES", source.ByName(a.Test.Source).Events)
	}
	s.recorded.once.Do(func() {
		s.recorded.engine, s.recorded.err = engine.New(s.plan.Rules, engine.Options{
			Matching: engine.All, Enable: s.plan.Enables, ExtraFields: plan.Fields(s.plan.Actions), Hostname: machine.Hostname(),
		})
	})
	if s.recorded.err != nil {
		return nil, nil, s.recorded.err
	}
	name := a.Test.Pos.String()
	src := source.ByName(a.Test.Source)
	var in io.Reader = bytes.NewReader(a.Test.Events)
	if a.Test.EventsFile != "" {
		f, err := input.Open(a.Test.EventsFile)
		if err != nil {
			return nil, nil, fmt.Errorf("opening recorded %s: %w", src.Events, err)
		}
		defer f.Close()
		name, in = a.Test.EventsFile, f
	}
	var alerts []*alert.Alert
	evaluator := s.recorded.engine.NewEvaluator()
	if a.Rule != nil {
		if err := evaluator.Explain(a.Rule.Name); err != nil {
			return nil, nil, err
		}
	}
	n, err := src.Recording.Read(ctx, in, nil, func(event any) {
		evaluator.Evaluate(src.Name, event, func(fired *alert.Alert) { alerts = append(alerts, fired) })
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the %s of %s: %w", src.Events, name, err)
	}
	if n == 0 {
		return nil, nil, fmt.Errorf("reading the %s of %s: there are none", src.Events, name)
	}
	if a.Rule == nil {
		return alerts, nil, nil
	}
	return alerts, evaluator.Why(a.Rule.Name), nil
}

// judgeRecorded judges a test's recorded events, without a run.
func (s *Session) judgeRecorded(ctx context.Context, a *plan.Action, r *result.Result) {
	if a.Rule != nil {
		r.Position = result.Position{File: a.Rule.Pos.File, Line: a.Rule.Pos.Line}
		r.Priority = a.Rule.Priority.String()
	}
	r.Judge = engine.Name()
	alerts, why, err := s.judgeEvents(ctx, a)
	if err != nil {
		r.Outcome, r.Reason = result.TriggerFailed, err.Error()
		return
	}
	if why != nil && why.Status != engine.Evaluated.String() {
		r.Outcome, r.Reason = result.Skipped, why.String()
		return
	}
	r.Alerts = alerts
	s.meet(r, a, true)
	if r.Outcome == result.Missed {
		r.Why = why
	}
}
