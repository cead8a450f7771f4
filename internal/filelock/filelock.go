// SPDX-License-Identifier: Apache-2.0

// Package filelock locks files against other processes. A lock belongs to an
// open file: it goes when that is closed, and so with its process, however that
// ends. The package imports nothing of this module.
package filelock

import (
	"context"
	"os"
	"time"
)

// Interval is how often a waiting process tries again: file locks cannot be
// waited for with a context.
const Interval = 20 * time.Millisecond

// Try locks an open file, unless another open file has the lock: then it
// returns false. The file need not be open for writing.
func Try(f *os.File) (bool, error) { return try(f) }

// Wait is like [Try], and waits until the lock is free or the context ends.
func Wait(ctx context.Context, f *os.File) error {
	timer := time.NewTicker(Interval)
	defer timer.Stop()
	for {
		ok, err := try(f)
		if err != nil || ok {
			return err
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Names tells whether a path names an open file, still or again: not when the
// file was removed, or replaced, between its opening and its locking.
func Names(path string, f *os.File) bool {
	is, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(is, named)
}
