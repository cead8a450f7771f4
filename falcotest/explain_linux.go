// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package falcotest

import (
	"context"
	"fmt"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
)

// explainAgain finds out why a rule did not fire when a real Falco judged: the
// built-in engine watches the action once more. The note says so.
func (s *Session) explainAgain(ctx context.Context, sel selected) (*engine.Why, string) {
	why, err := s.watchAgain(ctx, sel)
	if err != nil {
		return nil, fmt.Sprintf("the built-in engine could not watch the action once more to find out why: %v", err)
	}
	return why, "the built-in engine ran the action once more and watched it"
}

func (s *Session) watchAgain(ctx context.Context, sel selected) (*engine.Why, error) {
	tracing, err := s.explaining()
	if err != nil {
		return nil, err
	}
	c, err := s.startChild(ctx, sel)
	if err != nil {
		return nil, err
	}
	w, err := tracing.watch(ctx, c, sel, func(*alert.Alert) {})
	if err != nil {
		c.Kill(nil)
		return nil, err
	}
	if err := c.Go(child.Setup{Filter: w.filter(), Marks: w.marks(), Exit: w.exit}); err != nil {
		c.Kill(w.exit)
		return nil, err
	}
	if ended := c.Wait(ctx); ended.Outcome != child.Completed {
		return nil, fmt.Errorf("the action %s this time: %s%v", ended.Outcome, ended.Reason, ended.Err)
	}
	if err := w.err(); err != nil {
		return nil, err
	}
	return w.why(sel.rule.Name), nil
}

// explaining is the built-in engine beside a real Falco.
func (s *Session) explaining() (*tracing, error) {
	s.explainer.once.Do(func() { s.explainer.tracing, s.explainer.err = newTracing(s) })
	return s.explainer.tracing, s.explainer.err
}

// explainAudit is the engine that explains audit events.
func (s *Session) explainAudit() (*engine.Engine, error) {
	t, err := s.explaining()
	if err != nil {
		return nil, err
	}
	return t.engine, nil
}
