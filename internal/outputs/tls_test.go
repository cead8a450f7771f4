// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/serve/servetest"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = a.write("ca.pem", "CERTIFICATE", der)
	a.pool = x509.NewCertPool()
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// sign makes the files of a certificate that ends after a time.
func (a *authority) sign(name string, ends time.Duration) (cert, key string) {
	a.t.Helper()
	k := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(ends),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	b, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "EC PRIVATE KEY", b)
}

func (a *authority) pair(name string, ends time.Duration) tls.Certificate {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.sign(name, ends))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func withQuery(base string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return base + "?" + q.Encode()
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	start := func(cert tls.Certificate) string {
		s, err := servetest.Start("tcp", "127.0.0.1:0", servetest.Options{
			Version: "0.43.1",
			TLS:     &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return "grpcs://" + s.Addr().String()
	}
	good, expired := start(ours.pair("falco", time.Hour)), start(ours.pair("expired", -time.Hour))
	cert, key := ours.sign("client", time.Hour)
	oldCert, oldKey := ours.sign("old", -time.Hour)
	strangeCert, strangeKey := theirs.sign("stranger", time.Hour)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{}
	go srv.Serve(plain)
	defer srv.Close()

	t.Run("good", func(t *testing.T) {
		s := mustOpen(t, withQuery(good, "cert", cert, "key", key, "ca", ours.file, "servername", "falco"))
		if s.Version() != "0.43.1" {
			t.Errorf("version %q", s.Version())
		}
	})
	for _, tt := range []struct{ name, url, want string }{
		{"the server's authority is unknown", withQuery(good, "cert", cert, "key", key, "ca", theirs.file, "servername", "falco"), "name the authority"},
		{"the server's name", withQuery(good, "cert", cert, "key", key, "ca", ours.file), "servername=NAME"},
		{"the server's certificate has expired", withQuery(expired, "cert", cert, "key", key, "ca", ours.file, "servername", "expired"), "has to be renewed"},
		{"the client's certificate has expired", withQuery(good, "cert", oldCert, "key", oldKey, "ca", ours.file, "servername", "falco"), "expired at"},
		{"the client's authority is unknown", withQuery(good, "cert", strangeCert, "key", strangeKey, "ca", ours.file, "servername", "falco"), "grpc.root_certs"},
		{"no TLS", withQuery("grpcs://"+plain.Addr().String(), "cert", cert, "key", key, "ca", ours.file), "does not speak TLS"},
		{"the authority's file", withQuery(good, "cert", cert, "key", key, "ca", key), "holds no certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(t.Context(), tt.url, Options{Private: true})
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %q in it", err, tt.want)
			}
		})
	}
}

func TestHTTPS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, key := ours.sign("localhost", time.Hour)
	s := mustOpen(t, withQuery("https://127.0.0.1:0/", "cert", cert, "key", key, "ca", ours.file))
	events := collect(s)
	u, err := url.Parse(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	post := func(pair tls.Certificate) error {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: ours.pool, ServerName: "localhost", Certificates: []tls.Certificate{pair},
		}}}
		defer client.CloseIdleConnections()
		res, err := client.Post("https://"+u.Host+"/", "application/json", strings.NewReader(`{"rule":"one"}`))
		if err == nil {
			res.Body.Close()
		}
		return err
	}
	if err := post(ours.pair("falco", time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := next(t, events, Received).Alert.Rule; got != "one" {
		t.Errorf("got %q", got)
	}
	if err := post(theirs.pair("stranger", time.Hour)); err == nil {
		t.Error("a stranger's alert was accepted")
	}
}
