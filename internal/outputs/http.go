// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// openHTTP listens for what Falco's http_output posts: one alert in JSON each.
// With https, cert= and key= name the server's files, and ca= the authority of
// the clients' certificates, which are then required.
func (s *Subscription) openHTTP(life context.Context, u *url.URL, opts Options) error {
	if u.Port() == "" {
		return errors.New("the URL lacks a port to listen on, e.g. http://127.0.0.1:2801 (0 picks a free one)")
	}
	l, err := net.Listen("tcp", u.Host)
	if err != nil {
		return err
	}
	if u.Scheme == "https" {
		config, err := serverTLS(u)
		if err != nil {
			l.Close()
			return err
		}
		l = tls.NewListener(l, config)
	}
	s.Address = l.Addr().String()
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.post(w, r, opts.maxBody()) }),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		ErrorLog:          nil,
	}
	s.done.Add(2)
	go func() {
		defer s.done.Done()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.gap(fmt.Errorf("listening on %s: %w", s.Address, err))
		}
	}()
	go func() {
		defer s.done.Done()
		<-life.Done()
		server.Close()
	}()
	return nil
}

func serverTLS(u *url.URL) (*tls.Config, error) {
	q := u.Query()
	pair, err := tls.LoadX509KeyPair(q.Get("cert"), q.Get("key"))
	if err != nil {
		return nil, fmt.Errorf("reading the server's certificate and key, cert= and key= in the URL: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if ca := q.Get("ca"); ca != "" {
		if config.ClientCAs, err = authorities(ca); err != nil {
			return nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// post takes one alert. What it cannot take is a gap: it may have been the
// alert that an action waits for.
func (s *Subscription) post(w http.ResponseWriter, r *http.Request, limit int) {
	if r.Method != http.MethodPost {
		http.Error(w, "post alerts in JSON, as Falco's http_output does", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			s.gap(fmt.Errorf("an alert from %s is larger than %d bytes", r.RemoteAddr, limit))
			http.Error(w, "the alert is too large", http.StatusRequestEntityTooLarge)
			return
		}
		s.gap(fmt.Errorf("reading an alert from %s: %w", r.RemoteAddr, err))
		return
	}
	a, err := ParseJSON(body)
	if err != nil {
		s.gap(fmt.Errorf("what %s posted is no alert: %w", r.RemoteAddr, err))
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.deliver(a)
}
