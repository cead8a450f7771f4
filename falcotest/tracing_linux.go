// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package falcotest

import (
	"context"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/machine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
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
	// keepAll says that all events are kept and none is judged.
	keepAll bool
	// record is the folder in which runs are recorded, "" for none.
	record string
	wanted [event.NumTypes]bool // types that rules ask for
	// here is the container that this process runs in, nil on a host.
	here *event.Container
}

// newTracing makes an engine of the rules under test.
func newTracing(s *Session) (*tracing, error) {
	extra := plan.Fields(s.chosen)
	for _, src := range source.All() {
		extra[src.Name] = append(slices.Clone(src.Correlation), extra[src.Name]...)
	}
	opts := engine.Options{Matching: engine.All, Enable: s.enables, ExtraFields: extra, Hostname: machine.Hostname()}
	eng, err := engine.New(s.set, opts)
	if err != nil {
		return nil, err
	}
	t := &tracing{
		engine: eng, types: fields.Types(eng.EventTypes(fields.SourceName)), container: s.containers.Lookup, keep: s.cfg.keepsEvents(), here: s.containers.Here(s.life),
	}
	for _, typ := range t.types {
		t.wanted[typ] = true
	}
	if s.cfg.record != "" {
		t.record = s.cfg.record
		if err := os.MkdirAll(t.record, 0o777); err != nil {
			return nil, fmt.Errorf("making the folder for recordings: %w", err)
		}
		t.types = t.recordedTypes()
	}
	if t.program, err = trace.Program(t.types); err != nil {
		return nil, err
	}
	return t, nil
}

// watch attaches to a child at its gate. What the rules make of its system
// calls goes to emit.
func (t *tracing) watch(ctx context.Context, c *child.Child, sel *plan.Action, emit func(*alert.Alert)) (watcher, error) {
	w, err := t.watchChild(ctx, c, sel, emit)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (t *tracing) watchChild(ctx context.Context, c *child.Child, sel *plan.Action, emit func(*alert.Alert)) (*tracedChild, error) {
	w := &tracedChild{program: t.program, secret: trace.NewMarks(), evaluator: t.engine.NewEvaluator()}
	if sel.Rule != nil {
		if err := w.evaluator.Explain(sel.Rule.Name); err != nil {
			return nil, fmt.Errorf("preparing to explain the rule: %w", err)
		}
	}
	mine := func(a *alert.Alert) { emit(belonging(a, c.ID())) }
	handler := func(e *event.Event) { w.evaluator.Evaluate(fields.SourceName, e, mine) }
	if t.record != "" {
		rec, err := newRecording(t.record, sel.Name)
		if err != nil {
			return nil, err
		}
		w.recording = rec
		handler = func(e *event.Event) {
			rec.add(e)
			if t.wanted[e.Type] { // others would blur why a rule did not fire
				w.evaluator.Evaluate(fields.SourceName, e, mine)
			}
		}
	}
	if t.keep && sel.Rule != nil {
		types := sel.Rule.EventTypes
		judge := handler
		handler = func(e *event.Event) {
			if len(w.events) < maxKept && types.Has(e.Type.String()) {
				w.events = append(w.events, e.Clone())
			}
			judge(e)
		}
	}
	if t.keepAll {
		handler = func(e *event.Event) {
			if len(w.events) < maxKept {
				w.events = append(w.events, &event.Event{Type: e.Type})
			}
		}
	}
	var err error
	// The child stops the action when the context ends, so that it cleans up; a
	// tracer would kill it at once.
	w.tracer, err = trace.Attach(context.WithoutCancel(ctx), c.PID(), trace.Options{
		Types:     t.types,
		Marks:     w.secret,
		Handler:   handler,
		Container: t.container,
		Here:      t.here,
	})
	if err != nil {
		if w.recording != nil {
			w.recording.discard()
		}
		return nil, fmt.Errorf("tracing the action: %w", err)
	}
	return w, nil
}

// belonging names the action in an alert of a process whose environment cannot be
// read, which would name it: it is traced as one of the action's.
func belonging(a *alert.Alert, id string) *alert.Alert {
	for _, field := range source.ByName(source.Default).ID {
		if a.Fields[field] == event.UnknownText {
			a.Fields[field] = id
		}
	}
	return a
}

// tracedChild is a child whose system calls are evaluated as they happen.
type tracedChild struct {
	program   []byte
	secret    trace.Marks
	tracer    *trace.Tracer
	evaluator *engine.Evaluator
	events    []any          // that are kept
	alerts    []*alert.Alert // where a real Falco judged
	recording *recording     // nil when nothing is recorded
	noted     string         // how it is known why a rule did not fire, when another judged
}

// maxKept bounds how many events of an action are kept.
const maxKept = 2000

// kept are the events, after exit.
func (t *tracedChild) kept() []any { return t.events }

func (t *tracedChild) setup() child.Setup {
	return child.Setup{Filter: t.program, Marks: t.secret, Exit: t.exit}
}

// exit waits until the child's tree has ended, and tells in words how its first
// process did, "" for a normal exit.
func (t *tracedChild) exit() string {
	exit, _ := t.tracer.Wait()
	if t.recording != nil {
		t.recording.close()
	}
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
	if err == nil && t.recording != nil {
		err = t.recording.close()
	}
	return err
}

func (t *tracedChild) why(rule string) *engine.Why { return t.evaluator.Why(rule) }

func (t *tracedChild) note() string { return t.noted }
