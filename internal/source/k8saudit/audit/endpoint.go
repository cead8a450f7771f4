// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// DefaultMaxBody is the limit of a request's body unless told otherwise, in
// bytes. It is that of Falco's k8saudit plugin: a fifth more than what
// kube-apiserver puts into a batch.
const DefaultMaxBody = 12 << 20

// maxBodies bounds how many requests are read at the same time, and thereby
// the memory that a flood of them can take. Others wait.
const maxBodies = 4

// HandlerOptions says what a [Handler] does.
type HandlerOptions struct {
	// Handle is called for each event, for one at a time, in the order of
	// arrival. A request is answered after all of its events were handled:
	// whoever sends faster than events are handled waits.
	Handle func(*Event)

	// Problem, if set, is told of each request whose events were lost: for its
	// size, or because they could not be read. Calls do not overlap.
	Problem func(error)

	// Refused, if set, is told of each request that was none of an audit
	// webhook's: without the token, or of the wrong kind. Nothing was lost by
	// it, or all of a webhook that is not set up as it must be. Calls do not
	// overlap, nor with those of Problem.
	Refused func(error)

	// Token, if set, is the bearer token that requests must have. Without it,
	// whoever can reach the endpoint can send events.
	Token string

	// MaxBody is the limit of a request's body in bytes, [DefaultMaxBody] if 0.
	MaxBody int64
}

// Counts are how much a [Handler] took and refused.
type Counts struct {
	Requests uint64 // answered, whether well or with an error
	Events   uint64 // handled
	Refused  uint64 // requests without the token or of the wrong kind
	Lost     uint64 // requests that were too large, malformed, or with events that could not be read
}

// Handler takes audit events over HTTP: it is the receiving end of
// kube-apiserver's audit webhook, and takes what Falco's k8saudit plugin takes
// at /k8s-audit, single events and lists. It answers at any path. Unlike the
// plugin it says by the answer's status when something was wrong, and handles
// events of any size within the limit of the body, where the plugin drops
// those of more than 256 KiB.
type Handler struct {
	opts   HandlerOptions
	bodies chan struct{}

	mu      sync.Mutex // held while events are handled
	decoder decoder

	countMu sync.Mutex
	counts  Counts
}

// NewHandler returns a handler. It is safe for concurrent use.
func NewHandler(opts HandlerOptions) *Handler {
	if opts.MaxBody == 0 {
		opts.MaxBody = DefaultMaxBody
	}
	h := &Handler{opts: opts, bodies: make(chan struct{}, maxBodies)}
	h.decoder.emit = func(e *Event) {
		h.opts.Handle(e)
		h.count(func(c *Counts) { c.Events++ })
	}
	return h
}

// Counts returns how much was taken and refused so far.
func (h *Handler) Counts() Counts {
	h.countMu.Lock()
	defer h.countMu.Unlock()
	return h.counts
}

func (h *Handler) count(f func(*Counts)) {
	h.countMu.Lock()
	defer h.countMu.Unlock()
	f(&h.counts)
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, err := h.take(w, r)
	told := h.opts.Problem
	h.count(func(c *Counts) {
		c.Requests++
		switch {
		case err == nil:
		case status == http.StatusUnauthorized, status == http.StatusMethodNotAllowed, status == http.StatusUnsupportedMediaType:
			c.Refused++
			told = h.opts.Refused
		default:
			c.Lost++
		}
	})
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	http.Error(w, err.Error(), status)
	if told != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		told(fmt.Errorf("audit events from %s: %w", r.RemoteAddr, err))
	}
}

// take handles the events of a request.
func (h *Handler) take(w http.ResponseWriter, r *http.Request) (status int, err error) {
	if h.opts.Token != "" {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(token), []byte(h.opts.Token)) != 1 {
			return http.StatusUnauthorized, errors.New("refused: the request does not have this endpoint's token: is it another cluster's?")
		}
	}
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, fmt.Errorf("refused: method %s: want POST", r.Method)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, fmt.Errorf("refused: content type %q: want application/json", r.Header.Get("Content-Type"))
	}
	select {
	case h.bodies <- struct{}{}:
		defer func() { <-h.bodies }()
	case <-r.Context().Done():
		return http.StatusServiceUnavailable, fmt.Errorf("refused: waiting for other requests: %w", context.Cause(r.Context()))
	}
	var body strings.Builder
	if r.ContentLength > 0 && r.ContentLength <= h.opts.MaxBody {
		body.Grow(int(r.ContentLength))
	}
	if _, err := io.Copy(&body, http.MaxBytesReader(w, r.Body, h.opts.MaxBody)); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return http.StatusRequestEntityTooLarge, fmt.Errorf("refused: the body has more than %d bytes: send fewer events at once", tooLarge.Limit)
		}
		return http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.decoder.num
	err = h.decoder.decode(body.String())
	taken := h.decoder.num - before
	switch {
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("%d events taken, but not all: %w", taken, err)
	case strings.TrimSpace(body.String()) == "":
		return http.StatusBadRequest, errors.New("the body is empty")
	}
	return http.StatusOK, nil
}

// Server serves a [Handler].
type Server struct {
	URL     string // where to send events to
	Handler *Handler

	server *http.Server
	done   chan error
}

// Listen serves a handler at an address such as "127.0.0.1:0", of which port 0
// is any free one, by HTTPS if config has a certificate, and by HTTP if it is
// nil. Close the server to stop it.
func Listen(address string, config *tls.Config, opts HandlerOptions) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for audit events: %w", err)
	}
	s := &Server{
		URL:     "http://" + l.Addr().String() + "/k8s-audit",
		Handler: NewHandler(opts),
		done:    make(chan error, 1),
	}
	s.server = &http.Server{
		Handler:           s.Handler,
		TLSConfig:         config,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
	go func() {
		if config == nil {
			s.done <- s.server.Serve(l)
			return
		}
		s.done <- s.server.ServeTLS(l, "", "")
	}()
	if config != nil {
		s.URL = "https" + strings.TrimPrefix(s.URL, "http")
	}
	return s, nil
}

// Close stops the server: it takes no more requests and waits for those being
// answered, as long as ctx allows.
func (s *Server) Close(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stopping to listen for audit events: %w", err), s.server.Close())
	}
	if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("listening for audit events: %w", e))
	}
	return err
}
