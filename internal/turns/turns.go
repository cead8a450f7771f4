// SPDX-License-Identifier: Apache-2.0

// Package turns lets processes that use the same endpoint of a Falco take
// turns.
//
// All subscribers of a Falco share one queue, and go test runs the tests of
// several packages at the same time: without turns they would take each
// other's alerts. A turn is a lock on a file in the folder for temporary files,
// named after the endpoint; the system frees it when its holder dies. The
// package imports nothing of this module.
package turns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Patience is how long [Take] waits before it says for whom it waits.
const Patience = 5 * time.Second

// interval is how often a waiting process tries again. File locks cannot be
// waited for with a context.
const interval = 20 * time.Millisecond

// Options change how [Take] waits. All have defaults.
type Options struct {
	// Logf is told once, after Patience, who holds the turn. Default: nobody.
	Logf func(format string, args ...any)
	// Who names this process to those that wait, e.g. the package under test.
	// Default: the name of the executable.
	Who string
	// Dir holds the locks. Default: [os.TempDir]. Processes that use different
	// folders do not see each other.
	Dir string
	// Patience is how long to wait before Logf is called. Default: [Patience].
	Patience time.Duration
}

// Turn is the right to use an endpoint, until it is released.
type Turn struct {
	f    *os.File
	path string
}

// Take waits until no other process holds the endpoint's turn, and takes it.
// Users of one machine share the locks. It fails when the context ends, naming
// the holder, or when no lock can be made.
func Take(ctx context.Context, endpoint string, opts Options) (*Turn, error) {
	if opts.Dir == "" {
		opts.Dir = os.TempDir()
	}
	if opts.Patience <= 0 {
		opts.Patience = Patience
	}
	if opts.Who == "" {
		opts.Who = filepath.Base(os.Args[0])
	}
	sum := sha256.Sum256([]byte(endpoint))
	path := filepath.Join(opts.Dir, "falcotest-turn-"+hex.EncodeToString(sum[:8])+".lock")
	start := time.Now()
	said := false
	for {
		t, err := try(path)
		if err != nil {
			return nil, fmt.Errorf("taking a turn at %s: %w", endpoint, err)
		}
		if t != nil {
			// For people only: the lock holds without it.
			t.f.Truncate(0)
			t.f.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), opts.Who), 0)
			return t, nil
		}
		if !said && opts.Logf != nil && time.Since(start) >= opts.Patience {
			said = true
			opts.Logf("waiting for %s, which %s uses", endpoint, holder(path))
		}
		timer := time.NewTimer(interval)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("waiting for a turn at %s, which %s uses: %w", endpoint, holder(path), ctx.Err())
		}
	}
}

// holder describes who wrote into the lock's file.
func holder(path string) string {
	b, err := os.ReadFile(path)
	pid, who, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	if err != nil || !ok || len(b) > 4096 {
		return "another process"
	}
	return fmt.Sprintf("%q (pid %s)", who, pid)
}

// try takes the lock if it is free; else it returns nil.
func try(path string) (*Turn, error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	ok, err := lock(f)
	if err != nil || !ok {
		f.Close()
		return nil, err
	}
	// The last holder removed the file between open and lock: then this lock
	// excludes nobody.
	mine, err1 := f.Stat()
	now, err2 := os.Lstat(path)
	if err1 != nil || err2 != nil || !os.SameFile(mine, now) {
		f.Close()
		return nil, nil
	}
	return &Turn{f: f, path: path}, nil
}

// Release passes the turn on, and removes the lock's file where this user may.
// A nil turn has nothing to release.
func (t *Turn) Release() {
	if t == nil || t.f == nil {
		return
	}
	remove(t)
	t.f.Close() // frees the lock
	t.f = nil
}
