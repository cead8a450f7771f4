// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// forwarder hands audit events on to a Falco's k8saudit plugin in their order,
// and keeps those for which the Falco has no time yet. Requests to the API
// server, which are over once their event was heard, do not wait for it.
type forwarder struct {
	url     string
	client  *http.Client
	problem func(error) // is told of events that were lost
	more    chan struct{}
	end     context.CancelFunc
	ended   chan struct{}

	mu      sync.Mutex
	waiting []string
	size    int // of what waits, in bytes
}

// How much waits for a Falco, and how much of it goes at once: the plugin takes
// 12 MiB by default. It answers at once unless it is far behind; one that did
// not answer is not waited for that long again.
const (
	forwardKept    = 64 << 20
	forwardBody    = 8 << 20
	forwardTimeout = time.Minute
	forwardAgain   = time.Second
)

func newForwarder(url string, problem func(error)) *forwarder {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{
		url: url, problem: problem, client: oneRequest(),
		more: make(chan struct{}, 1), end: cancel, ended: make(chan struct{}),
	}
	go f.run(ctx)
	return f
}

// oneRequest is a client that keeps no connection: Falcos come and go behind the
// same URL.
func oneRequest() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// add has an event handed on.
func (f *forwarder) add(e *audit.Event) {
	f.mu.Lock()
	full := f.size+len(e.JSON()) > forwardKept
	if !full {
		f.waiting = append(f.waiting, e.JSON())
		f.size += len(e.JSON())
	}
	f.mu.Unlock()
	if full {
		f.problem(fmt.Errorf("the Falco at %s is so far behind that an audit event was not kept for it", f.url))
	}
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// next takes what goes next, as the items of a list.
func (f *forwarder) next() (items []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := 0
	for len(f.waiting) > 0 && (size == 0 || size+len(f.waiting[0]) <= forwardBody) {
		size += len(f.waiting[0])
		items = append(items, f.waiting[0])
		f.waiting = f.waiting[1:]
	}
	f.size -= size
	return items
}

func (f *forwarder) run(ctx context.Context) {
	defer close(f.ended)
	timeout := forwardTimeout
	for {
		select {
		case <-f.more:
		case <-ctx.Done():
			return
		}
		for items := f.next(); len(items) > 0; items = f.next() {
			// The API server's items do not say what they are, as the plugin
			// wants of single events.
			list := `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[` + strings.Join(items, ",") + `]}`
			if err := f.post(ctx, list, timeout); ctx.Err() != nil {
				return
			} else if err != nil {
				f.problem(fmt.Errorf("handing audit events on to the Falco, %d at once: %w", len(items), err))
				timeout = forwardAgain
			} else {
				timeout = forwardTimeout
			}
		}
	}
}

// close ends it; what waits is not handed on any more.
func (f *forwarder) close() {
	f.end()
	<-f.ended
}

func (f *forwarder) post(ctx context.Context, list string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, strings.NewReader(list))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("%s: %s", resp.Status, strings.Join(strings.Fields(string(text)), " "))
	}
	return nil
}

// reachPlugin waits until a k8saudit plugin listens at a URL: it may do so some
// time after its Falco alerts on other sources.
func reachPlugin(ctx context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("AuditWebhook %q: want a URL such as http://127.0.0.1:9765/k8s-audit", rawURL)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := oneRequest()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
		if err != nil {
			return fmt.Errorf("AuditWebhook %q: %w", rawURL, err)
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusMethodNotAllowed { // it takes POST only
				return nil
			}
			return fmt.Errorf("AuditWebhook %q: no k8saudit plugin of a Falco: it answers %s; is the path that of the plugin's open_params?", rawURL, resp.Status)
		}
		t := time.NewTimer(50 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("AuditWebhook %q: no k8saudit plugin of a Falco listens there: %w", rawURL, err)
		}
	}
}
