// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/filter"
)

// Evaluator evaluates an engine's rules for one event after another. It is not
// safe for concurrent use: each goroutine has its own.
type Evaluator struct {
	engine   *Engine
	syscalls *filter.Machine
	machines map[string]*filter.Machine // of the other sources
	now      func() time.Time
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
	s := ev.engine.sources[source]
	m.Reset(e)
	for _, c := range s.all {
		if !m.Eval(c.cond) {
			continue
		}
		at := ev.now()
		if t, ok := e.(Timed); ok {
			at = t.EventTime()
		}
		emit(ev.alert(s, c, e, at))
		if ev.engine.opts.Matching == First {
			return
		}
	}
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
	if len(list) == 0 {
		return
	}
	m := ev.syscalls
	m.Reset(e)
	for _, c := range list {
		if !m.Eval(c.cond) {
			continue
		}
		emit(ev.alert(s, c, e, time.Unix(0, e.Time).UTC()))
		if ev.engine.opts.Matching == First {
			return
		}
	}
}

func (ev *Evaluator) alert(s *source, c *compiledRule, e any, at time.Time) *alert.Alert {
	nanos := at.UnixNano()
	var text strings.Builder
	text.Grow(512)
	prefix(&text, nanos, c.rule.Priority)
	c.output.text(&text, e)
	return &alert.Alert{
		Time:     at,
		Rule:     c.rule.Name,
		Priority: c.rule.Priority,
		Source:   s.name,
		Output:   text.String(),
		Fields:   c.output.values(e, nanos),
		Hostname: ev.engine.hostname,
		Tags:     slices.Sorted(slices.Values(c.rule.Tags)), // Falco sorts them
	}
}
