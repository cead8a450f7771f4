// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !(amd64 || arm64)

package replaying

import (
	"context"

	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/judge/builtin"
)

// Open opens nothing here.
func Open(context.Context, *judge.Brief) (judge.Judge, error) { return nil, builtin.ErrNoTracing }
