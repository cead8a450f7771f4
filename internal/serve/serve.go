// SPDX-License-Identifier: Apache-2.0

// Package serve offers alerts over Falco's gRPC API: the services
// falco.outputs and falco.version, as the stubs of client-go v0.6.1 speak them,
// on a private unix socket or, for tests, over mutual TLS.
//
// The built-in engine publishes its alerts here, so that what reads them is the
// code that reads a real Falco's. Alerts enter by [Server.Publish] and leave
// over the streams of the subscribers. The package imports internal/alert, and
// internal/journal, by which a later run removes the socket of one that was
// killed. It knows neither engine nor tests.
package serve

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/falcosecurity/client-go/pkg/api/version"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/journal"
)

// DefaultLimit is how many alerts a [Server] keeps by default.
const DefaultLimit = 1 << 16

// Options change how a [Server] serves. All have defaults.
type Options struct {
	// Listener is where to serve. Default: a unix socket in a new directory that
	// only this user can enter; [Server.Close] removes it.
	Listener net.Listener
	// TLS serves over TLS; used with Listener.
	TLS *tls.Config
	// Version answers the version service.
	Version *version.Response
	// Limit is about how many alerts are kept for subscribers that have not read
	// them yet. Default: [DefaultLimit].
	Limit int
}

// Server serves alerts. Its methods are safe for concurrent use.
//
// Other than Falco, whose subscribers share one queue, it gives each subscriber
// every alert published since it came. The first subscriber, and one that comes
// when all others have left, also gets those that nobody has read; a
// subscription therefore misses nothing between Publish and its first request.
//
// Memory is bounded: once more than the limit and a quarter is kept, the oldest go,
// and the stream of a subscriber that had not read them ends with the status
// DATA_LOSS, so that the loss does not go unnoticed.
type Server struct {
	outputs.UnimplementedServiceServer

	grpc   *grpc.Server
	url    string
	dir    *journal.Dir // of a socket of its own, else nil
	ver    *version.Response
	limit  int
	served chan struct{} // closed when the listener's loop has ended

	mu      sync.Mutex
	log     []*outputs.Response // alerts from number base on
	base    int
	readers map[*reader]struct{}
	unread  int // where a lone new subscriber starts
	got     int // where the next get starts
	closed  bool
}

// reader is one subscriber's place in the log.
type reader struct {
	next int
	wake chan struct{} // holds a token when there may be more to read
}

// Start serves until [Server.Close].
func Start(opts Options) (*Server, error) {
	s := &Server{
		ver:     opts.Version,
		limit:   opts.Limit,
		served:  make(chan struct{}),
		readers: map[*reader]struct{}{},
	}
	if s.ver == nil {
		s.ver = &version.Response{}
	}
	if s.limit <= 0 {
		s.limit = DefaultLimit
	}
	lis := opts.Listener
	if lis == nil {
		const name = "falco.sock"
		dir, err := journal.CreateForSocket(rand.Text()[:12], name)
		if err != nil {
			return nil, fmt.Errorf("making the directory of the alerts' socket: %w", err)
		}
		s.dir = dir
		lis, err = net.Listen("unix", filepath.Join(dir.Path(), name))
		if err != nil {
			dir.Close()
			return nil, fmt.Errorf("listening for subscribers of alerts: %w", err)
		}
	}
	s.url = lis.Addr().Network() + "://" + lis.Addr().String()
	var serverOpts []grpc.ServerOption
	if opts.TLS != nil {
		s.url = "grpcs://" + lis.Addr().String()
		serverOpts = append(serverOpts, grpc.Creds(credentials.NewTLS(opts.TLS)))
	}
	s.grpc = grpc.NewServer(serverOpts...)
	outputs.RegisterServiceServer(s.grpc, s)
	version.RegisterServiceServer(s.grpc, versionService{ver: s.ver})
	go func() {
		defer close(s.served)
		s.grpc.Serve(lis) // returns when Close stops it
	}()
	return s, nil
}

// URL is what to subscribe to, as internal/outputs reads it.
func (s *Server) URL() string { return s.url }

// Publish offers an alert to all subscribers. It does not wait for them. After
// Close it does nothing.
func (s *Server) Publish(a *alert.Alert) {
	res := Response(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.log = append(s.log, res)
	s.trim()
	for r := range s.readers {
		r.signal()
	}
}

// trim lets go of alerts that all have read, and of the oldest ones above the
// limit. The caller holds the lock.
func (s *Server) trim() {
	keep := min(s.got, s.unread)
	if len(s.readers) > 0 {
		keep = s.base + len(s.log)
		for r := range s.readers {
			keep = min(keep, r.next)
		}
	}
	if over := s.base + len(s.log) - s.limit; keep < over {
		keep = over
	}
	// Moving the rest down each time would cost more than it frees.
	if n := keep - s.base; n > 0 && (n >= len(s.log)/2 || n > s.limit/4) {
		s.log = append(s.log[:0:0], s.log[n:]...)
		s.base = keep
	}
}

func (r *reader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Sub is the RPC of that name: after the first request, all that is published
// goes out at once. Further requests, which a Falco needs, are read and change
// nothing.
func (s *Server) Sub(stream outputs.Service_SubServer) error {
	r := &reader{wake: make(chan struct{}, 1)}
	if err := s.join(r); err != nil {
		return err
	}
	defer s.leave(r)
	if _, err := stream.Recv(); err != nil {
		return nil // the subscriber left before it asked for anything
	}
	// The stream's context ends when this function returns, and with it the
	// goroutine's Recv.
	left := make(chan struct{})
	go func() {
		defer close(left)
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	}()
	for {
		batch, err := s.read(r)
		if err != nil {
			return err
		}
		for _, res := range batch {
			if err := stream.Send(res); err != nil {
				return err
			}
			s.mu.Lock()
			r.next++
			s.mu.Unlock()
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-r.wake:
		case <-left:
			return nil
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

var errClosed = status.Error(codes.Unavailable, "the server of alerts is closing")

func (s *Server) join(r *reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	r.next = s.base + len(s.log)
	if len(s.readers) == 0 {
		r.next = max(s.unread, s.base)
	}
	s.readers[r] = struct{}{}
	return nil
}

func (s *Server) leave(r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readers, r)
	s.unread = r.next
}

// read returns the alerts that r has not sent yet.
func (s *Server) read(r *reader) ([]*outputs.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.next < s.base {
		n := s.base - r.next
		r.next = s.base
		return nil, status.Errorf(codes.DataLoss, "%d alerts were dropped, because this subscriber read them too slowly", n)
	}
	batch := s.log[r.next-s.base:]
	if len(batch) == 0 && s.closed {
		return nil, errClosed
	}
	return batch[:len(batch):len(batch)], nil
}

// Get is the RPC of that name: it sends what is kept and no Get has sent, and
// ends. What it sends, subscribers get all the same.
func (s *Server) Get(_ *outputs.Request, stream outputs.Service_GetServer) error {
	s.mu.Lock()
	from := max(s.got, s.base)
	batch := append([]*outputs.Response(nil), s.log[from-s.base:]...)
	s.got = s.base + len(s.log)
	s.mu.Unlock()
	for _, res := range batch {
		if err := stream.Send(res); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all streams and frees the socket. It does not wait for subscribers
// to read what was published.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for r := range s.readers {
		r.signal()
	}
	s.mu.Unlock()
	// Stop, which unlike GracefulStop ends the streams of subscribers that do
	// not read.
	s.grpc.Stop()
	<-s.served
	if s.dir != nil {
		if _, err := s.dir.Close(); err != nil {
			return fmt.Errorf("removing the alerts' socket: %w", err)
		}
	}
	return nil
}

// versionService is apart from Server, since both generated servers want a
// method to mark them.
type versionService struct {
	version.UnimplementedServiceServer
	ver *version.Response
}

func (v versionService) Version(context.Context, *version.Request) (*version.Response, error) {
	return v.ver, nil
}
