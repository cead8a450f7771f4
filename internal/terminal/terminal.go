// SPDX-License-Identifier: Apache-2.0

// Package terminal shows how far a run is, and what it found, to the person who sits
// before it.
//
// Names of actions enter as they start and end, and the report at last. It imports
// internal/report, internal/result and internal/gotest.
package terminal

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/result"
)

// Terminal is where a person sits who runs go test: go test hides what the tests of
// packages that pass print, so that what was not verified would be seen by nobody.
type Terminal struct {
	mu    sync.Mutex
	out   *os.File
	drawn bool // the progress line is there
	plain bool // progress is told in lines of their own, and the totals by the table
	every time.Duration

	started     time.Time
	total, done int
	running     map[string]bool
	stop        chan struct{}
	stopped     sync.WaitGroup
}

// Open opens the terminal that the process is controlled by, in CI the standard
// output, for plain lines. It is nil where there is neither, with -json, and where it is
// turned off.
func Open(on bool) *Terminal {
	if !on || gotest.JSON() {
		return nil
	}
	t := &Terminal{running: map[string]bool{}, started: time.Now(), every: 200 * time.Millisecond}
	if os.Getenv("CI") != "" {
		t.out, t.plain, t.every = os.Stdout, true, 15*time.Second
		return t
	}
	out, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	t.out = out
	return t
}

// Begin shows how far the run is, from now on.
func (t *Terminal) Begin(total int) {
	if t == nil {
		return
	}
	t.total, t.stop = total, make(chan struct{})
	if t.plain && total > 0 {
		t.draw()
	}
	t.stopped.Go(func() {
		tick := time.NewTicker(t.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.mu.Lock()
				t.draw()
				t.mu.Unlock()
			case <-t.stop:
				return
			}
		}
	})
}

// Runs notes that an action runs, or does no more.
func (t *Terminal) Runs(action string, on bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if on {
		t.running[action] = true
		return
	}
	delete(t.running, action)
	t.done++
}

// draw writes the progress line over the last one.
func (t *Terminal) draw() {
	line := fmt.Sprintf("falcotest: %d/%d done, %s", t.done, t.total, time.Since(t.started).Round(time.Second))
	if names := slices.Sorted(maps.Keys(t.running)); len(names) > 0 {
		line += ", running " + strings.Join(names, " ")
	}
	if t.plain {
		fmt.Fprintln(t.out, line)
		return
	}
	width, _, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	fmt.Fprintf(t.out, "\r\x1b[K%s", result.Shorten(line, width-1))
	t.drawn = true
}

// End takes the progress line away and says in a few lines what the run found and
// what it did not verify.
func (t *Terminal) End(rep *report.Report) {
	if t == nil {
		return
	}
	if t.stop != nil {
		close(t.stop)
		t.stopped.Wait()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.plain {
		return
	}
	if t.drawn {
		fmt.Fprint(t.out, "\r\x1b[K")
	}
	if rep != nil {
		rep.Summary(t.out)
	}
	t.out.Close()
}
