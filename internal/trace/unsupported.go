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

// Supported returns [ErrUnsupported] on this system.
func Supported() error { return ErrUnsupported }

// Probe returns [ErrUnsupported] on this system.
func Probe() (Way, error) { return 0, ErrUnsupported }
