// SPDX-License-Identifier: Apache-2.0

// Package servetest is the gRPC side of a Falco as real ones behave, and worse,
// for tests: one queue for all subscribers, sent only in answer to requests,
// connections that break in the middle of a stream, a server that restarts or
// stops answering. It imports the API's stubs, and nothing of this module but
// tests imports it.
package servetest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/falcosecurity/client-go/pkg/api/version"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// Server is a Falco that tests play. Its methods are safe for concurrent use.
type Server struct {
	network, address string
	opts             Options

	mu     sync.Mutex
	queue  []*outputs.Response // one for all, as in a Falco
	resets int                 // so many alerts more, and the connections break; -1: never
	sent   int
	lost   int // taken from the queue, and not sent
	hung   chan struct{}
	grpc   *grpc.Server
	lis    *listener
	served chan struct{}
}

// Options change what a [Server] plays.
type Options struct {
	// TLS serves with it.
	TLS *tls.Config
	// NoOutputs and NoVersion leave a service out.
	NoOutputs, NoVersion bool
	// Version is the answer of the version service.
	Version string
	// Delay is what each alert takes to be sent.
	Delay time.Duration
}

// Start serves at the address, a path for the network "unix".
func Start(network, address string, opts Options) (*Server, error) {
	s := &Server{network: network, address: address, opts: opts, resets: -1}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lis.Addr()
}

func (s *Server) listen() error {
	lis, err := net.Listen(s.network, s.address)
	if err != nil {
		return err
	}
	var opts []grpc.ServerOption
	if s.opts.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(s.opts.TLS)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = lis.Addr().String() // the same port when it restarts
	s.lis = &listener{Listener: lis, conns: map[net.Conn]struct{}{}}
	s.grpc = grpc.NewServer(opts...)
	if !s.opts.NoOutputs {
		outputs.RegisterServiceServer(s.grpc, &outputsService{s: s})
	}
	if !s.opts.NoVersion {
		version.RegisterServiceServer(s.grpc, &versionService{s: s})
	}
	served := make(chan struct{})
	s.served = served
	go func(g *grpc.Server, lis net.Listener) {
		defer close(served)
		g.Serve(lis)
	}(s.grpc, s.lis)
	return nil
}

// Push queues alerts.
func (s *Server) Push(alerts ...*outputs.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, alerts...)
}

// Sent and Lost count the alerts that left the queue: sent, as far as the
// server can tell, and lost with a broken stream.
func (s *Server) Sent() (sent, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.lost
}

// Reset breaks all connections after so many more alerts; 0 is at once.
func (s *Server) Reset(after int) {
	s.mu.Lock()
	lis := s.lis
	s.resets = after
	if after == 0 {
		s.resets = -1
	}
	s.mu.Unlock()
	if after == 0 {
		lis.reset()
	}
}

// Restart ends the server and starts another at its place, with an empty queue,
// as a Falco's that has been started again.
func (s *Server) Restart() error {
	s.stop()
	s.mu.Lock()
	s.lost += len(s.queue)
	s.queue = nil
	s.mu.Unlock()
	return s.listen()
}

// Hang makes the server stop answering, with its connections open, until the
// returned function is called.
func (s *Server) Hang() (resume func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{})
	s.hung = c
	return sync.OnceFunc(func() {
		s.mu.Lock()
		s.hung = nil
		s.mu.Unlock()
		close(c)
	})
}

// wait blocks while the server hangs.
func (s *Server) wait(ctx context.Context) {
	s.mu.Lock()
	hung := s.hung
	s.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
		}
	}
}

func (s *Server) stop() {
	s.mu.Lock()
	g, lis, served := s.grpc, s.lis, s.served
	s.mu.Unlock()
	lis.reset()
	g.Stop()
	<-served
}

// Close ends the server.
func (s *Server) Close() { s.stop() }

// pop takes the oldest alert. broken says that the connections have to break
// now, with the alert lost.
func (s *Server) pop() (res *outputs.Response, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil, false
	}
	res = s.queue[0]
	s.queue = s.queue[1:]
	if s.resets > 0 {
		if s.resets--; s.resets == 0 {
			s.resets = -1
			s.lost++
			return nil, true
		}
	}
	return res, false
}

// send sends all that is queued.
func (s *Server) send(ctx context.Context, send func(*outputs.Response) error) error {
	for {
		s.wait(ctx)
		res, broken := s.pop()
		if broken {
			s.mu.Lock()
			lis := s.lis
			s.mu.Unlock()
			lis.reset()
			return errors.New("reset")
		}
		if res == nil {
			return nil
		}
		if s.opts.Delay > 0 {
			t := time.NewTimer(s.opts.Delay)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
			}
		}
		err := send(res)
		s.mu.Lock()
		if err != nil {
			s.lost++
		} else {
			s.sent++
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

type outputsService struct {
	outputs.UnimplementedServiceServer
	s *Server
}

func (o *outputsService) Sub(stream outputs.Service_SubServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return status.FromContextError(stream.Context().Err()).Err()
		}
		if err := o.s.send(stream.Context(), stream.Send); err != nil {
			return err
		}
	}
}

func (o *outputsService) Get(_ *outputs.Request, stream outputs.Service_GetServer) error {
	return o.s.send(stream.Context(), stream.Send)
}

type versionService struct {
	version.UnimplementedServiceServer
	s *Server
}

func (v *versionService) Version(ctx context.Context, _ *version.Request) (*version.Response, error) {
	v.s.wait(ctx)
	return &version.Response{Version: v.s.opts.Version}, nil
}

// listener knows its connections, so that they can be broken.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return c, nil
}

func (l *listener) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if t, ok := c.(*net.TCPConn); ok {
			t.SetLinger(0)
		}
		c.Close()
		delete(l.conns, c)
	}
}
