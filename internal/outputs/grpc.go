// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/falcosecurity/client-go/pkg/api/version"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// Falco answers a subscriber's request with all that it has queued and then
// waits for the next: alerts come no faster than they are asked for.
const (
	askWhilePending = time.Millisecond
	askWhileIdle    = 250 * time.Millisecond
)

// How long a lost connection is tried again before each next attempt.
const (
	backoffLeast = 20 * time.Millisecond
	backoffMost  = 2 * time.Second
)

func (s *Subscription) openGRPC(ctx, life context.Context, u *url.URL, opts Options) error {
	creds := insecure.NewCredentials()
	target := "passthrough:///" + u.Path
	dialer := func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", u.Path)
	}
	if u.Scheme == "unix" {
		if u.Path == "" || u.Host != "" {
			return errors.New("want unix:///path/of/falco.sock, with three slashes")
		}
		if err := checkSocket(ctx, u.Path); err != nil {
			return err
		}
	} else {
		config, err := mutualTLS(u)
		if err != nil {
			return err
		}
		if err := checkTLS(ctx, u.Host, config); err != nil {
			return err
		}
		creds = credentials.NewTLS(config)
		target = "passthrough:///" + u.Host
		dialer = func(ctx context.Context, address string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds), grpc.WithContextDialer(dialer),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	about, err := version.NewServiceClient(conn).Version(ctx, &version.Request{})
	switch status.Code(err) {
	case codes.OK:
		s.Version = about.GetVersion()
	case codes.Unimplemented:
		// A Falco too old to tell, or not a Falco: the subscription decides.
	default:
		conn.Close()
		return explain(err)
	}
	stream, err := subscribe(ctx, life, conn, opts.WaitHeader)
	if err != nil {
		conn.Close()
		return explain(err)
	}
	s.done.Add(1)
	go func() {
		defer s.done.Done()
		defer conn.Close()
		s.keepReceiving(life, conn, stream, opts.WaitHeader)
	}()
	return nil
}

// subscribe opens a stream that lives as long as life and makes the first
// request. Where the server says so, the subscription is in place on return.
func subscribe(ctx, life context.Context, conn *grpc.ClientConn, waitHeader bool) (outputs.Service_SubClient, error) {
	stream, err := outputs.NewServiceClient(conn).Sub(life)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&outputs.Request{}); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if waitHeader {
		if _, err := stream.Header(); err != nil {
			return nil, err
		}
	}
	return stream, ctx.Err()
}

// keepReceiving receives until life ends, subscribing again whenever the stream
// breaks. Each break is a gap: what was queued for the old stream is lost.
func (s *Subscription) keepReceiving(life context.Context, conn *grpc.ClientConn, stream outputs.Service_SubClient, waitHeader bool) {
	wait := backoffLeast
	for {
		received, err := s.receive(life, stream)
		if life.Err() != nil {
			return
		}
		s.gap(fmt.Errorf("the connection to %s broke: %w", s.URL, explain(err)))
		if received {
			wait = backoffLeast
		}
		for {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-life.Done():
				t.Stop()
				return
			}
			wait = min(2*wait, backoffMost)
			if stream, err = subscribe(life, life, conn, waitHeader); err == nil {
				break
			}
		}
	}
}

// receive delivers a stream's alerts until it breaks.
func (s *Subscription) receive(life context.Context, stream outputs.Service_SubClient) (received bool, err error) {
	ended := make(chan struct{})
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		s.ask(stream, ended)
	}()
	defer func() {
		close(ended)
		<-asked
	}()
	for {
		r, err := stream.Recv()
		if err != nil {
			return received, err
		}
		received = true
		s.deliver(fromResponse(r))
	}
}

// ask requests alerts until the stream has ended: often while an action is
// pending, seldom otherwise.
func (s *Subscription) ask(stream outputs.Service_SubClient, ended <-chan struct{}) {
	for {
		every := askWhileIdle
		if s.pending.Load() > 0 {
			every = askWhilePending
		}
		t := time.NewTimer(every)
		select {
		case <-t.C:
		case <-s.wake:
			t.Stop()
		case <-ended:
			t.Stop()
			return
		}
		if stream.Send(&outputs.Request{}) != nil {
			return // the reason comes from Recv
		}
	}
}

func fromResponse(r *outputs.Response) *alert.Alert {
	fields := make(map[string]any, len(r.GetOutputFields()))
	for name, v := range r.GetOutputFields() {
		fields[name] = v
	}
	source := r.GetSource()
	if source == "" {
		source = strings.ToLower(r.GetSourceDeprecated().String())
	}
	return &alert.Alert{
		Time:     r.GetTime().AsTime(),
		Rule:     r.GetRule(),
		Priority: alert.Priority(r.GetPriority()),
		Source:   source,
		Output:   r.GetOutput(),
		Fields:   fields,
		Hostname: r.GetHostname(),
		Tags:     r.GetTags(),
	}
}

// checkSocket says what is wrong with a socket better than gRPC does.
func checkSocket(ctx context.Context, path string) error {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: is Falco running, with grpc.enabled and grpc.bind_address: unix://%s?", err, path)
	case err != nil:
		return err
	case fi.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is not a socket", path)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: Falco's socket belongs to root; run as root, or let your user into it", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the Falco that made this socket has gone", err)
	case err != nil:
		return err
	}
	return c.Close()
}

// mutualTLS reads the files that a grpcs URL names: cert, key, ca, and the
// server's name where it is not the host.
func mutualTLS(u *url.URL) (*tls.Config, error) {
	q := u.Query()
	for _, name := range []string{"cert", "key", "ca"} {
		if q.Get(name) == "" {
			return nil, fmt.Errorf("the URL lacks %s=FILE: Falco's gRPC server on the network requires mutual TLS (grpcs://host:5060?cert=FILE&key=FILE&ca=FILE)", name)
		}
	}
	if u.Port() == "" {
		return nil, errors.New("the URL lacks a port (Falco's default is 5060)")
	}
	pair, err := tls.LoadX509KeyPair(q.Get("cert"), q.Get("key"))
	if err != nil {
		return nil, fmt.Errorf("reading the client's certificate and key: %w", err)
	}
	pool, err := authorities(q.Get("ca"))
	if err != nil {
		return nil, err
	}
	name := q.Get("servername")
	if name == "" {
		name = u.Hostname()
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: name, MinVersion: tls.VersionTLS12}, nil
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the certificate authority: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// checkTLS makes one handshake of its own, whose error says what is wrong with
// which certificate; over gRPC it would come as "unavailable".
func checkTLS(ctx context.Context, host string, config *tls.Config) error {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	d := tls.Dialer{Config: config}
	c, err := d.DialContext(ctx, "tcp", host)
	var (
		unknown  x509.UnknownAuthorityError
		invalid  x509.CertificateInvalidError
		hostname x509.HostnameError
		record   tls.RecordHeaderError
	)
	switch {
	case err == nil:
		return c.Close()
	case errors.As(err, &unknown):
		return fmt.Errorf("the server's certificate was not issued by the authority given as ca=: %w", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the server's certificate has expired or is not valid yet: %w", err)
	case errors.As(err, &hostname):
		return fmt.Errorf("the server's certificate is for another name; add servername=NAME to the URL: %w", err)
	case errors.As(err, &record):
		return fmt.Errorf("the server does not speak TLS: %w", err)
	}
	return err
}

// explain turns a status of gRPC into what it means for a user of Falco.
func explain(err error) error {
	switch status.Code(err) {
	case codes.Unimplemented:
		return fmt.Errorf("the server has no outputs service: it is not a Falco up to 0.43, or its grpc_output is not enabled (grpc_output.enabled: true): %w", err)
	case codes.Unavailable:
		return fmt.Errorf("the server went away, does not speak gRPC, or refused this client's certificate: %w", err)
	case codes.Unauthenticated, codes.PermissionDenied:
		return fmt.Errorf("the server refuses this client: %w", err)
	}
	return err
}
