// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

func listen(t testing.TB, opts audit.HandlerOptions) *audit.Server {
	t.Helper()
	if opts.Handle == nil {
		opts.Handle = func(*audit.Event) {}
	}
	s, err := audit.Listen("127.0.0.1:0", nil, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// post returns the status and the text of the answer.
func post(t testing.TB, url, token, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(b)
}

func TestEndpoint(t *testing.T) {
	tests := []struct {
		name, token, body string
		want              []string
		wantStatus        int
		wantText          string
		wantCounts        audit.Counts
	}{
		{"one", "secret", event("a"), []string{"a"}, 200, "", audit.Counts{Requests: 1, Events: 1}},
		{"a webhook's list", "secret", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + event("a") + `,` + event("b") + `]}`, []string{"a", "b"}, 200, "", audit.Counts{Requests: 1, Events: 2}},
		{"an empty list", "secret", `{"kind":"EventList","items":[]}`, nil, 200, "", audit.Counts{Requests: 1}},
		{"another cluster's", "other", event("a"), nil, 401, "is it another cluster's?", audit.Counts{Requests: 1, Refused: 1}},
		{"without a token", "", event("a"), nil, 401, "is it another cluster's?", audit.Counts{Requests: 1, Refused: 1}},
		{"nothing", "secret", "", nil, 400, "the body is empty", audit.Counts{Requests: 1, Lost: 1}},
		{"malformed", "secret", event("a") + "{", []string{"a"}, 400, "1 events taken, but not all: line 1, column", audit.Counts{Requests: 1, Events: 1, Lost: 1}},
		{"too large", "secret", "[" + strings.Repeat(" ", 2000) + "]", nil, 413, "the body has more than 1000 bytes", audit.Counts{Requests: 1, Lost: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			var problems, refused []error
			s, err := audit.Listen("127.0.0.1:0", nil, audit.HandlerOptions{
				Handle:  func(e *audit.Event) { got = append(got, e.Text("auditID")) },
				Problem: func(err error) { problems = append(problems, err) },
				Refused: func(err error) { refused = append(refused, err) },
				Token:   "secret", MaxBody: 1000,
			})
			if err != nil {
				t.Fatal(err)
			}
			status, text := post(t, s.URL, tt.token, tt.body)
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			if status != tt.wantStatus || !strings.Contains(text, tt.wantText) {
				t.Errorf("answer %d %q, want %d with %q", status, text, tt.wantStatus, tt.wantText)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.wantCounts, s.Handler.Counts()); d != "" {
				t.Errorf("counts (-want +got):\n%s", d)
			}
			if len(problems) != int(tt.wantCounts.Lost) || len(refused) != int(tt.wantCounts.Refused) {
				t.Errorf("problems %v, refused %v", problems, refused)
			}
		})
	}
}

func TestEndpointMethodAndType(t *testing.T) {
	s := listen(t, audit.HandlerOptions{})
	answer, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s", answer.Status)
	}
	if answer, err = http.Post(s.URL, "text/plain", strings.NewReader(event("a"))); err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("text: %s", answer.Status)
	}
}

// A flood is counted to the last event, and what it takes does not grow with
// its size.
func TestFlood(t *testing.T) {
	const senders, requests, perRequest = 8, 25, 100
	sizes := make(map[string]int)
	s := listen(t, audit.HandlerOptions{Handle: func(e *audit.Event) { sizes[e.Text("auditID")]++ }})
	var senderGroup sync.WaitGroup
	for i := range senders {
		senderGroup.Go(func() {
			for j := range requests {
				var list strings.Builder
				for k := range perRequest {
					list.WriteString(event(fmt.Sprintf("%d-%d-%d", i, j, k)))
				}
				if status, text := post(t, s.URL, "", list.String()); status != 200 {
					t.Errorf("answer %d %s", status, text)
				}
			}
		})
	}
	senderGroup.Wait()
	if got := s.Handler.Counts(); got.Events != senders*requests*perRequest || len(sizes) != senders*requests*perRequest {
		t.Errorf("%d different events, counts %+v", len(sizes), got)
	}
}

// Events of 10 MB from many at once: their sum is never in memory.
func TestHugeEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 200 MB")
	}
	huge := `{"kind":"Event","auditID":"a",` + stamp + `,"requestObject":{"data":"` + strings.Repeat("x", 10<<20) + `"}}`
	var most uint64
	s := listen(t, audit.HandlerOptions{Handle: func(e *audit.Event) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}})
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() {
			if status, text := post(t, s.URL, "", huge); status != 200 {
				t.Errorf("answer %d %s", status, text)
			}
		})
	}
	senders.Wait()
	if got := s.Handler.Counts().Events; got != 20 {
		t.Errorf("%d events", got)
	}
	if limit := uint64(150 << 20); most > limit {
		t.Errorf("%d bytes of memory at most, want less than %d", most, limit)
	}
}

// BenchmarkFlood sends batches as kube-apiserver does, 400 events each.
func BenchmarkFlood(b *testing.B) {
	var list strings.Builder
	list.WriteString(`{"kind":"EventList","items":[`)
	for i := range 400 {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(strings.Replace(event("a"), `}`, `,"verb":"create","requestObject":{"spec":"`+strings.Repeat("x", 2000)+`"}}`, 1))
	}
	list.WriteString(`]}`)
	s := listen(b, audit.HandlerOptions{})
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			post(b, s.URL, "", list.String())
		}
	})
	b.ReportMetric(float64(s.Handler.Counts().Events)/b.Elapsed().Seconds(), "events/s")
}
