// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/falcotest/go-falcotest/internal/perform"
	"github.com/falcotest/go-falcotest/internal/plan"
)

// paths keeps tests apart that change the same files, where these do not vanish with
// each. The zero value is ready.
type paths struct {
	mu    sync.Mutex
	taken map[string]bool
	freed chan struct{} // closed when one is let go
}

// enter waits until no other test has one of the paths, and returns what lets them go.
func (p *paths) enter(ctx context.Context, keys []string) (leave func(), err error) {
	for {
		p.mu.Lock()
		if !slices.ContainsFunc(keys, func(k string) bool { return p.taken[k] }) {
			break
		}
		freed := p.freed
		p.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	defer p.mu.Unlock()
	if p.taken == nil {
		p.taken, p.freed = map[string]bool{}, make(chan struct{})
	}
	for _, k := range keys {
		p.taken[k] = true
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, k := range keys {
			delete(p.taken, k)
		}
		close(p.freed)
		p.freed = make(chan struct{})
	}, nil
}

// shares are the paths by which a test could be in another's way: the first two parts
// of each that it names, since it makes and removes the folders above, too. A test of
// root's has all of them for itself.
func (s *Session) shares(a *plan.Action) (keys []string) {
	if a.Scenario == nil || a.Made() || os.Geteuid() == 0 && s.settings.Hermetic {
		return nil
	}
	for _, path := range perform.Paths(a.Scenario) {
		parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
		key := strings.Join(parts[:min(2, len(parts))], "/")
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}
