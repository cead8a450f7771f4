// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"strings"
	"testing"
)

// openBackend reaches or starts the judge that the configuration names.
func openBackend(ctx context.Context, t testing.TB, s *Session) (backend, error) {
	if err := s.cfg.checkScheme(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.cfg.falco, "builtin:") {
		return openBuiltin(ctx, s)
	}
	if strings.HasPrefix(s.cfg.falco, "exec:") {
		return openExec(ctx, t, s)
	}
	return openRemote(ctx, t, s)
}
