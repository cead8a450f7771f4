// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Evaluator evaluates an engine's rules for one event after another. It is not
// safe for concurrent use: each goroutine has its own.
type Evaluator struct {
	engine   *Engine
	machines map[string]machine // by the name of the source
	now      func() time.Time

	watches []*watch        // rules to explain
	alerted []*compiledRule // for the event at hand, when rules are watched
	assumed []*compiledRule // of those, with values that stand in for unknown ones
}

// machine is what evaluates the rules of a source.
type machine struct {
	*filter.Machine
	source *source
}

// sourceOf returns the source that a rule is evaluated for, nil when there is none.
func (ev *Evaluator) sourceOf(r *rules.Rule) *source {
	if r == nil {
		return nil
	}
	return ev.engine.sources[r.Source]
}

// NewEvaluator returns an evaluator.
func (e *Engine) NewEvaluator() *Evaluator {
	ev := &Evaluator{engine: e, machines: map[string]machine{}, now: time.Now}
	for name, s := range e.sources {
		ev.machines[name] = machine{s.program.NewMachine(), s}
	}
	return ev
}

// Timed is implemented by events that know when they happened. The alerts of those
// that do not are of the time of evaluation.
type Timed interface{ EventTime() time.Time }

// Evaluate evaluates the rules of a source for an event of it, and calls emit for
// each alert before it returns. The event is not kept. Events of a source that no
// rule is for are ignored. It allocates nothing when no rule matches.
func (ev *Evaluator) Evaluate(source string, e any, emit func(*alert.Alert)) {
	m, ok := ev.machines[source]
	if !ok {
		return
	}
	s := m.source
	if s.observer != nil {
		s.observer.Observe(e)
	}
	list := s.any
	if s.typed != nil {
		t := s.typed.TypeOf(e)
		if t < 0 {
			return
		}
		if list = s.byType[t]; len(list) == 0 && ev.watches == nil {
			return
		}
	}
	var at time.Time
	if t, ok := e.(Timed); ok {
		at = t.EventTime()
	} else {
		at = ev.now()
	}
	ev.evaluate(s, m.Machine, list, e, at, emit)
}

// evaluate tries rules in their order.
func (ev *Evaluator) evaluate(s *source, m *filter.Machine, list []typedRule, e any, at time.Time, emit func(*alert.Alert)) {
	m.Reset(e)
	ev.alerted, ev.assumed = ev.alerted[:0], ev.assumed[:0]
	for i := range list {
		c := &list[i]
		if is := c.truth(m); is != filter.True {
			if is == filter.Unknown {
				is = m.Assume(c.cond.Cond)
			}
			if is == filter.Unknown && ev.engine.opts.Matching == First {
				break // it may have been the first that matched
			}
			if is != filter.True {
				continue
			}
			ev.assumed = append(ev.assumed, c.compiledRule)
		}
		if ev.watches != nil {
			ev.alerted = append(ev.alerted, c.compiledRule)
		}
		emit(ev.alert(s, c.compiledRule, e, at))
		if ev.engine.opts.Matching == First {
			break
		}
	}
	if ev.watches != nil {
		ev.observe(s, m, list, e, ev.alerted)
	}
}

// truth is what the rule's condition is for the event at hand.
func (r *typedRule) truth(m *filter.Machine) filter.Truth {
	if r.cond.Always {
		return filter.True
	}
	return m.Truth(r.cond.Cond)
}

func (ev *Evaluator) alert(s *source, c *compiledRule, e any, at time.Time) *alert.Alert {
	nanos := at.UnixNano()
	var text strings.Builder
	text.Grow(512)
	ev.engine.time.prefix(&text, nanos, c.rule.Priority)
	c.output.text(&text, e)
	return &alert.Alert{
		Time:     at.UTC(),
		Rule:     c.rule.Name,
		Priority: c.rule.Priority,
		Source:   s.name,
		Output:   text.String(),
		Fields:   c.output.values(e, ev.engine.time.field, nanos),
		Hostname: ev.engine.hostname,
		Tags:     slices.Sorted(slices.Values(c.rule.Tags)), // Falco sorts them
	}
}
