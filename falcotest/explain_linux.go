// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package falcotest

import (
	"context"
	"fmt"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// explainAgain finds out why a rule did not fire when a real Falco judged: the
// built-in engine watches the action once more. The note says so.
func (s *Session) explainAgain(ctx context.Context, r *Result, sel selected) {
	w, err := s.watchAgain(ctx, sel)
	if err != nil {
		r.WhyNote = fmt.Sprintf("the built-in engine could not watch the action once more to find out why: %v", err)
		return
	}
	r.Why, r.WhyNote = w.why(sel.rule.Name), "the built-in engine ran the action once more and watched it"
	s.doubtFalco(r, sel, w)
}

// doubtFalco makes a miss inconclusive where it hangs on what the Falco that
// judged does not know. That shows in its alerts, and in what the built-in engine
// saw when it watched.
func (s *Session) doubtFalco(r *Result, sel selected, w *tracedChild) {
	unknown := falcoUnknown{alerts: r.Alerts}
	if _, made := s.containers.need(sel); !made && s.explainer.tracing.here == nil {
		unknown.container = mistakenFor(r.Alerts, w.events)
	}
	unknown.compare(w.alerts)
	doubt, err := s.explainer.tracing.engine.Doubt(sel.rule.Name, w.events, unknown.reason)
	if err != nil || doubt == nil {
		return
	}
	r.Outcome, r.Reason, r.lasting = Inconclusive, doubt.String(), true
	why := *r.Why
	why.Alerts, why.Condition = 0, &filter.Explanation{Unknown: 1, Doubt: doubt}
	r.Why, r.WhyNote = &why, ""
	if unknown.container != "" {
		r.Hint = "run the tests in a control group whose path does not look like a container's: Falco takes /ANY/NAME for one, but nothing whose name ends in .slice, .scope or .service"
	}
}

func (s *Session) watchAgain(ctx context.Context, sel selected) (*tracedChild, error) {
	tracing, err := s.explaining()
	if err != nil {
		return nil, err
	}
	c, err := s.startChild(ctx, sel)
	if err != nil {
		return nil, err
	}
	var alerts []*alert.Alert
	w, err := tracing.watchChild(ctx, c, sel, func(a *alert.Alert) { alerts = append(alerts, a) })
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
	w.alerts = alerts
	return w, nil
}

// explaining is the built-in engine beside a real Falco.
func (s *Session) explaining() (*tracing, error) {
	s.explainer.once.Do(func() {
		if s.explainer.tracing, s.explainer.err = newTracing(s); s.explainer.err == nil {
			s.explainer.tracing.keep = true
		}
	})
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
