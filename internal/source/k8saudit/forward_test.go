// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// auditEvent is one with that id and so much in it.
func auditEvent(t *testing.T, id string, size int) *audit.Event {
	t.Helper()
	text := fmt.Sprintf(`{"kind":"Event","auditID":%q,"stageTimestamp":"2026-01-01T00:00:00.000000Z","annotations":{"x":%q}}`, id, strings.Repeat("x", size))
	events, err := audit.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return events[0]
}

// slowPlugin takes events once it is let, and says which came.
type slowPlugin struct {
	*httptest.Server
	let chan struct{} // closed to let it
	got chan string   // their ids

	mu     sync.Mutex
	refuse bool
}

func startSlowPlugin(t *testing.T) *slowPlugin {
	p := &slowPlugin{let: make(chan struct{}), got: make(chan string, 1000)}
	handler := audit.NewHandler(audit.HandlerOptions{Handle: func(e *audit.Event) { p.got <- e.Text("auditID") }})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-p.let
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.refuse {
			http.Error(w, "no\nroom", http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// next returns the ids of the next n events.
func (p *slowPlugin) next(n int) (ids []string) {
	for range n {
		ids = append(ids, <-p.got)
	}
	return ids
}

// What comes while the plugin is busy goes in its order, and add does not wait.
func TestForwardKeepsTheOrder(t *testing.T) {
	p := startSlowPlugin(t)
	f := newForwarder(p.URL, func(err error) { t.Error(err) })
	defer f.close()
	var want []string
	for i := range 300 {
		id := fmt.Sprint(i)
		f.add(auditEvent(t, id, 100))
		want = append(want, id)
	}
	close(p.let)
	if diff := cmp.Diff(want, p.next(300)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// What waits is bounded, in memory as in one request, and what is not kept is
// told.
func TestForwardIsBounded(t *testing.T) {
	p := startSlowPlugin(t)
	problems := make(chan error, 100)
	f := newForwarder(p.URL, func(err error) { problems <- err })
	defer f.close()
	const size = 1 << 20
	big := auditEvent(t, "big", size)
	const added = 2 * forwardKept / size
	for range added {
		f.add(big)
	}
	lost := len(problems)
	if kept := added - lost; kept > (forwardKept+forwardBody)/size || kept < forwardKept/size-1 {
		t.Errorf("%d of %d events were kept", kept, added)
	}
	if err := <-problems; !strings.Contains(err.Error(), "is so far behind that an audit event was not kept for it") {
		t.Error(err)
	}
	close(p.let)
	p.next(added - lost)
}

// A plugin that refuses is told of, and gets the next ones all the same.
func TestForwardRefused(t *testing.T) {
	p := startSlowPlugin(t)
	close(p.let)
	p.refuse = true
	problems := make(chan error, 1)
	f := newForwarder(p.URL, func(err error) { problems <- err })
	defer f.close()
	f.add(auditEvent(t, "a", 1))
	if got, want := (<-problems).Error(), "handing audit events on to the Falco, 1 at once: 503 Service Unavailable: no room"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.mu.Lock()
	p.refuse = false
	p.mu.Unlock()
	f.add(auditEvent(t, "b", 1))
	if got := p.next(1); got[0] != "b" {
		t.Errorf("got %s", got)
	}
}
