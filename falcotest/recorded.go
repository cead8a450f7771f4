// SPDX-License-Identifier: Apache-2.0

package falcotest

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
	"github.com/falcotest/go-falcotest/internal/source"
)

// auditEngine judges the recorded events of test files.
type auditEngine struct {
	once   sync.Once
	engine *engine.Engine
	err    error
}

// judgeEvents judges a test's recorded events by the built-in engine, whoever
// judges what runs, and tells why the rule did not fire.
func (s *Session) judgeEvents(ctx context.Context, sel *plan.Action) ([]*alert.Alert, *engine.Why, error) {
	if s.set == nil {
		return nil, nil, fmt.Errorf("judging recorded %s: the rules are not known here: name their files by WithRules or FALCOTEST_RULES", source.ByName(sel.Test.Source).Events)
	}
	s.audit.once.Do(func() {
		s.audit.engine, s.audit.err = engine.New(s.set, engine.Options{
			Matching: engine.All, Enable: s.enables, ExtraFields: plan.Fields(s.chosen), Hostname: machine.Hostname(),
		})
	})
	if s.audit.err != nil {
		return nil, nil, s.audit.err
	}
	name := sel.Test.Pos.String()
	src := source.ByName(sel.Test.Source)
	var in io.Reader = bytes.NewReader(sel.Test.Events)
	if sel.Test.EventsFile != "" {
		f, err := input.Open(sel.Test.EventsFile)
		if err != nil {
			return nil, nil, fmt.Errorf("opening recorded %s: %w", src.Events, err)
		}
		defer f.Close()
		name, in = sel.Test.EventsFile, f
	}
	var alerts []*alert.Alert
	evaluator := s.audit.engine.NewEvaluator()
	if sel.Rule != nil {
		if err := evaluator.Explain(sel.Rule.Name); err != nil {
			return nil, nil, err
		}
	}
	n, err := src.Recording.Read(ctx, in, nil, func(event any) {
		evaluator.Evaluate(src.Name, event, func(a *alert.Alert) { alerts = append(alerts, a) })
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the %s of %s: %w", src.Events, name, err)
	}
	if n == 0 {
		return nil, nil, fmt.Errorf("reading the %s of %s: there are none", src.Events, name)
	}
	if sel.Rule == nil {
		return alerts, nil, nil
	}
	return alerts, evaluator.Why(sel.Rule.Name), nil
}
