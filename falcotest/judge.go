// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// backend is who judges.
type backend interface {
	// name says who judges, with its version.
	name() string
	// judge returns who attributes alerts and decides.
	judge() *verdict.Decider
	// watch attaches what has to see the child's system calls, while it waits
	// at its gate. A real Falco sees them anyway: its watcher is nil.
	watch(ctx context.Context, c *child.Child, sel *plan.Action) (watcher, error)
	// unsupported says why a rule cannot be judged, or "".
	unsupported(rule *rules.Rule) string
	// needs is what the judge needs of this machine to judge an action.
	needs(sel *plan.Action) []events.Need
	// ownNames tells whether the judge sees the host names that only an action
	// sees; see events.OwnNames.
	ownNames() bool
	// advice is what would make the judge's alerts attributable exactly, or "".
	advice() string
	close() error
}

// watcher is the built-in engine's eye on one child.
type watcher interface {
	// setup is what the child is given when its gate opens.
	setup() child.Setup
	// err is what went wrong in watching, after the child's end.
	err() error
	// why tells, after its end, why a rule did not fire.
	why(rule string) *engine.Why
	// note says what that rests on where another judged, or "".
	note() string
}

// falcoVersion is the version of Falco that the built-in engine agrees with.
const falcoVersion = "0.43.1"

// builtinName is how messages call the built-in engine.
func builtinName() string {
	return fmt.Sprintf("the built-in engine, as Falco %s (engine %s)", falcoVersion, rules.EngineVersion)
}

// openBackend reaches or starts the judge that the configuration names.
func openBackend(ctx context.Context, t testing.TB, s *Session) (backend, error) {
	if err := s.cfg.checkScheme(); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(s.cfg.falco, "builtin:"):
		return openBuiltin(ctx, s)
	case strings.HasPrefix(s.cfg.falco, "replay:"):
		return openReplay(ctx, t, s)
	case s.cfg.record != "":
		return nil, fmt.Errorf("recording the actions: the judge %s sees them itself, and nothing traces them here: let builtin: or replay: judge", s.cfg.falco)
	}
	if strings.HasPrefix(s.cfg.falco, "exec:") {
		return openExec(ctx, t, s)
	}
	return openRemote(ctx, t, s)
}
