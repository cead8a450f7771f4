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
	calmInterval = 20 * time.Millisecond
	idleInterval = 250 * time.Millisecond
	// calming is by how much shorter than the time without news the wait is.
	calming = 16
)

// pace says when to look for alerts again: often while somebody waits for them,
// less often the longer nothing has been heard, and seldom when nobody waits.
type pace struct {
	mu      sync.Mutex
	pending int64
	latest  time.Time     // when pending rose last, or an alert came
	changed chan struct{} // closed when there are more pending
}

func newPace() *pace { return &pace{changed: make(chan struct{})} }

func (p *pace) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending += n
	if n > 0 {
		p.latest = time.Now()
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// news tells that something was heard: more may follow.
func (p *pace) news() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = time.Now()
}

// busy tells whether anybody waits.
func (p *pace) busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending > 0
}

// interval is how long to wait at a time, and what ends the wait sooner.
func (p *pace) interval(now time.Time) (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending <= 0 {
		return idleInterval, p.changed
	}
	interval := min(max(now.Sub(p.latest)/calming, busyInterval), calmInterval)
	if interval == busyInterval {
		return interval, nil // as soon as can be
	}
	return interval, p.changed
}

// wait returns when it is time to look again, or false when the context has
// ended.
func (p *pace) wait(ctx context.Context) bool {
	interval, changed := p.interval(time.Now())
	t := time.NewTimer(interval)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
