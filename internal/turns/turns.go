// SPDX-License-Identifier: Apache-2.0

// Package turns lets processes that use the same endpoint of a Falco take
// turns.
//
// All subscribers of a Falco share one queue, and go test runs the tests of
// several packages at the same time: without turns they would take each
// other's alerts. On Linux a turn is the name of an abstract unix socket, which
// all users of the machine share, whatever folders they have for temporary
// files; and, for an endpoint in a folder, a lock on that folder, by which those
// in containers that have it mounted take turns with the others. Elsewhere, and
// where the kernel refuses such sockets, it is a lock on a file in /tmp. The
// system frees all of them when their holder dies. The package imports
// internal/filelock alone.
package turns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/falcotest/go-falcotest/internal/filelock"
)

// Patience is how long [Take] waits before it says for whom it waits.
const Patience = 5 * time.Second

// Options change how [Take] waits. All have defaults.
type Options struct {
	// Logf is told once, after Patience, who holds the turn. Default: nobody.
	Logf func(format string, args ...any)
	// Who names this process to those that wait, e.g. the package under test.
	// Default: the name of the executable.
	Who string
	// Folder is where the endpoint is, if it is in one: it is locked as well, if
	// this user may read it. Endpoints in one folder share a turn among
	// processes, but not within one.
	Folder string
	// Patience is how long to wait before Logf is called. Default: [Patience].
	Patience time.Duration

	places []place // in tests
}

// A place is a way to take turns.
type place interface {
	// try takes the turn of a name; it returns nil if another has it.
	try(name, who string) (release func(), err error)
	// holder describes who has it.
	holder(name string) string
}

// Turn is the right to use an endpoint, until it is released.
type Turn struct {
	releases []func()
}

// Take waits until no other process has the endpoint's turn, and takes it. It
// fails when the context ends, naming the holder, or when there is no way to
// take turns.
func Take(ctx context.Context, endpoint string, opts Options) (*Turn, error) {
	if opts.Patience <= 0 {
		opts.Patience = Patience
	}
	if opts.Who == "" {
		opts.Who = filepath.Base(os.Args[0])
	}
	if opts.places == nil {
		opts.places = defaultPlaces(opts.Folder)
	}
	sum := sha256.Sum256([]byte(endpoint))
	name := "falcotest-turn-" + hex.EncodeToString(sum[:8])
	t := &Turn{}
	since := time.Now()
	said := false
	for _, p := range opts.places {
		for {
			release, err := p.try(name, opts.Who)
			if err != nil {
				t.Release()
				return nil, fmt.Errorf("taking a turn at %s: %w", endpoint, err)
			}
			if release != nil {
				t.releases = append(t.releases, release)
				break
			}
			if !said && opts.Logf != nil && time.Since(since) >= opts.Patience {
				said = true
				opts.Logf("waiting for %s, which %s uses", endpoint, p.holder(name))
			}
			timer := time.NewTimer(filelock.Interval)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				t.Release()
				return nil, fmt.Errorf("waiting for a turn at %s, which %s uses: %w", endpoint, p.holder(name), context.Cause(ctx))
			}
		}
	}
	return t, nil
}

// Release passes the turn on. A nil turn has nothing to release.
func (t *Turn) Release() {
	if t == nil {
		return
	}
	for i := len(t.releases) - 1; i >= 0; i-- {
		t.releases[i]()
	}
	t.releases = nil
}

// another is a holder of which nothing is known.
const another = "another process"
