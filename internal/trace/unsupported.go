// SPDX-License-Identifier: Apache-2.0

//go:build !linux || (!amd64 && !arm64)

package trace

import (
	"context"

	"github.com/falcotest/go-falcotest/internal/event"
)

// Tracer watches a process tree.
type Tracer struct{}

// Attach returns [ErrUnsupported] on this system.
func Attach(context.Context, int, Options) (*Tracer, error) { return nil, ErrUnsupported }

// Wait returns [ErrUnsupported] on this system.
func (*Tracer) Wait() (Exit, error) { return Exit{}, ErrUnsupported }

// Program returns [ErrUnsupported] on this system.
func Program([]event.Type) ([]byte, error) { return nil, ErrUnsupported }

// InstallFilter returns [ErrUnsupported] on this system.
func InstallFilter([]byte) error { return ErrUnsupported }

// Supported returns [ErrUnsupported] on this system.
func Supported() error { return ErrUnsupported }

// Probe returns [ErrUnsupported] on this system.
func Probe() (Way, error) { return 0, ErrUnsupported }

// Begin does nothing on this system.
func (Marks) Begin(in, out int) {}

// End does nothing on this system.
func (Marks) End() {}

// Aside runs f.
func (Marks) Aside(f func()) { f() }

// Spawn runs f.
func (Marks) Spawn(f func()) { f() }

// Stage runs f.
func (Marks) Stage(f func()) { f() }

// Become does nothing on this system.
func (Marks) Become() {}
