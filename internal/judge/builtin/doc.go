// SPDX-License-Identifier: Apache-2.0

// Package builtin is the built-in engine as a judge: it traces the actions, evaluates
// the rules under test for what they do, and serves its alerts as a Falco does.
//
// [Open] starts the judge. [NewTracing] is the engine alone, which watches actions for
// an explanation where a Falco judges. What is traced can be recorded, for a Falco that
// replays it ([Replay]). It needs Linux on amd64 or arm64; elsewhere, [ErrNoTracing]
// says so. The package imports internal/judge, whose interface it implements, and
// internal/trace, internal/engine and internal/serve, of which it is made.
package builtin

import (
	"errors"

	"github.com/falcotest/go-falcotest/internal/falco"
)

// ErrNoTracing says where the built-in engine works.
var ErrNoTracing = errors.New("the built-in engine needs Linux on amd64 or arm64: it traces the actions' system calls")

// Replay is told of the recording of an action that a Falco is to judge.
type Replay struct {
	Done  func(falco.Recording) // when the file is whole
	Ended func()                // when there is no more to come, whole or not
}
