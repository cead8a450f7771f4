// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"context"
	"sync"
	"time"
)

// How long to wait between two looks for alerts. A Falco answers requests only,
// and a file does not tell that it grew.
const (
	busyInterval = time.Millisecond
	idleInterval = 250 * time.Millisecond
)

// pace says when to look for alerts again: often while an action is pending,
// seldom otherwise.
type pace struct {
	mu      sync.Mutex
	pending int64
	changed chan struct{} // closed when pending rises above 0
}

func newPace() *pace { return &pace{changed: make(chan struct{})} }

func (p *pace) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.pending
	p.pending += n
	if was <= 0 && p.pending > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// busy tells whether an action is pending.
func (p *pace) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending > 0
}

// wait returns when it is time to look again, or false when the context has
// ended.
func (p *pace) wait(ctx context.Context) bool {
	p.mu.Lock()
	changed, interval := p.changed, idleInterval
	if p.pending > 0 {
		changed, interval = nil, busyInterval
	}
	p.mu.Unlock()
	t := time.NewTimer(interval)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
