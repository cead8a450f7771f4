// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package builtin

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
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/machine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
	"github.com/falcotest/go-falcotest/internal/trace"
)

// Tracing is the built-in engine with the rules under test, ready to watch
// children.
type Tracing struct {
	Engine  *engine.Engine
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
	// Here is the container that this process runs in, nil on a host.
	Here *event.Container
}

// NewTracing makes an engine of the rules under test. It may keep the events that a rule
// can be true for, for its action to be judged once more.
func NewTracing(ctx context.Context, b *judge.Brief, keep bool) (*Tracing, error) {
	extra := plan.Fields(b.Plan.Actions)
	for _, src := range source.All() {
		extra[src.Name] = append(slices.Clone(src.Correlation), extra[src.Name]...)
	}
	opts := engine.Options{Matching: engine.All, Enable: b.Plan.Enables, ExtraFields: extra, Hostname: machine.Hostname()}
	eng, err := engine.New(b.Plan.Rules, opts)
	if err != nil {
		return nil, err
	}
	t := &Tracing{
		Engine: eng, types: fields.Types(eng.EventTypes(fields.SourceName)), container: b.Containers.Lookup, keep: keep, Here: b.Containers.Here(ctx),
	}
	for _, typ := range t.types {
		t.wanted[typ] = true
	}
	if b.Settings.Record != "" {
		t.record = b.Settings.Record
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

// Trace attaches to a child at its gate. What the rules make of its system
// calls goes to emit; where it is recorded, the recording goes to a Replay, if it is
// not nil.
func (t *Tracing) Trace(ctx context.Context, c *child.Child, sel *plan.Action, emit func(*alert.Alert), replay *Replay) (*Traced, error) {
	w := &Traced{program: t.program, secret: trace.NewMarks(), evaluator: t.Engine.NewEvaluator()}
	if sel.Rule != nil {
		if err := w.evaluator.Explain(sel.Rule.Name); err != nil {
			return nil, fmt.Errorf("preparing to explain the rule: %w", err)
		}
	}
	mine := func(a *alert.Alert) { emit(belonging(a, c.ID())) }
	handler := func(e *event.Event) { w.evaluator.Evaluate(fields.SourceName, e, mine) }
	if t.record != "" {
		rec := newRecording(t.record, sel.Name, replay)
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
		evaluate := handler
		handler = func(e *event.Event) {
			if len(w.events) < maxKept && types.Has(e.Type.String()) {
				w.events = append(w.events, e.Clone())
			}
			evaluate(e)
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
		Here:      t.Here,
	})
	if err != nil {
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

// Traced is a child whose system calls are evaluated as they happen.
type Traced struct {
	program   []byte
	secret    trace.Marks
	tracer    *trace.Tracer
	evaluator *engine.Evaluator
	events    []any      // that are kept
	recording *recording // nil when nothing is recorded
}

// maxKept bounds how many events of an action are kept.
const maxKept = 2000

// Events are those that were kept, after its end.
func (t *Traced) Events() []any { return t.events }

// Setup has the child trace itself from its gate on.
func (t *Traced) Setup() child.Setup {
	return child.Setup{Filter: t.program, Marks: t.secret, Exit: t.exit}
}

// exit waits until the child's tree has ended, and tells in words how its first
// process did, "" for a normal exit.
func (t *Traced) exit() string {
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

// Err is what went wrong in tracing or recording.
func (t *Traced) Err() error {
	_, err := t.tracer.Wait()
	if err == nil && t.recording != nil {
		err = t.recording.close()
	}
	return err
}

// Why tells why a rule did not fire.
func (t *Traced) Why(rule string) *engine.Why { return t.evaluator.Why(rule) }

// Note says that another judged what was recorded, if one did.
func (t *Traced) Note() string {
	if t.recording != nil && t.recording.replay != nil {
		return "as the built-in engine judged the same events"
	}
	return ""
}
