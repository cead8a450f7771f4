// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package child

import (
	"context"
	"errors"
	"os"

	"github.com/falcotest/go-falcotest/internal/trace"
)

// Child is an action's process, seen from its parent.
type Child struct{}

var errLinux = errors.New("running actions needs Linux")

// Start fails: actions need Linux.
func Start(context.Context, Spec) (*Child, error) { return nil, errLinux }

// PID returns 0.
func (c *Child) PID() int { return 0 }

// Open fails: actions need Linux.
func (c *Child) Open(Setup) error { return errLinux }

// Wait returns nothing.
func (c *Child) Wait(context.Context) Result { return Result{} }

// End returns nothing.
func (c *Child) End(...trace.Exit) Result { return Result{} }

func installFilter([]byte) error { return errLinux }

func prepare() []string { return nil }

func endSession() {}

func inherited(fd uintptr, name string) *os.File { return os.NewFile(fd, name) }
