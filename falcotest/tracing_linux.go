// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package falcotest

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/audit"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// tracing is the built-in engine with the rules under test, ready to watch
// children.
type tracing struct {
	engine  *engine.Engine
	types   []event.Type
	program []byte
	// container tells what is known of a container by its ID.
	container func(id string) *event.Container
	// keep says that events are kept for being judged again.
	keep bool
}

// newTracing makes an engine of the rules under test.
func newTracing(s *Session) (*tracing, error) {
	opts := engine.Options{
		Matching:      engine.All,
		Enable:        s.enables,
		ExtraFields:   correlate.ExtraFields(),
		ExtraFieldsOf: map[string][]string{audit.SourceName: {correlate.AuditField}},
	}
	eng, err := engine.New(s.set, opts)
	if err != nil {
		return nil, err
	}
	t := &tracing{engine: eng, types: eng.EventTypes(), container: s.containers.lookup, keep: s.cfg.keepsEvents()}
	if t.program, err = trace.Program(t.types); err != nil {
		return nil, err
	}
	return t, nil
}

// watch attaches to a child at its gate. What the rules make of its system
// calls goes to emit.
func (t *tracing) watch(ctx context.Context, c *child.Child, sel selected, emit func(*alert.Alert)) (watcher, error) {
	w := &tracedChild{program: t.program, secret: trace.NewMarks(), evaluator: t.engine.NewEvaluator()}
	if sel.rule != nil {
		if err := w.evaluator.Explain(sel.rule.Name); err != nil {
			return nil, fmt.Errorf("preparing to explain the rule: %w", err)
		}
	}
	handler := func(e *event.Event) { w.evaluator.EvaluateCall(e, emit) }
	if t.keep && sel.rule != nil {
		types := sel.rule.EventTypes
		handler = func(e *event.Event) {
			if len(w.events) < maxKept && types.Has(e.Type.String()) {
				w.events = append(w.events, e.Clone())
			}
			w.evaluator.EvaluateCall(e, emit)
		}
	}
	var err error
	w.tracer, err = trace.Attach(ctx, c.PID(), trace.Options{
		Types:     t.types,
		Marks:     w.secret,
		Handler:   handler,
		Container: t.container,
	})
	if err != nil {
		return nil, fmt.Errorf("tracing the action: %w%s", err, traceHint(err))
	}
	return w, nil
}

// traceHint says what to do where tracing is forbidden.
func traceHint(err error) string {
	if strings.Contains(err.Error(), "not permitted") {
		return " (in a container, allow it by --cap-add SYS_PTRACE; on a host, see /proc/sys/kernel/yama/ptrace_scope)"
	}
	return ""
}

// tracedChild is a child whose system calls are evaluated as they happen.
type tracedChild struct {
	program   []byte
	secret    trace.Marks
	tracer    *trace.Tracer
	evaluator *engine.Evaluator
	events    []any // that are kept
}

// maxKept bounds how many events of an action are kept.
const maxKept = 2000

// kept are the events, after exit.
func (t *tracedChild) kept() []any { return t.events }

func (t *tracedChild) filter() []byte { return t.program }

func (t *tracedChild) marks() trace.Marks { return t.secret }

func (t *tracedChild) exit() string {
	exit, _ := t.tracer.Wait()
	switch {
	case exit.Signal != 0:
		return "killed by " + unix.SignalName(exit.Signal)
	case exit.Code != 0:
		return fmt.Sprintf("exit status %d", exit.Code)
	}
	return ""
}

func (t *tracedChild) err() error {
	_, err := t.tracer.Wait()
	return err
}

func (t *tracedChild) why(rule string) *engine.Why { return t.evaluator.Why(rule) }

func (t *tracedChild) note() string { return "" }
