// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/source"
)

// auditAlert is of an event of that age.
func auditAlert(rule, text string, age time.Duration) *alert.Alert {
	return &alert.Alert{
		Time: time.Now().Add(-age), Rule: rule, Source: "k8s_audit", Output: text,
		Fields: map[string]any{"ka.target.name": text},
	}
}

// auditSentinel is the alert of the sentinel rule for audit events.
func auditSentinel(nonce string) *alert.Alert {
	uri := "/api/v1/namespaces/default/configmaps/" + source.SentinelName + nonce
	return &alert.Alert{
		Time: time.Now(), Rule: "Falcotest Audit Sentinel", Source: "k8s_audit",
		Output: "falcotest sentinel (uri=" + uri + ")", Fields: map[string]any{"ka.uri": uri},
	}
}

// What a wait for audit alerts comes to, and after how long, on a clock of the
// test's own. The time to wait is 10 s.
func TestBehind(t *testing.T) {
	type falco struct {
		*fakeSource
		nonces []string
	}
	tests := []struct {
		name     string
		sentinel Sentinel // without its Trigger
		unsure   bool
		falco    func(f *falco)               // what it does once the action has ended
		answer   func(f *falco, nonce string) // what it does about a sentinel
		want     Outcome
		certain  bool
		after    time.Duration
		triggers int
		reason   string
	}{
		{
			name:   "the sentinel is answered",
			answer: func(f *falco, nonce string) { f.alert(auditSentinel(nonce)) },
			want:   Missed, certain: true, after: 0, triggers: 1, reason: "has been judged",
		},
		{
			name: "a delayed sentinel is not needed", sentinel: Sentinel{Delay: time.Second},
			falco: func(f *falco) { time.Sleep(300 * time.Millisecond); f.alert(auditAlert(rule, id, 0)) },
			want:  Detected, certain: true, after: 300 * time.Millisecond, triggers: 0, reason: "correlated by text",
		},
		{
			name: "a delayed sentinel is answered", sentinel: Sentinel{Delay: time.Second},
			answer: func(f *falco, nonce string) { f.alert(auditSentinel(nonce)) },
			want:   Missed, certain: true, after: time.Second, triggers: 1, reason: "has been judged",
		},
		{
			name: "a lossless sentinel is not repeated", sentinel: Sentinel{Lossless: true},
			want: Inconclusive, after: 10 * time.Second, triggers: 1, reason: `"Falcotest Audit Sentinel", did not come within 10s`,
		},
		{
			name: "others are, ever less often", // at 0, 0.25, 0.75, 1.75, 3.75, 7.75 s
			want: Inconclusive, after: 10 * time.Second, triggers: 6, reason: "did not come within 10s",
		},
		{
			name: "a Falco that may not have its rule", unsure: true, sentinel: Sentinel{Lossless: true},
			want: Missed, after: 10 * time.Second, triggers: 1, reason: "no alert of the rule came within 10s",
		},
		{
			name: "a Falco that turned out to have it", unsure: true, sentinel: Sentinel{Lossless: true},
			falco: func(f *falco) { f.alert(auditSentinel(f.nonces[0])) },
			want:  Missed, certain: true, triggers: 1, reason: "has been judged",
		},
		{
			name: "alerts on older events extend the wait", unsure: true, sentinel: Sentinel{Lossless: true},
			falco: func(f *falco) {
				for range 3 {
					time.Sleep(8 * time.Second)
					f.alert(auditAlert("Another", "x", 30*time.Second))
				}
				time.Sleep(8 * time.Second)
				f.alert(auditAlert(rule, id, 33*time.Second))
			},
			want: Detected, certain: true, after: 32 * time.Second, triggers: 1,
		},
		{
			name: "but not those on newer ones", unsure: true, sentinel: Sentinel{Lossless: true},
			falco: func(f *falco) {
				time.Sleep(8 * time.Second)
				f.alert(auditAlert("Another", "x", time.Second))
			},
			want: Missed, after: 10 * time.Second, triggers: 1, reason: "within 10s",
		},
		{
			name: "nor those of another source", unsure: true, sentinel: Sentinel{Lossless: true},
			falco: func(f *falco) {
				time.Sleep(8 * time.Second)
				a := auditAlert("Another", "x", 30*time.Second)
				a.Source = "syscall"
				f.alert(a)
			},
			want: Missed, after: 10 * time.Second, triggers: 1,
		},
		{
			name: "a Falco that has caught up", unsure: true, sentinel: Sentinel{Lossless: true},
			falco: func(f *falco) {
				time.Sleep(8 * time.Second)
				f.alert(auditAlert("Another", "x", 30*time.Second))
			},
			want: Missed, after: 18 * time.Second, triggers: 1,
		},
		{
			name: "one that never does", unsure: true, sentinel: Sentinel{Lossless: true},
			falco: func(f *falco) {
				for range 12 {
					time.Sleep(5 * time.Second)
					f.alert(auditAlert("Another", "x", 70*time.Second))
				}
			},
			want: Inconclusive, after: time.Minute, triggers: 1, reason: "the judge is behind: its last alert came 1m10s after its event",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &falco{fakeSource: &fakeSource{}}
				sentinel := tt.sentinel
				sentinel.Trigger = func(_ context.Context, nonce string) error {
					f.nonces = append(f.nonces, nonce)
					if tt.answer != nil {
						tt.answer(f, nonce)
					}
					return nil
				}
				j := New(f, Options{Unsure: tt.unsure, Grace: -1, Sentinels: map[string]Sentinel{"k8s_audit": sentinel}})
				p := j.Expect(Expectation{ID: id, Source: "k8s_audit", Rules: is(rule)})
				p.Started()
				p.Ended()
				start := time.Now()
				if tt.falco != nil {
					go func() {
						synctest.Wait() // until the wait has begun
						tt.falco(f)
					}()
				}
				v, err := p.Wait(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if v.Outcome != tt.want || v.Certain != tt.certain || !strings.Contains(v.Reason, tt.reason) {
					t.Errorf("got %s (certain: %v): %s; want %s (certain: %v): …%s…", v.Outcome, v.Certain, v.Reason, tt.want, tt.certain, tt.reason)
				}
				if got := time.Since(start); got != tt.after {
					t.Errorf("after %v, want %v", got, tt.after)
				}
				if len(f.nonces) != tt.triggers {
					t.Errorf("the sentinel was triggered %d times, want %d", len(f.nonces), tt.triggers)
				}
			})
		})
	}
}

// A sentinel that was answered once is one that must always be.
func TestUnsureNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{}
		answered := false
		j := New(src, Options{Unsure: true, Grace: -1, Sentinels: map[string]Sentinel{"k8s_audit": {
			Lossless: true,
			Trigger: func(_ context.Context, nonce string) error {
				if !answered {
					answered = true
					src.alert(auditSentinel(nonce))
				}
				return nil
			},
		}}})
		for _, want := range []Outcome{Missed, Inconclusive} {
			p := j.Expect(Expectation{ID: id, Source: "k8s_audit", Rules: is(rule)})
			p.Started()
			p.Ended()
			if v, err := p.Wait(t.Context()); err != nil || v.Outcome != want {
				t.Errorf("got %s (%s), %v; want %s", v.Outcome, v.Reason, err, want)
			}
		}
	})
}
