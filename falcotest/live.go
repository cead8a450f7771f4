// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/source"
	_ "github.com/falcotest/go-falcotest/internal/source/all" // the list of sources
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// openLive prepares the sources whose events are not traced, by their names.
func openLive(settings map[string]any) map[string]source.Live {
	live := map[string]source.Live{}
	for _, src := range source.All() {
		if src.Open != nil {
			live[src.Name] = src.Open(settings[src.Name])
		}
	}
	return live
}

// liveOf is where the events come from by which something is judged, nil for those
// that are traced.
func (s *Session) liveOf(sel *plan.Action) source.Live { return s.live[sel.Source()] }

// startLive makes sure that there is what an action works on: what its rule's events
// come from, and what it says that it needs.
func (s *Session) startLive(ctx context.Context, sel *plan.Action) error {
	for _, src := range source.All() {
		live := s.live[src.Name]
		if live == nil || src.Name != sel.Source() && !sel.Declares(src) {
			continue
		}
		if err := live.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// withoutEvents says in a result why its action cannot have what it works on. Where
// this machine lacks it the action is skipped, which is a failure where it must not.
func (r *Result) withoutEvents(err error) {
	r.Outcome, r.Reason = TriggerFailed, err.Error()
	r.Hint = "mend what keeps the cluster from being used; the action itself was not run"
	if missing := (*source.Missing)(nil); errors.As(err, &missing) {
		r.Outcome, r.Reason, r.Hint, r.need = Skipped, missing.Reason, missing.Need.Hint, missing.Need
		r.required = missing.Required
	}
}

// judgeLive has the built-in engine judge events that are not traced.
func (s *Session) judgeLive(e *engine.Engine, emit func(*alert.Alert)) {
	for name, live := range s.live {
		var mu sync.Mutex
		evaluator := e.NewEvaluator()
		live.Judged(func(event any) {
			mu.Lock()
			defer mu.Unlock()
			evaluator.Evaluate(name, event, emit)
		})
	}
}

// sentinels are those of a real Falco. One that takes a request to another machine is
// not the first thing to do, since each event may keep a Falco busy for long: see
// Exec.Plugins.
func (s *Session) sentinels(delay time.Duration) map[string]verdict.Sentinel {
	list := map[string]verdict.Sentinel{}
	for _, src := range source.All() {
		if live := s.live[src.Name]; live != nil {
			list[src.Name] = verdict.Sentinel{Trigger: live.Trigger, Delay: delay, Lossless: true}
		} else if src.Sentinel.Trigger != nil {
			list[src.Name] = verdict.Sentinel{Trigger: src.Sentinel.Trigger}
		}
	}
	return list
}

// describe says who judges, and where the events come from that are not traced.
func (s *Session) describe() string {
	text := s.judgeName
	for _, src := range source.All() {
		if live := s.live[src.Name]; live != nil {
			text += live.Describe()
		}
	}
	return text
}

// untraced is an action whose events come to the session by themselves. Its system
// calls are not traced.
type untraced struct {
	source *source.Source
	events func() []any
	engine func() (*engine.Engine, error) // that explains
	told   string
}

// keepLive keeps the events of an action for an explanation. It is nil where they do
// not pass through here.
func (s *Session) keepLive(id string, sel *plan.Action, explainer func() (*engine.Engine, error), note bool) watcher {
	events := s.liveOf(sel).Keep(id)
	if events == nil {
		return nil
	}
	w := &untraced{source: source.ByName(sel.Source()), events: events, engine: explainer}
	if note {
		w.told = "the built-in engine judged the same " + w.source.Events
	}
	return w
}

func (u *untraced) setup() child.Setup { return child.Setup{} }
func (u *untraced) err() error         { return nil }
func (u *untraced) note() string       { return u.told }
func (u *untraced) kept() []any        { return u.events() }

func (u *untraced) why(rule string) *engine.Why {
	e, err := u.engine()
	if err != nil {
		return nil
	}
	evaluator := e.NewEvaluator()
	if err := evaluator.Explain(rule); err != nil {
		return nil
	}
	for _, event := range u.events() {
		evaluator.Evaluate(u.source.Name, event, func(*alert.Alert) {})
	}
	return evaluator.Why(rule)
}

// provides tells whether a need is met by where a source's events come from.
func (s *Session) provides(need events.Need) bool {
	return slices.ContainsFunc(source.All(), func(src *source.Source) bool { return src.Need == need.Name && s.live[src.Name] != nil })
}
