// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !(amd64 || arm64)

package falcotest

import (
	"context"
	"errors"
	"testing"

	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/plan"
)

// errNoTracing says where the built-in engine works.
var errNoTracing = errors.New("the built-in engine needs Linux on amd64 or arm64: it traces the actions' system calls")

func openBuiltin(context.Context, *Session) (backend, error) { return nil, errNoTracing }

func openReplay(context.Context, testing.TB, *Session) (backend, error) { return nil, errNoTracing }

// seeAll sees nothing: there is no built-in engine here.
func (s *Session) seeAll(context.Context, *Result, *plan.Action) {}

// explainAgain explains nothing: there is no built-in engine here.
func (s *Session) explainAgain(_ context.Context, r *Result, _ *plan.Action) {
	r.WhyNote = errNoTracing.Error()
}

// doubtSilence cannot tell whether a Falco knows what it was silent of.
func (s *Session) doubtSilence(_ context.Context, r *Result, _ *plan.Action) {
	r.Outcome, r.Reason, r.lasting = Inconclusive, errNoTracing.Error(), true
}

// explainLive is as little there.
func (s *Session) explainLive() (*engine.Engine, error) { return nil, errNoTracing }

type tracing struct{}
