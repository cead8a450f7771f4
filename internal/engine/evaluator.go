// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Evaluator evaluates an engine's rules for one event after another. It is not
// safe for concurrent use: each goroutine has its own.
type Evaluator struct {
	engine   *Engine
	syscalls *filter.Machine
	machines map[string]*filter.Machine // of the other sources
	now      func() time.Time

	watches []*watch        // rules to explain
	alerted []*compiledRule // for the event at hand, when rules are watched
	assumed []*compiledRule // of those, with values that stand in for unknown ones
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
	ev := &Evaluator{engine: e, machines: map[string]*filter.Machine{}, now: time.Now}
	for name, s := range e.sources {
		if s == e.syscall && s.syscalls != nil {
			ev.syscalls = s.program.NewMachine()
			continue
		}
		ev.machines[name] = s.program.NewMachine()
	}
	return ev
}

// Timed is implemented by events of other sources than syscall that know when
// they happened. The alerts of events that do not are of the time of evaluation.
type Timed interface{ EventTime() time.Time }

// Evaluate evaluates the rules of a source for an event of it, which for the
// syscall source is an *event.Event, and calls emit for each alert before it
// returns. The event is not kept. Events of a source that no rule is for are
// ignored.
func (ev *Evaluator) Evaluate(source string, e any, emit func(*alert.Alert)) {
	if call, ok := e.(*event.Event); ok && source == SyscallSource {
		ev.EvaluateCall(call, emit)
		return
	}
	m := ev.machines[source]
	if m == nil {
		return
	}
	at := ev.now()
	if t, ok := e.(Timed); ok {
		at = t.EventTime()
	}
	s := ev.engine.sources[source]
	ev.evaluate(s, m, s.any, e, at, emit)
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

// EvaluateCall is Evaluate for a system call event. It allocates nothing when no
// rule matches.
func (ev *Evaluator) EvaluateCall(e *event.Event, emit func(*alert.Alert)) {
	s := ev.engine.syscall
	if s == nil || ev.syscalls == nil {
		return
	}
	s.syscalls.saw(e)
	if e.Type >= event.NumTypes {
		return
	}
	list := s.byType[e.Type]
	if len(list) == 0 && ev.watches == nil {
		return
	}
	ev.evaluate(s, ev.syscalls, list, e, time.Unix(0, e.Time), emit)
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
