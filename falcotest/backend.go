// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/rules"
)

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
