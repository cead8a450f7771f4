// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/outputs"
	_ "github.com/falcotest/go-falcotest/internal/source/all"
)

// fakeSource is a subscription that delivers what a test says.
type fakeSource struct {
	mu      sync.Mutex
	handle  func(outputs.Event)
	pending int
}

func (s *fakeSource) Handle(f func(outputs.Event)) { s.handle = f }

func (s *fakeSource) Pending(d int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending += d
}

func (s *fakeSource) emit(ev outputs.Event) {
	if ev.At.IsZero() {
		ev.At = time.Now()
	}
	s.handle(ev)
}

func (s *fakeSource) alert(a *alert.Alert) { s.emit(outputs.Event{Kind: outputs.Received, Alert: a}) }

const (
	id      = "ftaaaaaaaaaaaaaa"
	otherID = "ftbbbbbbbbbbbbbb"
	rule    = "Read sensitive file untrusted"
)

func is(name string) func(string) bool { return func(r string) bool { return r == name } }

func envAlert(id string) *alert.Alert {
	return &alert.Alert{
		Time: time.Now(), Rule: rule, Source: "syscall", Hostname: "here",
		Fields: map[string]any{"proc.env[FALCOTEST_ID]": id},
	}
}

func TestVerdict(t *testing.T) {
	timeAlert := func() *alert.Alert {
		return &alert.Alert{Time: time.Now(), Rule: rule, Source: "syscall", Hostname: "here"}
	}
	type run struct {
		src *fakeSource
		p   *Pending
		// answer is whether the sentinel is answered
	}
	tests := []struct {
		name     string
		e        Expectation
		min      correlate.Strength
		sentinel bool // one is configured
		silent   bool // and never answered
		during   func(r run)
		want     Outcome
		strength correlate.Strength
		reason   string
		alerts   int
		alone    bool
	}{
		{
			name: "detected by environment", sentinel: true,
			during: func(r run) { r.src.alert(envAlert(id)) },
			want:   Detected, strength: correlate.Environment, alerts: 1, reason: "correlated by environment",
		},
		{
			name: "detected before the sentinel is answered", sentinel: true, silent: true,
			during: func(r run) { r.src.alert(envAlert(id)) },
			want:   Detected, strength: correlate.Environment, alerts: 1,
		},
		{
			name: "missed with a sentinel", sentinel: true,
			want: Missed, reason: "has been judged",
		},
		{
			name: "missed without a sentinel",
			want: Missed, reason: "no alert of the rule came within",
		},
		{
			name: "the right rule with another's id", sentinel: true,
			during: func(r run) { r.src.alert(envAlert(otherID)) },
			want:   Missed,
		},
		{
			name: "the right id with another rule", sentinel: true,
			during: func(r run) {
				a := envAlert(id)
				a.Rule = "Another"
				r.src.alert(a)
			},
			want: Missed, alerts: 1,
		},
		{
			name: "a duplicate counts once", sentinel: true, e: Expectation{All: true},
			during: func(r run) {
				a := envAlert(id)
				r.src.alert(a)
				r.src.alert(a)
			},
			want: Detected, strength: correlate.Environment, alerts: 1,
		},
		{
			name: "an alert that is not enough", sentinel: true, e: Expectation{Enough: func(list []Attributed) bool { return len(list) > 1 }},
			during: func(r run) { r.src.alert(envAlert(id)) },
			want:   Detected, strength: correlate.Environment, alerts: 1,
		},
		{
			name: "drops", sentinel: true,
			during: func(r run) {
				r.src.alert(&alert.Alert{Rule: "Falco internal: syscall event drop", Output: "12 drops"})
			},
			want: Inconclusive, reason: "dropped events: 12 drops",
		},
		{
			name: "drops, and the alert came all the same", sentinel: true,
			during: func(r run) {
				r.src.alert(&alert.Alert{Rule: "Falco internal: syscall event drop", Output: "12 drops"})
				r.src.alert(envAlert(id))
			},
			want: Detected, strength: correlate.Environment, alerts: 1,
		},
		{
			name: "the connection broke", sentinel: true,
			during: func(r run) {
				r.src.emit(outputs.Event{Kind: outputs.Disconnected, Err: errors.New("reset")})
				r.src.emit(outputs.Event{Kind: outputs.Connected})
			},
			want: Inconclusive, reason: "reset",
		},
		{
			name: "the Falco ended", sentinel: true, silent: true,
			during: func(r run) {
				r.src.emit(outputs.Event{Kind: outputs.Gone, Err: errors.New("falco died")})
			},
			want: Inconclusive, reason: "falco died",
		},
		{
			name: "the sentinel stays out", sentinel: true, silent: true,
			want: Inconclusive, reason: "did not come",
		},
		{
			name: "by time, alone", e: Expectation{Alone: true},
			during: func(r run) { r.src.alert(timeAlert()) },
			want:   Detected, strength: correlate.Time, alerts: 1,
		},
		{
			name: "by time, among others", sentinel: true,
			during: func(r run) { r.src.alert(timeAlert()) },
			want:   Inconclusive, alone: true, reason: "cannot be told from",
		},
		{
			name: "by time, from another host", e: Expectation{Alone: true}, sentinel: true,
			during: func(r run) {
				a := timeAlert()
				a.Hostname = "elsewhere"
				r.src.alert(a)
			},
			want: Missed,
		},
		{
			name: "by time, an hour old", e: Expectation{Alone: true}, sentinel: true,
			during: func(r run) {
				a := timeAlert()
				a.Time = a.Time.Add(-time.Hour)
				r.src.alert(a)
			},
			want: Missed,
		},
		{
			name: "correlated too weakly", e: Expectation{Alone: true}, min: correlate.Text, sentinel: true,
			during: func(r run) { r.src.alert(timeAlert()) },
			want:   Inconclusive, strength: correlate.Time, alerts: 1, reason: "by time only; text is required",
		},
		{
			name: "by pid", sentinel: true,
			during: func(r run) {
				a := timeAlert()
				a.Fields = map[string]any{"proc.sid": float64(4242)}
				r.src.alert(a)
			},
			want: Detected, strength: correlate.Process, alerts: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := &fakeSource{}
			opts := Options{Hostnames: []string{"here"}, Min: tt.min, Grace: -1, Timeout: 50 * time.Millisecond}
			if tt.sentinel {
				opts.Timeout = time.Minute
				if tt.silent && tt.want == Inconclusive {
					opts.Timeout = 50 * time.Millisecond
				}
				opts.Sentinels = map[string]Sentinel{"syscall": {Trigger: func(_ context.Context, nonce string) error {
					if !tt.silent {
						src.alert(SentinelAlert(nonce, "here"))
					}
					return nil
				}}}
			}
			j := New(src, opts)
			e := tt.e
			e.ID = id
			e.Rules = is(rule)
			p := j.Expect(e)
			p.Started(4242)
			if tt.during != nil {
				tt.during(run{src, p})
			}
			p.Ended()
			v, err := p.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := []any{v.Outcome, v.Expected.Strength, len(v.Alerts), v.RunAlone}
			want := []any{tt.want, tt.strength, tt.alerts, tt.alone}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outcome, strength, alerts, alone (-want +got):\n%s%+v", diff, v)
			}
			if !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("reason %q, want one with %q", v.Reason, tt.reason)
			}
			if src.pending != 0 {
				t.Errorf("%d actions are still told to be pending", src.pending)
			}
		})
	}
}

func TestLateAlertIsNobodys(t *testing.T) {
	src := &fakeSource{}
	j := New(src, Options{Hostnames: []string{"here"}, Timeout: time.Millisecond})
	p := j.Expect(Expectation{ID: id, Rules: is(rule)})
	p.Started(1234)
	p.Ended()
	if v, err := p.Wait(t.Context()); err != nil || v.Outcome != Missed {
		t.Fatalf("got %+v, %v; want missed", v, err)
	}
	again := j.Expect(Expectation{ID: otherID, Rules: is(rule), Alone: true})
	again.Started(1235)
	src.alert(envAlert(id)) // of the first run
	again.Ended()
	v, err := again.Wait(t.Context())
	if err != nil || v.Outcome != Missed || len(v.Alerts) != 0 {
		t.Errorf("got %+v, %v; want missed without alerts", v, err)
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	src := &fakeSource{}
	j := New(src, Options{})
	p := j.Expect(Expectation{ID: id})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if src.pending != 0 {
		t.Errorf("%d pending", src.pending)
	}
}

func TestReady(t *testing.T) {
	src := &fakeSource{}
	tries := 0
	j := New(src, Options{Sentinels: map[string]Sentinel{"syscall": {Trigger: func(_ context.Context, nonce string) error {
		// A Falco that is not ready yet judges nothing.
		if tries++; tries == 3 {
			src.alert(SentinelAlert(nonce, "x"))
		}
		return nil
	}}}})
	if err := j.Ready(t.Context(), "syscall"); err != nil || tries != 3 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	tries = 10
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Ready(ctx, "syscall"); err == nil || !strings.Contains(err.Error(), "Falcotest Sentinel") {
		t.Errorf("got %v, want an error that names the rule", err)
	}
}

func TestAdvice(t *testing.T) {
	src := &fakeSource{}
	j := New(src, Options{})
	if got := j.Advice(); got != "" {
		t.Errorf("advice before any alert: %s", got)
	}
	src.alert(&alert.Alert{Rule: rule, Source: "syscall"})
	if got := j.Advice(); !strings.Contains(got, `- "proc.aenv[FALCOTEST_ID]"`) {
		t.Errorf("advice: %s", got)
	}
	src.alert(envAlert(id))
	if got := j.Advice(); got != "" {
		t.Errorf("advice to one that needs none: %s", got)
	}
	p := j.Expect(Expectation{ID: id, Source: "k8s_audit", Rules: is(rule)})
	defer p.Cancel()
	src.alert(auditAlert(rule, id, 49*time.Second))
	if got := j.Advice(); !strings.Contains(got, "came up to 49s late; ") || !strings.Contains(got, "useAsync: false") {
		t.Errorf("advice to a slow one: %s", got)
	}
}

// TestUntimely has an alert of the rule that is of the start of the action's
// process.
func TestUntimely(t *testing.T) {
	begin := time.Now()
	for _, tt := range []struct {
		name     string
		sentinel time.Duration // by how much its alert's time is off; 0 for no sentinel
		at       time.Duration // of the alert, from the begin
		want     Outcome
		reason   string
	}{
		{"clocks agree", 1, -50 * time.Millisecond, Missed, "50ms before the action began, when its process was made ready"},
		{"clocks agree, in time", 1, time.Millisecond, Detected, ""},
		{"clocks differ", -time.Hour, -time.Hour, Detected, ""},
		{"clocks differ, the start", -time.Hour, -time.Hour - time.Second, Missed, "s before the action began"}, // as exactly as the sentinel's time told the difference
		{"no sentinel", 0, -50 * time.Millisecond, Inconclusive, "unless the Falco's clock differs from this host's"},
		{"no sentinel, the end", 0, 150 * time.Millisecond, Inconclusive, "50ms after the action had ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &fakeSource{}
			opts := Options{Hostnames: []string{"here"}, Grace: -1, Timeout: 50 * time.Millisecond}
			if tt.sentinel != 0 {
				opts.Sentinels = map[string]Sentinel{"syscall": {Trigger: func(_ context.Context, nonce string) error {
					a := SentinelAlert(nonce, "here")
					a.Time = a.Time.Add(tt.sentinel)
					src.alert(a)
					return nil
				}}}
			}
			j := New(src, opts)
			if err := j.Ready(t.Context(), "syscall"); err != nil {
				t.Fatal(err)
			}
			p := j.Expect(Expectation{ID: id, Rules: is(rule)})
			p.Started(4242)
			a := envAlert(id)
			a.Hostname, a.Source, a.Time = "here", "syscall", begin.Add(tt.at)
			src.alert(a)
			p.Ran(begin, begin.Add(100*time.Millisecond), nil)
			p.Ended()
			v, err := p.Wait(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v.Outcome != tt.want || !strings.Contains(v.Reason, tt.reason) {
				t.Errorf("%v: %s; want %v: %s", v.Outcome, v.Reason, tt.want, tt.reason)
			}
		})
	}
}
