// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/falcosecurity/client-go/pkg/api/outputs"
	"github.com/falcosecurity/client-go/pkg/api/version"
	"github.com/falcosecurity/client-go/pkg/client"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/falcotest/go-falcotest/internal/alert"
)

func start(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// dial connects by Falco's own client.
func dial(t *testing.T, s *Server) *client.Client {
	t.Helper()
	c, err := client.NewForConfig(t.Context(), &client.Config{UnixSocketPath: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func subscribe(t *testing.T, c *client.Client) outputs.Service_SubClient {
	t.Helper()
	o, err := c.Outputs()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	sub, err := o.Sub(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.Send(&outputs.Request{}); err != nil {
		t.Fatal(err)
	}
	return sub
}

func expect(t *testing.T, sub outputs.Service_SubClient, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		res, err := sub.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprint(i); res.Rule != want {
			t.Fatalf("got %q, want %q", res.Rule, want)
		}
	}
}

func publish(s *Server, from, to int) {
	for i := from; i < to; i++ {
		s.Publish(&alert.Alert{Rule: fmt.Sprint(i)})
	}
}

func TestEachSubscriberGetsAll(t *testing.T) {
	s := start(t, Options{Version: &version.Response{Version: "1.2.3"}})
	publish(s, 0, 10) // before anybody listens
	c := dial(t, s)
	first := subscribe(t, c)
	expect(t, first, 0, 10)
	second := subscribe(t, dial(t, s))
	// The second has arrived when it gets what is published: until then, one
	// by one.
	n := 10
	arrived := make(chan int)
	go func() {
		res, err := second.Recv()
		if err != nil {
			t.Error(err)
			close(arrived)
			return
		}
		var i int
		fmt.Sscan(res.Rule, &i)
		arrived <- i
	}()
	var from int
	for from == 0 {
		publish(s, n, n+1)
		n++
		select {
		case from = <-arrived:
		case <-time.After(time.Millisecond):
		}
	}
	publish(s, n, n+1000)
	expect(t, second, from+1, n+1000)
	expect(t, first, 10, n+1000)
}

func TestGet(t *testing.T) {
	s := start(t, Options{})
	publish(s, 0, 3)
	o, err := dial(t, s).Outputs()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{3, 0} {
		stream, err := o.Get(t.Context(), &outputs.Request{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; ; n++ {
			if _, err := stream.Recv(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if n != want {
			t.Errorf("got %d alerts, want %d", n, want)
		}
	}
}

// TestSlowSubscriber is told what it lost, and the memory stays bounded.
func TestSlowSubscriber(t *testing.T) {
	s := start(t, Options{Limit: 10})
	sub := subscribe(t, dial(t, s))
	publish(s, 0, 1)
	expect(t, sub, 0, 1)
	// More than the buffers between here and there hold.
	big := &alert.Alert{Output: strings.Repeat("x", 1<<20)}
	for range 100 {
		s.Publish(big)
	}
	s.mu.Lock()
	kept := len(s.log)
	s.mu.Unlock()
	if kept > 13 {
		t.Errorf("%d alerts are kept, with a limit of 10", kept)
	}
	var err error
	for err == nil {
		_, err = sub.Recv()
	}
	if status.Code(err) != codes.DataLoss {
		t.Errorf("got %v, want data loss", err)
	}
}

func TestClose(t *testing.T) {
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(strings.TrimPrefix(s.URL(), "unix://"))
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder has mode %v", info.Mode())
	}
	sub := subscribe(t, dial(t, s))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := sub.Recv(); err == nil {
		t.Error("the stream goes on")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder is left: %v", err)
	}
	s.Publish(&alert.Alert{}) // does nothing
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestResponse(t *testing.T) {
	at := time.Date(2026, 11, 22, 23, 14, 5, 504091328, time.UTC)
	got := Response(&alert.Alert{
		Time: at, Rule: "r", Priority: alert.Warning, Source: "syscall", Output: "a\xffb", Hostname: "vm", Tags: []string{"t"},
		Fields: map[string]any{"s": "x", "n": nil, "f": 1.0, "i": 1795390912906942238, "j": json.Number("12"), "b": true, "u": uint64(7), "l": []any{"a", json.Number("1")}},
	})
	want := &outputs.Response{
		Time: timestamppb.New(at), Rule: "r", Priority: 4, Source: "syscall", Output: "a\uFFFDb", Hostname: "vm", Tags: []string{"t"},
		OutputFields: map[string]string{"s": "x", "n": "<NA>", "l": "(a,1)", "f": "1", "i": "1795390912906942238", "j": "12", "b": "true", "u": "7"},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func BenchmarkPublish(b *testing.B) {
	s, err := Start(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	a := &alert.Alert{Rule: "r", Fields: map[string]any{"fd.name": "/etc/shadow"}}
	b.ReportAllocs()
	for b.Loop() {
		s.Publish(a)
	}
}
