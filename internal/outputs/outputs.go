// SPDX-License-Identifier: Apache-2.0

// Package outputs receives the alerts of a Falco, by whatever way a URL names:
// the gRPC outputs API on a unix socket or with mutual TLS, the HTTP output, or
// the file output.
//
// A [Subscription] hands its handler one ordered stream of [Event] values:
// alerts, and between them what became of the connection, so that whoever waits
// for an alert knows when one may have been lost. In one process all
// subscriptions to one endpoint share one connection, which is read all the
// time; processes on one endpoint take turns (internal/turns), because a
// Falco's subscribers take each other's alerts.
//
// The package imports internal/alert and internal/turns and knows neither
// actions nor verdicts; those are internal/verdict.
package outputs

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/turns"
)

// Kind is what an [Event] tells.
type Kind int

// The kinds of events.
const (
	// Received: an alert arrived.
	Received Kind = iota + 1
	// Connected: the way stands, for the first time or again.
	Connected
	// Disconnected: the way broke; it is being established again. Alerts that
	// were under way may be lost.
	Disconnected
	// Lost: an alert was lost or could not be read.
	Lost
	// Gone: the Falco has ended and does not come back.
	Gone
)

var kindNames = [...]string{"none", "received", "connected", "disconnected", "lost", "gone"}

// String returns the kind's name, e.g. "disconnected".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// Event is one thing that came over a subscription.
type Event struct {
	Kind  Kind
	Alert *alert.Alert // of Received; shared, not to be changed
	At    time.Time    // when this process learnt of it
	Err   error        // why, of Disconnected, Lost and Gone
}

// Options change how [Open] subscribes. All have defaults.
type Options struct {
	// Logf is told what a person may want to know: waiting for a turn,
	// connections that break and come back. Default: nobody is told.
	Logf func(format string, args ...any)
	// Who names this process to others that wait for their turn, e.g. the
	// package under test.
	Who string
	// Private says that no other process uses the endpoint: no turns are taken.
	Private bool
	// Pushed says that the server of gRPC sends all that comes after the first
	// request, as internal/serve does; a Falco has to be asked each time.
	Pushed bool
	// MaxAlert bounds the size of one alert in bytes. Default: 16 MiB.
	MaxAlert int
}

// DefaultMaxAlert is how large one alert may be by default, in bytes.
const DefaultMaxAlert = 16 << 20

// Subscription is one reader of an endpoint's alerts. Its methods are safe for
// concurrent use.
type Subscription struct {
	hub     *hub
	pending atomic.Int64

	// guarded by hub.mu
	handle func(Event)
	closed bool
}

// source is one way of receiving alerts. It calls its hub's emit, until close
// returns.
type source interface {
	address() string // the URL, with what the system chose filled in
	version() string // of the Falco, "" if unknown
	close() error
}

// hub shares one source among the subscriptions of this process.
type hub struct {
	key  string
	opts Options
	pace *pace
	src  source
	turn *turns.Turn

	opening chan struct{} // closed when src is set, or err
	err     error

	mu    sync.Mutex // also orders the events
	subs  map[*Subscription]struct{}
	state Event // the last Connected, Disconnected or Gone
}

var hubs = struct {
	sync.Mutex
	byKey map[string]*hub
	// closing has a channel for each endpoint that is just being closed, for
	// those who wait to open it again.
	closing map[string]chan struct{}
}{byKey: map[string]*hub{}, closing: map[string]chan struct{}{}}

// Open subscribes to the alerts of the Falco that the URL names:
//
//	unix:///run/falco/falco.sock                       gRPC on a unix socket
//	grpcs://host:5060?cert=F&key=F&ca=F&servername=N   gRPC with mutual TLS
//	http://127.0.0.1:2801/path                         listen for the HTTP output
//	https://host:2801?cert=F&key=F&ca=F                the same with TLS; with ca, mutual
//	file:///var/log/falco.json                         follow the file output
//
// It returns when the way stands: for gRPC, when the version service answered
// and the alerts queued before have been discarded; for HTTP, when the address
// is bound (port 0 chooses one, see [Subscription.Address]); for files, from
// now on, whether or not the file exists yet.
//
// The context bounds opening, including the wait for other processes that use
// the endpoint, and not the subscription. Errors say what to do.
func Open(ctx context.Context, rawURL string, opts Options) (*Subscription, error) {
	u, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	if opts.Logf == nil {
		opts.Logf = func(string, ...any) {}
	}
	if opts.MaxAlert <= 0 {
		opts.MaxAlert = DefaultMaxAlert
	}
	key := u.String()
	if strings.HasSuffix(u.Host, ":0") { // a port of its own each time
		key = ""
		opts.Private = true
	}
	for {
		h, mine, closing := lookUp(key, opts)
		switch {
		case closing != nil:
			select {
			case <-closing:
			case <-ctx.Done():
				return nil, fmt.Errorf("waiting for an earlier subscription to %s to end: %w", rawURL, ctx.Err())
			}
			continue
		case mine:
			h.open(ctx, u)
		default:
			select {
			case <-h.opening:
			case <-ctx.Done():
				return nil, fmt.Errorf("waiting for another subscription to open %s: %w", rawURL, ctx.Err())
			}
		}
		if h.err != nil {
			if !mine && ctx.Err() == nil {
				continue // it was another's context that ended, perhaps
			}
			return nil, h.err
		}
		if s := h.join(); s != nil {
			return s, nil
		}
		// It closed meanwhile.
	}
}

// lookUp returns the endpoint's hub, made by this call when mine is true, or a
// channel to wait for when the endpoint is just being closed.
func lookUp(key string, opts Options) (h *hub, mine bool, closing chan struct{}) {
	hubs.Lock()
	defer hubs.Unlock()
	if key != "" {
		if c := hubs.closing[key]; c != nil {
			return nil, false, c
		}
		if h := hubs.byKey[key]; h != nil {
			return h, false, nil
		}
	}
	h = &hub{
		key:     key,
		opts:    opts,
		pace:    newPace(),
		opening: make(chan struct{}),
		subs:    map[*Subscription]struct{}{},
	}
	if key != "" {
		hubs.byKey[key] = h
	}
	return h, true, nil
}

// open takes the turn and opens the source. When it fails, the hub is gone.
func (h *hub) open(ctx context.Context, u *url.URL) {
	defer close(h.opening)
	h.err = func() error {
		if !h.opts.Private {
			opts := turns.Options{Logf: h.opts.Logf, Who: h.opts.Who}
			if u.Scheme == "unix" { // a file can be read by many
				opts.Folder = folder(u)
			}
			turn, err := turns.Take(ctx, endpoint(u), opts)
			if err != nil {
				return err
			}
			h.turn = turn
		}
		var err error
		switch u.Scheme {
		case "unix", "grpcs":
			h.src, err = openGRPC(ctx, u, h)
		case "http", "https":
			h.src, err = openHTTP(ctx, u, h)
		case "file":
			h.src, err = openFile(u, h)
		}
		return err
	}()
	if h.err != nil {
		h.turn.Release()
		hubs.Lock()
		if h.key != "" {
			delete(hubs.byKey, h.key)
		}
		hubs.Unlock()
	}
}

// join adds a subscription, or returns nil when the hub has closed.
func (h *hub) join() *Subscription {
	hubs.Lock()
	defer hubs.Unlock()
	if h.key != "" && hubs.byKey[h.key] != h {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &Subscription{hub: h}
	h.subs[s] = struct{}{}
	return s
}

// emit hands an event to all subscriptions. Sources call it.
func (h *hub) emit(ev Event) {
	if ev.At.IsZero() {
		ev.At = time.Now()
	}
	h.pace.news()
	h.mu.Lock()
	defer h.mu.Unlock()
	if ev.Kind == Connected || ev.Kind == Disconnected || ev.Kind == Gone {
		h.state = ev
	}
	for s := range h.subs {
		if s.handle != nil {
			s.handle(ev)
		}
	}
}

func (h *hub) received(a *alert.Alert) { h.emit(Event{Kind: Received, Alert: a}) }

func (h *hub) lost(format string, args ...any) {
	h.emit(Event{Kind: Lost, Err: fmt.Errorf(format, args...)})
}

// Handle sets what gets the events, in order and one at a time: first the state
// of the connection, then all that comes. The handler must not block, nor call
// Close. Events that came before are not repeated. Nil stops it.
func (s *Subscription) Handle(f func(Event)) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.handle = f
	if f != nil && s.hub.state.Kind != 0 {
		f(s.hub.state)
	}
}

// Inject adds an event of the caller's to the stream of all subscriptions of
// the endpoint, e.g. that the Falco behind it has ended.
func (s *Subscription) Inject(ev Event) { s.hub.emit(ev) }

// Pending tells that so many more (or, negative, fewer) wait for alerts: actions
// that run, and verdicts on those that have ended. While any does, an alert waits
// some 2 ms for being asked for, where nothing was heard for a while a little
// longer (up to 20 ms, or 6 % of that while); otherwise up to 250 ms, so that
// nothing is busy for nothing.
func (s *Subscription) Pending(delta int) {
	s.pending.Add(int64(delta))
	s.hub.pace.add(int64(delta))
}

// Version is the version of the Falco at the other end, or "" where the way
// does not tell.
func (s *Subscription) Version() string { return s.hub.src.version() }

// Address is the URL in use; unlike the one given to [Open] it has the port
// that the system chose.
func (s *Subscription) Address() string { return s.hub.src.address() }

// Close ends the subscription; after it the handler is not called any more.
// The last one of an endpoint closes the connection and passes the turn on.
func (s *Subscription) Close() error {
	h := s.hub
	hubs.Lock()
	h.mu.Lock()
	if s.closed {
		h.mu.Unlock()
		hubs.Unlock()
		return nil
	}
	s.closed = true
	s.handle = nil
	delete(h.subs, s)
	last := len(h.subs) == 0
	h.mu.Unlock()
	h.pace.add(-s.pending.Swap(0))
	var done chan struct{}
	if last && h.key != "" {
		done = make(chan struct{})
		hubs.closing[h.key] = done
		delete(hubs.byKey, h.key)
	}
	hubs.Unlock()
	if !last {
		return nil
	}
	err := h.src.close()
	h.turn.Release()
	if done != nil {
		hubs.Lock()
		delete(hubs.closing, h.key)
		hubs.Unlock()
		close(done)
	}
	return err
}

// parse reads a URL and refuses what [Open] cannot open.
func parse(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("reading the URL of the Falco: %w", err)
	}
	wrong := func(format string, args ...any) (*url.URL, error) {
		return nil, fmt.Errorf("the URL %q of the Falco: "+format, append([]any{rawURL}, args...)...)
	}
	allowed := map[string]bool{}
	switch u.Scheme {
	case "unix", "file":
		if u.Host != "" {
			return wrong("a path must follow %s://, so three slashes: %s:///%s%s", u.Scheme, u.Scheme, u.Host, u.Path)
		}
		if u.Path == "" || u.Path == "/" {
			return wrong("it names no file")
		}
	case "grpcs", "https":
		for _, k := range []string{"cert", "key", "ca"} {
			allowed[k] = true
		}
		if u.Scheme == "grpcs" {
			allowed["servername"] = true
		}
		fallthrough
	case "http":
		if u.Port() == "" {
			return wrong("it names no port")
		}
		if u.User != nil {
			return wrong("user names have no meaning here")
		}
	case "grpc":
		return wrong("Falco serves gRPC on a network with mutual TLS only: use grpcs://")
	default:
		return wrong("unknown scheme %q: want unix, grpcs, http, https or file", u.Scheme)
	}
	for k := range u.Query() {
		if !allowed[k] {
			return wrong("unknown parameter %q", k)
		}
	}
	return u, nil
}

// endpoint is what distinguishes the alerts that processes could take from each
// other: the place, without the caller's certificates, and by one name, however
// it is spelled.
func endpoint(u *url.URL) string {
	if u.Host == "" {
		return u.Scheme + "://" + filepath.Join(folder(u), filepath.Base(u.Path))
	}
	host := strings.ToLower(u.Hostname())
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		host = "127.0.0.1"
	}
	return u.Scheme + "://" + net.JoinHostPort(host, u.Port())
}

// folder is where the endpoint is, if it is in one.
func folder(u *url.URL) string {
	if u.Host != "" {
		return ""
	}
	dir := filepath.Dir(u.Path)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}
