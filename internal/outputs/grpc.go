// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/falcosecurity/client-go/pkg/api/version"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/falcotest/go-falcotest/internal/alert"
)

const (
	// connectTimeout bounds each attempt to reach a Falco.
	connectTimeout = 10 * time.Second
	// preflightTimeout bounds the TLS handshake and the server's first words.
	preflightTimeout = 2 * time.Second
	// probeInterval is how often a Falco is asked whether it still lives while
	// an action is pending, and probeTimeout how long it may take to answer. A
	// connection whose other end has silently gone looks idle otherwise. HTTP/2
	// pings would do, but a Falco's gRPC library takes them for abuse.
	probeInterval = time.Second
	probeTimeout  = 5 * time.Second
	// The wait before a broken connection is tried again doubles between these.
	firstBackoff, lastBackoff = 10 * time.Millisecond, time.Second
)

// grpcSource reads the gRPC outputs API of Falco 0.43 and older. That API is
// one queue for all subscribers, sent only in answer to requests: for each
// request the server sends all that is queued, then reads the next.
type grpcSource struct {
	url      *url.URL
	hub      *hub
	conn     *grpc.ClientConn
	outputs  outputs.ServiceClient
	versions version.ServiceClient
	cancel   context.CancelFunc
	done     chan struct{}

	// streaming says that a stream is open, on the connection dialled last.
	streaming atomic.Bool

	mu  sync.Mutex
	ver string
}

func openGRPC(ctx context.Context, u *url.URL, h *hub) (*grpcSource, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	s := &grpcSource{url: u, hub: h, done: make(chan struct{})}
	creds, err := s.preflight(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the Falco at %s: %w", s.place(), err)
	}
	target := "passthrough:///" + u.Host
	if u.Scheme == "unix" {
		target = "unix://" + u.Path
	}
	s.conn, err = grpc.NewClient(target,
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(),
		grpc.WithContextDialer(s.dial),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(h.opts.MaxAlert),
			grpc.ForceCodec(codec{}),
		),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstBackoff, Multiplier: 2, Jitter: 0.2, MaxDelay: lastBackoff},
			MinConnectTimeout: connectTimeout,
		}),
		// A stream is read as fast as its handlers allow; large windows let a
		// burst pass without waiting for acknowledgements.
		grpc.WithInitialWindowSize(1<<20),
		grpc.WithInitialConnWindowSize(1<<20),
	)
	if err != nil {
		return nil, fmt.Errorf("connecting to the Falco at %s: %w", s.place(), err)
	}
	s.outputs = outputs.NewServiceClient(s.conn)
	s.versions = version.NewServiceClient(s.conn)
	if err := s.greet(ctx, false); err != nil {
		s.conn.Close()
		return nil, fmt.Errorf("asking the Falco at %s for its version: %w", s.place(), explain(err))
	}
	old, err := s.discard(ctx)
	if err != nil {
		s.conn.Close()
		return nil, fmt.Errorf("asking the Falco at %s for its alerts: %w", s.place(), explain(err))
	}
	if old > 0 {
		h.opts.Logf("discarded %d alerts that were queued at %s before this run", old, s.place())
	}
	run, stop := context.WithCancel(context.Background())
	s.cancel = stop
	// The first stream is open before Open returns: from then on its end is
	// noticed.
	first, err := s.subscribe(run)
	if err != nil {
		stop()
		s.conn.Close()
		return nil, fmt.Errorf("asking the Falco at %s for its alerts: %w", s.place(), explain(err))
	}
	go s.run(run, first)
	return s, nil
}

// dial connects. gRPC repeats a call, silently and on another connection, that
// it holds for not begun when a connection breaks; a stream's must not pass
// unnoticed, since with the connection the Falco may have gone too.
func (s *grpcSource) dial(ctx context.Context, _ string) (net.Conn, error) {
	if s.streaming.Load() {
		s.hub.lost("the connection to the Falco at %s broke and was made again", s.place())
	}
	var d net.Dialer
	if s.url.Scheme == "unix" {
		return d.DialContext(ctx, "unix", s.url.Path)
	}
	return d.DialContext(ctx, "tcp", s.url.Host)
}

// stream is one subscription of the API.
type stream struct {
	outputs.Service_SubClient
	cancel context.CancelFunc
}

// subscribe opens a stream.
func (s *grpcSource) subscribe(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	sub, err := s.outputs.Sub(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	// Its error, which io.EOF stands for, comes with the first Recv.
	if err := sub.Send(&outputs.Request{}); err != nil && !errors.Is(err, io.EOF) {
		cancel()
		return nil, err
	}
	s.streaming.Store(true)
	s.hub.emit(Event{Kind: Connected})
	return &stream{sub, cancel}, nil
}

func (s *grpcSource) place() string { return endpoint(s.url) }

func (s *grpcSource) address() string { return s.url.String() }

func (s *grpcSource) version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ver
}

func (s *grpcSource) close() error {
	s.cancel()
	<-s.done
	return s.conn.Close()
}

// preflight makes the credentials and tries the connection without gRPC, whose
// errors do not tell the reasons apart.
func (s *grpcSource) preflight(ctx context.Context) (credentials.TransportCredentials, error) {
	var d net.Dialer
	if s.url.Scheme == "unix" {
		c, err := d.DialContext(ctx, "unix", s.url.Path)
		if err != nil {
			return nil, explain(err)
		}
		return insecure.NewCredentials(), c.Close()
	}
	conf, err := clientTLS(s.url)
	if err != nil {
		return nil, err
	}
	c, err := d.DialContext(ctx, "tcp", s.url.Host)
	if err != nil {
		return nil, explain(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(preflightTimeout))
	probe := conf.Clone()
	probe.NextProtos = []string{"h2"}
	t := tls.Client(c, probe)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, explain(err)
	}
	// In TLS 1.3 a server refuses the client's certificate after the
	// handshake; what it says first, as HTTP/2 settings or an alert, tells.
	if _, err := t.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, explain(err)
	}
	return credentials.NewTLS(conf), nil
}

// clientTLS reads the files that the URL names.
func clientTLS(u *url.URL) (*tls.Config, error) {
	q := u.Query()
	conf := &tls.Config{ServerName: q.Get("servername"), MinVersion: tls.VersionTLS12}
	if conf.ServerName == "" {
		conf.ServerName = u.Hostname()
	}
	if q.Get("cert") == "" || q.Get("key") == "" {
		return nil, errors.New("a Falco on the network requires a client certificate: add ?cert=FILE&key=FILE&ca=FILE to the URL")
	}
	pair, err := keyPair(q.Get("cert"), q.Get("key"))
	if err != nil {
		return nil, err
	}
	conf.Certificates = []tls.Certificate{pair}
	if ca := q.Get("ca"); ca != "" {
		if conf.RootCAs, err = authorities(ca); err != nil {
			return nil, err
		}
	}
	return conf, nil
}

func keyPair(cert, key string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return pair, fmt.Errorf("loading the certificate %s with the key %s: %w", cert, key, err)
	}
	if leaf := pair.Leaf; leaf != nil {
		if now := time.Now(); now.After(leaf.NotAfter) {
			return pair, fmt.Errorf("the certificate %s expired at %s", cert, leaf.NotAfter.Format(time.RFC3339))
		} else if now.Before(leaf.NotBefore) {
			return pair, fmt.Errorf("the certificate %s is not valid before %s", cert, leaf.NotBefore.Format(time.RFC3339))
		}
	}
	return pair, nil
}

func authorities(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("reading the certificate authority: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// explain says what to do about an error of a connection, where that is known.
func explain(err error) error {
	hint := func(h string) error { return fmt.Errorf("%w: %s", err, h) }
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return hint("name the authority that signed the Falco's certificate by ca=FILE in the URL")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return hint("the Falco's certificate has to be renewed")
	case errors.As(err, &name):
		return hint("name what the Falco's certificate is for by servername=NAME in the URL")
	case errors.As(err, &record):
		return hint("what listens there does not speak TLS")
	case errors.Is(err, os.ErrNotExist):
		return hint("is Falco running, with grpc.enabled: true and this grpc.bind_address? Falco 0.44 and later have no gRPC: use exec:, http:// or file://")
	case errors.Is(err, os.ErrPermission):
		return hint("this user may not use the socket: run the tests as its owner, or let Falco make it accessible")
	case errors.Is(err, syscall.ECONNREFUSED):
		return hint("nothing listens there: is Falco running, with grpc.enabled: true and this grpc.bind_address?")
	}
	text := err.Error()
	for reason, h := range map[string]string{
		"tls: expired certificate":                   "the Falco holds the certificate given by cert= for expired",
		"tls: certificate expired":                   "the Falco holds the certificate given by cert= for expired",
		"tls: unknown certificate authority":         "the Falco does not know the authority of the certificate given by cert=: it must be signed by the Falco's grpc.root_certs",
		"tls: bad certificate":                       "the Falco refused the certificate given by cert=: it must be signed by the Falco's grpc.root_certs",
		"tls: certificate required":                  "the Falco requires a certificate: give cert= and key=",
		"tls: first record does not look like a TLS": "what listens there does not speak TLS",
	} {
		if strings.Contains(text, reason) {
			return hint(h)
		}
	}
	switch status.Code(err) {
	case codes.Unimplemented:
		return hint("something answers by gRPC there, but not as Falco's outputs and version services do")
	case codes.Unavailable, codes.Internal, codes.Unknown:
		if _, ok := status.FromError(err); ok {
			return hint("something listens there, but does not speak gRPC as a Falco does")
		}
	case codes.DeadlineExceeded:
		return hint("something listens there, but does not answer")
	}
	return err
}

// greet asks for the version, which shows that a Falco is there.
func (s *grpcSource) greet(ctx context.Context, wait bool) error {
	res, err := s.versions.Version(ctx, &version.Request{}, grpc.WaitForReady(wait))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ver = res.GetVersion()
	return nil
}

// discard reads what was queued before this run, so that it neither delays nor
// deceives. It stops at the first alert that is newer than its own start.
func (s *grpcSource) discard(ctx context.Context) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	stream, err := s.outputs.Get(ctx, &outputs.Request{})
	if err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if res.GetTime().AsTime().After(start) || time.Since(start) > connectTimeout/2 {
			return n, nil
		}
	}
}

// run keeps a stream open until the context ends.
func (s *grpcSource) run(ctx context.Context, sub *stream) {
	defer close(s.done)
	for {
		err := s.receive(ctx, sub)
		s.streaming.Store(false)
		if ctx.Err() != nil {
			return
		}
		s.hub.opts.Logf("lost the connection to the Falco at %s: %v", s.place(), err)
		s.hub.emit(Event{Kind: Disconnected, Err: fmt.Errorf("the connection to the Falco at %s broke: %w", s.place(), err)})
		if sub = s.again(ctx); sub == nil {
			return
		}
		s.hub.opts.Logf("connected again to the Falco at %s", s.place())
	}
}

// again opens a stream, as often as it takes, or returns nil when the context
// has ended.
func (s *grpcSource) again(ctx context.Context) *stream {
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
		try, done := context.WithTimeout(ctx, connectTimeout)
		err := s.greet(try, true)
		done()
		if err == nil {
			if sub, err := s.subscribe(ctx); err == nil {
				return sub
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// receive hands over what a stream brings, until it breaks.
func (s *grpcSource) receive(ctx context.Context, sub *stream) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer sub.cancel()
	if !s.hub.opts.Pushed {
		wg.Go(func() { // asks for alerts
			for s.hub.pace.wait(ctx) {
				if sub.Send(&outputs.Request{}) != nil {
					// Recv has the reason, but where gRPC has begun the stream anew, in
					// silence, on another connection: nothing would ask on that one.
					sub.cancel()
					return
				}
			}
		})
	}
	wg.Go(func() { // asks whether the Falco lives
		for s.probeLater(ctx) {
			probe, done := context.WithTimeout(ctx, probeTimeout)
			_, err := s.versions.Version(probe, &version.Request{})
			done()
			if err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("it does not answer: %w", err))
				return
			}
		}
	})
	broken := make(chan error, 1)
	wg.Go(func() {
		for {
			res, err := sub.Recv()
			if err != nil {
				broken <- err
				return
			}
			s.hub.received(FromResponse(res))
		}
	})
	select {
	case err := <-broken:
		if errors.Is(err, io.EOF) {
			err = errors.New("the Falco ended the stream")
		}
		if status.Code(err) == codes.Canceled && ctx.Err() == nil {
			err = errors.New("it could not be asked for more alerts")
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// probeLater waits until it is time for a probe.
func (s *grpcSource) probeLater(ctx context.Context) bool {
	t := time.NewTicker(probeInterval)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if s.hub.pace.busy() {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// FromResponse reads an alert of the gRPC outputs API. Values of fields are
// strings, as the API carries them, or nil. With json_output: true, Falco 0.43
// gives all of the alert's JSON for its output.
func FromResponse(res *outputs.Response) *alert.Alert {
	a := &alert.Alert{
		Rule:     res.GetRule(),
		Priority: alert.Priority(res.GetPriority()),
		Source:   res.GetSource(),
		Output:   res.GetOutput(),
		Hostname: res.GetHostname(),
		Tags:     res.GetTags(),
		Fields:   make(map[string]any, len(res.GetOutputFields())),
	}
	if t := res.GetTime(); t.IsValid() {
		a.Time = t.AsTime()
	}
	if whole, err := ParseJSON([]byte(a.Output)); err == nil {
		a.Output = whole.Output
	}
	for k, v := range res.GetOutputFields() {
		a.Fields[k] = alert.Value(v)
	}
	return a
}
