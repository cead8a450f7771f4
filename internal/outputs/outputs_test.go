// SPDX-License-Identifier: Apache-2.0

package outputs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/serve"
	"github.com/falcotest/go-falcotest/internal/serve/servetest"
)

// collect makes a channel of a subscription's events.
func collect(s *Subscription) <-chan Event {
	c := make(chan Event, 1<<16)
	s.Handle(func(ev Event) { c <- ev })
	return c
}

// next returns the next event of a kind. It takes milliseconds, unless something
// is wrong.
func next(t *testing.T, c <-chan Event, k Kind) Event {
	t.Helper()
	wrong := time.After(time.Minute)
	for {
		select {
		case ev := <-c:
			if ev.Kind == k {
				return ev
			}
		case <-wrong:
			t.Fatalf("no event %q came", k)
		}
	}
}

func mustOpen(t *testing.T, url string) *Subscription {
	t.Helper()
	s, err := Open(t.Context(), url, Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustServe(t *testing.T, opts servetest.Options) (*servetest.Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	s, err := servetest.Start("unix", path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, "unix://" + path
}

func response(rule string) *outputs.Response {
	return serve.Response(&alert.Alert{Rule: rule, Time: time.Now()})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	// A listener that speaks HTTP/1, as Docker's socket does.
	http1, err := net.Listen("unix", path("http1"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{}
	go srv.Serve(http1)
	defer srv.Close()
	// One that is gone, its socket left.
	gone, err := net.ListenUnix("unix", &net.UnixAddr{Name: path("gone"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	gone.SetUnlinkOnClose(false)
	gone.Close()
	if err := os.WriteFile(path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, noOutputs := mustServe(t, servetest.Options{NoOutputs: true})
	_, noVersion := mustServe(t, servetest.Options{NoVersion: true})
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()

	for _, tt := range []struct{ name, url, want string }{
		{"no scheme", "/run/falco.sock", "unknown scheme"},
		{"two slashes", "unix://run/falco.sock", "three slashes: unix:///run/falco.sock"},
		{"no path", "unix:///", "names no file"},
		{"plain gRPC", "grpc://localhost:5060", "use grpcs://"},
		{"no port", "grpcs://localhost", "names no port"},
		{"unknown parameter", "grpcs://localhost:1?crt=x", `unknown parameter "crt"`},
		{"no certificate", "grpcs://localhost:1", "requires a client certificate"},
		{"missing certificate", "grpcs://localhost:1?cert=/nonexistent&key=/nonexistent", "loading the certificate"},
		{"no socket", "unix://" + path("none"), "is Falco running"},
		{"a left socket", "unix://" + path("gone"), "nothing listens there"},
		{"not gRPC", "unix://" + path("http1"), "does not speak gRPC as a Falco does"},
		{"no outputs service", noOutputs, "not as Falco's outputs and version services do"},
		{"no version service", noVersion, "not as Falco's outputs and version services do"},
		{"an address in use", "http://" + busy.Addr().String(), "another program listens there"},
		{"HTTPS without certificate", "https://127.0.0.1:0", "HTTPS requires a certificate"},
		{"a folder", "file://" + dir, "it is a folder"},
		{"no folder", "file:///nonexistent/falco.json", "its folder"},
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
	t.Run("permission", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root may use every socket")
		}
		_, url := mustServe(t, servetest.Options{})
		if err := os.Chmod(strings.TrimPrefix(url, "unix://"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), url, Options{Private: true}); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "may not use the socket") {
			t.Errorf("got %v, want a permission error", err)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		s, url := mustServe(t, servetest.Options{})
		resume := s.Hang()
		defer resume()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := Open(ctx, url, Options{Private: true}); err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("got %v, want one that says that it does not answer", err)
		}
	})
}

func TestGRPC(t *testing.T) {
	srv, url := mustServe(t, servetest.Options{Version: "0.43.1"})
	srv.Push(serve.Response(&alert.Alert{Rule: "an hour old", Time: time.Now().Add(-time.Hour)}))
	s := mustOpen(t, url)
	if got := s.Version(); got != "0.43.1" {
		t.Errorf("version %q", got)
	}
	events := collect(s)
	s.Pending(1)
	srv.Push(response("one"), response("two"))
	for _, want := range []string{"one", "two"} {
		if got := next(t, events, Received).Alert.Rule; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	srv.Reset(0)
	next(t, events, Disconnected)
	next(t, events, Connected)
	srv.Push(response("three"))
	if got := next(t, events, Received).Alert.Rule; got != "three" {
		t.Errorf("got %q after reconnecting", got)
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	next(t, events, Connected)
	srv.Push(response("four"))
	if got := next(t, events, Received).Alert.Rule; got != "four" {
		t.Errorf("got %q after a restart", got)
	}
}

// TestIdle receives alerts also while no action is pending, so that they do not
// pile up.
func TestIdle(t *testing.T) {
	srv, url := mustServe(t, servetest.Options{})
	s := mustOpen(t, url)
	events := collect(s)
	srv.Push(response("one"))
	if got := next(t, events, Received).Alert.Rule; got != "one" {
		t.Errorf("got %q", got)
	}
}

// TestShared gives both subscriptions of one process every alert, though the
// server has but one queue.
func TestShared(t *testing.T) {
	srv, url := mustServe(t, servetest.Options{})
	a, b := mustOpen(t, url), mustOpen(t, url)
	as, bs := collect(a), collect(b)
	a.Pending(1)
	for i := range 100 {
		srv.Push(response(fmt.Sprint(i)))
	}
	for i := range 100 {
		for name, c := range map[string]<-chan Event{"first": as, "second": bs} {
			if got := next(t, c, Received).Alert.Rule; got != fmt.Sprint(i) {
				t.Fatalf("the %s got %q, want %d", name, got, i)
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	b.Pending(1)
	srv.Push(response("last"))
	if got := next(t, bs, Received).Alert.Rule; got != "last" {
		t.Errorf("got %q after the other had closed", got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	again := collect(mustOpen(t, url)) // before anything comes: nothing is kept for later
	srv.Push(response("again"))
	if got := next(t, again, Received).Alert.Rule; got != "again" {
		t.Errorf("got %q after all had closed", got)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "falco.json")
	write := func(s string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, "file://"+path) // which does not exist yet
	s.Pending(1)
	events := collect(s)
	rule := func(want string) {
		t.Helper()
		if got := next(t, events, Received).Alert.Rule; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	write(`{"rule":"one"}` + "\n" + `{"rule":`)
	rule("one")
	write(`"two"}` + "\n")
	rule("two")
	write("no JSON\n")
	if err := next(t, events, Lost).Err; !strings.Contains(err.Error(), "json_output: true") {
		t.Errorf("got %v", err)
	}
	// Rotated by renaming, with a line still written to the old one.
	write(`{"rule":"three"}` + "\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(`{"rule":"four"}` + "\n")
	rule("three")
	rule("four")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := next(t, events, Lost).Err; !strings.Contains(err.Error(), "truncated") {
		t.Errorf("got %v", err)
	}
	write(`{"rule":"five"}` + "\n")
	rule("five")
	// A later subscription starts behind what is there.
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = mustOpen(t, "file://"+path)
	s.Pending(1)
	events = collect(s)
	write(`{"rule":"six"}` + "\n")
	rule("six")
}

func TestFileLongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "falco.json")
	s, err := Open(t.Context(), "file://"+path, Options{Private: true, MaxAlert: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Pending(1)
	events := collect(s)
	long := `{"rule":"` + strings.Repeat("x", 1<<20) + `"}` + "\n" + `{"rule":"short"}` + "\n"
	if err := os.WriteFile(path, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	next(t, events, Lost)
	if got := next(t, events, Received).Alert.Rule; got != "short" {
		t.Errorf("got %q", got)
	}
}

func TestHTTP(t *testing.T) {
	s, err := Open(t.Context(), "http://127.0.0.1:0/alerts", Options{MaxAlert: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	events := collect(s)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		kind                     Kind
	}{
		{"an alert", "POST", "/alerts", `{"rule":"one","priority":"Info","time":"2026-11-22T23:14:05.5Z"}`, 200, Received},
		{"another path", "POST", "/other", `{"rule":"one"}`, 404, 0},
		{"another method", "GET", "/alerts", ``, 405, 0},
		{"text", "POST", "/alerts", `12:00 Warning`, 400, Lost},
		{"cut off", "POST", "/alerts", `{"rule":"on`, 400, Lost},
		{"too large", "POST", "/alerts", `{"rule":"` + strings.Repeat("x", 1000) + `"}`, 413, Lost},
		{"another's JSON", "POST", "/alerts", `{"hello":1}`, 400, Lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := strings.TrimSuffix(s.Address(), "/alerts") + tt.path
			req, err := http.NewRequestWithContext(t.Context(), tt.method, url, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if tt.kind != 0 {
				next(t, events, tt.kind)
			}
		})
	}
}

// Connections of strangers that do nothing do not keep the Falco's out; that one
// of them was closed is told, since it may have been the Falco's.
func TestHTTPIdleConnections(t *testing.T) {
	s, err := Open(t.Context(), "http://127.0.0.1:0/secret", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	events := collect(s)
	u, err := url.Parse(s.Address())
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	post := func() {
		t.Helper()
		res, err := client.Post(s.Address(), "application/json", strings.NewReader(`{"rule":"one","priority":"Info","time":"2026-11-22T23:14:05.5Z"}`))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	post()
	next(t, events, Received)
	for i := range maxConns + 50 {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			c.Write([]byte("P")) // the beginning of a request
		}
	}
	if ev := next(t, events, Lost); !strings.Contains(ev.Err.Error(), "closed before it brought an alert") {
		t.Errorf("got %v", ev.Err)
	}
	post() // by the connection that is there
	next(t, events, Received)
	client.CloseIdleConnections()
	post() // by a new one
	next(t, events, Received)
}

func TestParseJSON(t *testing.T) {
	got, err := ParseJSON([]byte(`{"hostname":"vm","output":"o","output_fields":{"a":null,"b":1795390912906942238,"c":"x"},
		"priority":"Warning","rule":"r","source":"syscall","tags":["t"],"time":"2026-11-22T23:14:05.504091328Z","new":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := got.Field("b"); !ok || b != "1795390912906942238" {
		t.Errorf("the number became %q", b)
	}
	if _, ok := got.Field("a"); ok {
		t.Error("null has a value")
	}
	got.Fields = nil
	want := &alert.Alert{Time: time.Date(2026, 11, 22, 23, 14, 5, 504091328, time.UTC), Rule: "r", Priority: alert.Warning,
		Source: "syscall", Output: "o", Hostname: "vm", Tags: []string{"t"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "x", "[]", "{", `{"rule":"a"} x`, `{"rule":1}`, `{"x":1}`, "null"} {
		if _, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	odd, err := ParseJSON([]byte(`{"rule":"r","priority":"Urgent","time":"now"}`))
	if err != nil || odd.Priority != UnknownPriority || !odd.Time.IsZero() {
		t.Errorf("got %+v, %v", odd, err)
	}
}

// TestNotUTF8 reads an alert with a file name that Go's protobuf refuses.
func TestNotUTF8(t *testing.T) {
	var field, msg []byte
	field = protowire.AppendTag(field, 1, protowire.BytesType)
	field = protowire.AppendString(field, "fd.name")
	field = protowire.AppendTag(field, 2, protowire.BytesType)
	field = protowire.AppendString(field, "/tmp/\xff")
	msg = protowire.AppendTag(msg, 2, protowire.VarintType)
	msg = protowire.AppendVarint(msg, 4)
	msg = protowire.AppendTag(msg, 4, protowire.BytesType)
	msg = protowire.AppendString(msg, "rule")
	msg = protowire.AppendTag(msg, 6, protowire.BytesType)
	msg = protowire.AppendBytes(msg, field)
	var res outputs.Response
	if err := (codec{}).Unmarshal(msg, &res); err != nil {
		t.Fatal(err)
	}
	got := FromResponse(&res)
	want := &alert.Alert{Rule: "rule", Priority: alert.Warning, Fields: map[string]any{"fd.name": "/tmp/\uFFFD"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOutputOfJSON reads what Falco 0.43.1 with json_output: true gives for an
// output over gRPC, and an output that only looks so.
func TestOutputOfJSON(t *testing.T) {
	for given, want := range map[string]string{
		`{"hostname":"vm","output":"12:00:00.1: Error written (file=/etc/x)","output_fields":{"fd.name":"/etc/x"},"rule":"r"}`: "12:00:00.1: Error written (file=/etc/x)",
		"12:00:00.1: Error written": "12:00:00.1: Error written",
		`{"a":1}`:                   `{"a":1}`,
	} {
		if got := FromResponse(&outputs.Response{Output: given}).Output; got != want {
			t.Errorf("the output %s was read as %s", given, got)
		}
	}
}

func FuzzLenient(f *testing.F) {
	f.Add([]byte{0x22, 1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var res outputs.Response
		if lenient(b, &res) == nil {
			FromResponse(&res)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"rule":"r","output_fields":{"a":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := ParseJSON(b); err == nil && a.Rule == "" && a.Output == "" {
			t.Error("an alert of nothing")
		}
	})
}

// BenchmarkLatency measures from an alert's being in the server to its being
// with the handler, over a unix socket and with a pending action: for the
// built-in engine's server, and for one that answers requests only, as Falco.
func BenchmarkLatency(b *testing.B) {
	for _, kind := range []string{"builtin", "falco"} {
		b.Run(kind, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "s")
			var publish func()
			a := &alert.Alert{Rule: "r", Fields: map[string]any{"fd.name": "/etc/shadow"}}
			if kind == "builtin" {
				lis, err := net.Listen("unix", path)
				if err != nil {
					b.Fatal(err)
				}
				s, err := serve.Start(serve.Options{Listener: lis})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				publish = func() { s.Publish(a) }
			} else {
				s, err := servetest.Start("unix", path, servetest.Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				publish = func() { s.Push(serve.Response(a)) }
			}
			sub, err := Open(b.Context(), "unix://"+path, Options{Private: true})
			if err != nil {
				b.Fatal(err)
			}
			defer sub.Close()
			sub.Pending(1)
			came := make(chan time.Time, 1)
			sub.Handle(func(ev Event) {
				if ev.Kind == Received {
					came <- ev.At
				}
			})
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				publish()
				took = append(took, (<-came).Sub(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
