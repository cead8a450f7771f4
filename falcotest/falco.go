// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"errors"
	"testing"
)

func openFalco(ctx context.Context, t testing.TB, s *Session) (backend, error) {
	return nil, errors.New("not yet")
}

type kubernetesConfig struct{}
