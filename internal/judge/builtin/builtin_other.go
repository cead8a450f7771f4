// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !(amd64 || arm64)

package builtin

import (
	"context"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/plan"
)

// Open opens nothing here.
func Open(context.Context, *judge.Brief) (judge.Judge, error) { return nil, ErrNoTracing }

// Tracing is not to be had here.
type Tracing struct {
	Engine *engine.Engine
	Here   *event.Container
}

// NewTracing makes nothing here.
func NewTracing(context.Context, *judge.Brief, bool) (*Tracing, error) { return nil, ErrNoTracing }

// Types is as little here.
func (t *Tracing) Types() (*Tracing, error) { return nil, ErrNoTracing }

// Trace traces nothing here.
func (t *Tracing) Trace(context.Context, *child.Child, *plan.Action, func(*alert.Alert), *Replay) (*Traced, error) {
	return nil, ErrNoTracing
}

// Traced is no child here.
type Traced struct{ judge.Watcher }
