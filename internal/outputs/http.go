// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// maxConns bounds the connections of one listener. A Falco uses one. Of more,
	// the oldest that has brought no alert is closed: it may be a stranger's who
	// would keep the Falco out, or hold a broken one's place.
	maxConns = 256
	// headerTimeout and bodyTimeout bound what a slow client may take.
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second
)

// httpSource listens for Falco's HTTP output: one POST for each alert, its body
// one JSON object. Falco sends one after the other and retries on a timeout,
// so an alert may come twice.
type httpSource struct {
	url  *url.URL
	hub  *hub
	srv  *http.Server
	done chan struct{}

	active sync.RWMutex // held for reading by each request
	conns  connections
}

func openHTTP(ctx context.Context, u *url.URL, h *hub) (*httpSource, error) {
	var conf *tls.Config
	if u.Scheme == "https" {
		var err error
		if conf, err = serverTLS(u); err != nil {
			return nil, fmt.Errorf("listening for alerts at %s: %w", endpoint(u), err)
		}
	}
	var lc net.ListenConfig
	lis, err := lc.Listen(ctx, "tcp", u.Host)
	if err != nil {
		hint := ""
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			hint = ": another program listens there; port 0 chooses a free one"
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			hint = ": the URL names where this process listens, so an address of this machine"
		case errors.Is(err, os.ErrPermission):
			hint = ": choose a port above 1023"
		}
		return nil, fmt.Errorf("listening for alerts at %s: %w%s", endpoint(u), err, hint)
	}
	s := &httpSource{url: u, hub: h, done: make(chan struct{})}
	at := *u
	at.Host = lis.Addr().String()
	s.url = &at
	if conf != nil {
		lis = tls.NewListener(lis, conf)
	}
	s.srv = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes of strangers
		ConnState:         s.changed,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	h.emit(Event{Kind: Connected})
	go func() {
		defer close(s.done)
		if err := s.srv.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			h.emit(Event{Kind: Disconnected, Err: fmt.Errorf("listening for alerts at %s: %w", endpoint(s.url), err)})
		}
	}()
	return s, nil
}

// serverTLS reads the files that the URL names; with an authority, clients must
// show a certificate that it signed.
func serverTLS(u *url.URL) (*tls.Config, error) {
	q := u.Query()
	if q.Get("cert") == "" || q.Get("key") == "" {
		return nil, errors.New("HTTPS requires a certificate: add ?cert=FILE&key=FILE to the URL")
	}
	pair, err := keyPair(q.Get("cert"), q.Get("key"))
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if ca := q.Get("ca"); ca != "" {
		if conf.ClientCAs, err = authorities(ca); err != nil {
			return nil, err
		}
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return conf, nil
}

// ServeHTTP takes one alert. Whatever should have been one and cannot be read
// is told as lost.
func (s *httpSource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.active.RLock()
	defer s.active.RUnlock()
	if want := cmp.Or(s.url.Path, "/"); want != "/" && subtle.ConstantTimeCompare([]byte(r.URL.Path), []byte(want)) != 1 {
		http.Error(w, "alerts are taken at another path", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "alerts come by POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.hub.opts.MaxAlert)))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			s.hub.lost("an alert by HTTP from %s is larger than %d bytes", r.RemoteAddr, large.Limit)
			http.Error(w, "the alert is too large", http.StatusRequestEntityTooLarge)
			return
		}
		s.hub.lost("an alert by HTTP from %s broke off after %d bytes: %w", r.RemoteAddr, len(body), err)
		http.Error(w, "the alert broke off", http.StatusBadRequest)
		return
	}
	a, err := ParseJSON(body)
	if err != nil {
		s.hub.lost("an alert by HTTP from %s cannot be read: %w", r.RemoteAddr, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		s.conns.proven(c)
	}
	s.hub.received(a)
	w.WriteHeader(http.StatusOK)
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// changed keeps the connections within bounds.
func (s *httpSource) changed(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if old := s.conns.add(c); old != nil {
			// It may have been the Falco's, about to bring an alert.
			s.hub.lost("more than %d connections are open at %s: the one from %s was closed before it brought an alert", maxConns, endpoint(s.url), old.RemoteAddr())
			go old.Close() // by TLS it takes leave
		}
	case http.StateClosed, http.StateHijacked:
		s.conns.remove(c)
	}
}

// connections are those that are open, the oldest first.
type connections struct {
	mu    sync.Mutex
	open  []net.Conn
	known map[net.Conn]bool // whether they have brought an alert
}

// add adds a connection, and returns the one to be closed for it, or nil.
func (l *connections) add(c net.Conn) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[net.Conn]bool)
	}
	l.open = append(l.open, c)
	l.known[c] = false
	if len(l.open) <= maxConns {
		return nil
	}
	i := max(0, slices.IndexFunc(l.open, func(c net.Conn) bool { return !l.known[c] }))
	old := l.open[i]
	l.drop(i)
	return old
}

func (l *connections) drop(i int) {
	delete(l.known, l.open[i])
	l.open = slices.Delete(l.open, i, i+1)
}

// proven notes that a connection has brought an alert.
func (l *connections) proven(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.known[c]; ok {
		l.known[c] = true
	}
}

func (l *connections) remove(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.open, c); i >= 0 {
		l.drop(i)
	}
}

func (s *httpSource) address() string { return s.url.String() }
func (s *httpSource) version() string { return "" }

func (s *httpSource) close() error {
	err := s.srv.Close()
	<-s.done
	// Requests whose connections are closed now end at once.
	s.active.Lock()
	defer s.active.Unlock()
	return err
}
