// SPDX-License-Identifier: Apache-2.0

// Package judge is who judges actions, behind one interface: a [Judge]. Each kind has
// a folder of its own below this one: the built-in engine (builtin), a Falco that runs
// already (running), one that is started for the run (started), and one that replays
// what was traced here (replaying).
//
// A judge is opened with what it is told of the run, a [Brief]. It watches each action
// while its process waits at its gate, and its decider (internal/verdict) says what its
// alerts amount to. The package imports what a Falco and an engine are made of, and
// internal/plan; it knows no sessions and no tests.
package judge

import (
	"context"
	"fmt"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/run"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// Judge is who judges. Its methods are safe for concurrent use.
type Judge interface {
	// Name says who judges, with its version.
	Name() string
	// Decider attributes the alerts and decides.
	Decider() *verdict.Decider
	// Watch attaches what has to see the child's system calls, while it waits
	// at its gate. A Falco that runs sees them anyway: its watcher is nil.
	Watch(ctx context.Context, c *child.Child, a *plan.Action) (Watcher, error)
	// Unsupported says why a rule cannot be judged, or "".
	Unsupported(rule *rules.Rule) string
	// Needs is what the judge needs of this machine to judge an action.
	Needs(a *plan.Action) []events.Need
	// OwnNames tells whether the judge sees the host names that only an action
	// sees; see events.OwnNames.
	OwnNames() bool
	// Exact tells whether its alerts say in any case whose they are.
	Exact() bool
	// Replays tells whether it judges recordings, beside the built-in engine.
	Replays() bool
	// Advice is what would make the judge's alerts attributable exactly, or "".
	Advice() string
	Close() error
}

// Watcher is the built-in engine's eye on one child.
type Watcher interface {
	// Setup is what the child is given when its gate opens.
	Setup() child.Setup
	// Err is what went wrong in watching, after the child's end.
	Err() error
	// Why tells, after its end, why a rule did not fire.
	Why(rule string) *engine.Why
	// Note says what that rests on where another judged, or "".
	Note() string
	// Events are those that its rule can be true for, where they are kept.
	Events() []any
}

// Beside is a Watcher whose engine judged the same events as a Falco did.
type Beside interface {
	Watcher
	// Alerts are those that the engine made of them.
	Alerts() []*alert.Alert
	// InContainer tells whether a process of the action was in a container.
	InContainer() bool
}

// Brief is what a judge is told of a run.
type Brief struct {
	Settings   *config.Settings
	Plan       *plan.Plan
	Streams    source.Streams
	Containers *run.Containers
	Who        string // the test, for others that wait for the same Falco
	Logf       func(format string, args ...any)
	// Explainer is the built-in engine beside a Falco, made when it is needed.
	Explainer func() (*engine.Engine, error)
}

// Minimum is the weakest correlation that passes.
func (b *Brief) Minimum() (correlate.Strength, error) {
	s, err := correlate.ParseStrength(b.Settings.MinCorrelation)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", config.MinCorrelation.Variable, err)
	}
	return s, nil
}
