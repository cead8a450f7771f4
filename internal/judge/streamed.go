// SPDX-License-Identifier: Apache-2.0

package judge

import (
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/source"
)

// streamed is an action whose events come to the session by themselves. Its system
// calls are not traced.
type streamed struct {
	source *source.Source
	events func() []any
	engine func() (*engine.Engine, error) // that explains
	told   string
}

// Keep keeps the events of an action for an explanation, where they come by a stream.
// It is nil where they do not pass through here. The note says that a Falco judged.
func (b *Brief) Keep(id string, a *plan.Action, explainer func() (*engine.Engine, error), note bool) Watcher {
	events := b.Streams[a.Source()].Keep(id)
	if events == nil {
		return nil
	}
	w := &streamed{source: source.ByName(a.Source()), events: events, engine: explainer}
	if note {
		w.told = "the built-in engine judged the same " + w.source.Events
	}
	return w
}

func (s *streamed) Setup() child.Setup { return child.Setup{} }
func (s *streamed) Err() error         { return nil }
func (s *streamed) Note() string       { return s.told }
func (s *streamed) Events() []any      { return s.events() }

func (s *streamed) Why(rule string) *engine.Why {
	e, err := s.engine()
	if err != nil {
		return nil
	}
	evaluator := e.NewEvaluator()
	if err := evaluator.Explain(rule); err != nil {
		return nil
	}
	for _, event := range s.events() {
		evaluator.Evaluate(s.source.Name, event, func(*alert.Alert) {})
	}
	return evaluator.Why(rule)
}
