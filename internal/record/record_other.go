// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !(amd64 || arm64)

package record

import (
	"context"
	"io"

	"github.com/falcotest/go-falcotest/internal/trace"
)

// Command returns [trace.ErrUnsupported] on this system.
func Command(context.Context, []string, io.Writer, Options) (Result, error) {
	return Result{}, trace.ErrUnsupported
}

// Gate returns [trace.ErrUnsupported] on this system.
func Gate([]string) error { return trace.ErrUnsupported }
