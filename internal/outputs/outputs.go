// SPDX-License-Identifier: Apache-2.0

// Package outputs subscribes to the alerts of a Falco, whichever way it hands
// them out: its gRPC outputs API, its HTTP output, or a file of JSON lines.
//
// A [Subscription] is drained from the moment it is opened. What it delivers is
// one ordered stream of alerts and of events of the connection itself: whoever
// reads it learns of a lost connection at the place in the stream where alerts
// may be missing.
//
// The package imports internal/alert. Alerts enter from the network or a file
// and leave by the subscription's channel.
package outputs

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// Item is one element of a subscription: exactly one of Alert and Gap is set.
type Item struct {
	Alert *alert.Alert
	// Gap says that alerts may have been lost here, and why.
	Gap error
	At  time.Time // when it arrived
}

// Options configures a subscription.
type Options struct {
	// WaitHeader: the server confirms a subscription by its header, as the
	// built-in engine's does. Falco sends none before its first alert.
	WaitHeader bool
	// MaxBody bounds one alert over HTTP and one line of a file, in bytes.
	// Zero means 4 MiB.
	MaxBody int
}

func (o Options) maxBody() int {
	if o.MaxBody > 0 {
		return o.MaxBody
	}
	return 4 << 20
}

// Subscription is an open subscription. Its methods are safe for concurrent
// use; the channel is for one reader.
type Subscription struct {
	// URL is the endpoint, without secrets.
	URL string
	// Version is the judge's version, or "" where the way does not tell.
	Version string
	// Address is where an HTTP subscription listens, with its port resolved.
	Address string

	items   *buffer
	pending atomic.Int64
	wake    chan struct{}
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// Open subscribes to a Falco by URL: unix:, grpcs:, http:, https: or file:.
// The context bounds the opening; the subscription lives until Close.
func Open(ctx context.Context, rawURL string, opts Options) (*Subscription, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("subscribing to a Falco: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Subscription{URL: u.Redacted(), items: newBuffer(), wake: make(chan struct{}, 1), cancel: cancel}
	if u.RawQuery != "" {
		bare := *u
		bare.RawQuery = ""
		s.URL = bare.Redacted()
	}
	switch u.Scheme {
	case "unix", "grpcs":
		err = s.openGRPC(ctx, life, u, opts)
	case "http", "https":
		err = s.openHTTP(life, u, opts)
	case "file":
		err = s.openFile(life, u, opts)
	default:
		err = fmt.Errorf("the scheme %q is none of unix, grpcs, http, https, file", u.Scheme)
	}
	if err != nil {
		cancel()
		s.done.Wait()
		s.items.close()
		return nil, fmt.Errorf("subscribing to %s: %w", s.URL, err)
	}
	return s, nil
}

// Items delivers alerts and gaps, in order of arrival. It is closed by Close.
func (s *Subscription) Items() <-chan Item { return s.items.out }

// Pending says that one action more (+1) or less (-1) waits for its alerts:
// while any does, alerts are asked for without delay.
func (s *Subscription) Pending(delta int) {
	s.pending.Add(int64(delta))
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close ends the subscription and waits for its goroutines.
func (s *Subscription) Close() error {
	s.cancel()
	s.done.Wait()
	s.items.close()
	return nil
}

func (s *Subscription) deliver(a *alert.Alert) { s.items.put(Item{Alert: a, At: time.Now()}) }

func (s *Subscription) gap(err error) { s.items.put(Item{Gap: err, At: time.Now()}) }

// buffer is a channel without a bound, so that the judge is drained however
// slow the reader is: a Falco whose subscriber does not keep up drops alerts.
type buffer struct {
	out  chan Item
	mu   sync.Mutex
	more []Item
	wake chan struct{}
	quit chan struct{}
	done chan struct{}
}

func newBuffer() *buffer {
	b := &buffer{out: make(chan Item), wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go b.run()
	return b
}

func (b *buffer) put(i Item) {
	b.mu.Lock()
	b.more = append(b.more, i)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *buffer) run() {
	defer close(b.done)
	defer close(b.out)
	for {
		b.mu.Lock()
		items := b.more
		b.more = nil
		b.mu.Unlock()
		for _, i := range items {
			select {
			case b.out <- i:
			case <-b.quit:
				return
			}
		}
		if len(items) > 0 {
			continue
		}
		select {
		case <-b.wake:
		case <-b.quit:
			return
		}
	}
}

func (b *buffer) close() {
	close(b.quit)
	<-b.done
}
