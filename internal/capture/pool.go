// SPDX-License-Identifier: Apache-2.0

package capture

import "github.com/falcotest/go-falcotest/internal/event"

// pool keeps descriptors and their tables that are not used any more for those that
// come next.
type pool struct {
	fds    []*event.FD
	tables []map[int64]*event.FD

	// Of a table that grows: its descriptors, and where those of each bucket come in the
	// new order, from its end.
	growing []*event.FD
	places  map[int64]int
}

// The most that is kept, and the largest table.
const (
	mostFreeFDs    = 4096
	mostFreeTables = 256
	largestFree    = 128
)

func (p *pool) fd() *event.FD {
	if n := len(p.fds); n > 0 {
		f := p.fds[n-1]
		p.fds = p.fds[:n-1]
		return f
	}
	return &event.FD{}
}

func (p *pool) free(f *event.FD) {
	if f != nil && len(p.fds) < mostFreeFDs {
		p.fds = append(p.fds, f)
	}
}

func (p *pool) table() map[int64]*event.FD {
	if n := len(p.tables); n > 0 {
		t := p.tables[n-1]
		p.tables = p.tables[:n-1]
		return t
	}
	return map[int64]*event.FD{}
}

// release frees a table and the descriptors in it.
func (p *pool) release(t map[int64]*event.FD) {
	for _, f := range t {
		p.free(f)
	}
	if len(t) <= largestFree && len(p.tables) < mostFreeTables {
		clear(t)
		p.tables = append(p.tables, t)
	}
}
