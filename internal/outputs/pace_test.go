// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for _, test := range []struct {
		name    string
		pending int64
		silent  time.Duration
		want    time.Duration
		woken   bool
	}{
		{"nobody waits", 0, 0, idleInterval, true},
		{"an action began", 1, 0, busyInterval, false},
		{"an action runs", 1, 16 * busyInterval, busyInterval, false},
		{"an action takes its time", 1, 160 * time.Millisecond, 10 * time.Millisecond, true},
		{"an action sleeps", 1, 6 * time.Second, calmInterval, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPace()
			p.add(test.pending)
			got, changed := p.interval(p.latest.Add(test.silent))
			if got != test.want {
				t.Errorf("it waits %v, want %v", got, test.want)
			}
			if (changed != nil) != test.woken {
				t.Errorf("a change ends the wait: %t, want %t", changed != nil, test.woken)
			}
		})
	}
}

// TestPaceRises has one more wait while nothing was heard for long.
func TestPaceRises(t *testing.T) {
	p := newPace()
	p.add(1)
	_, changed := p.interval(p.latest.Add(time.Hour))
	p.add(1)
	select {
	case <-changed:
	default:
		t.Error("whoever waits is not told")
	}
	p.news()
	if got, _ := p.interval(p.latest); got != busyInterval {
		t.Errorf("after news it waits %v, want %v", got, busyInterval)
	}
}
