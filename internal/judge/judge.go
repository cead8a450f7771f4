// SPDX-License-Identifier: Apache-2.0

// Package judge decides what became of the rules that actions should trigger.
//
// A [Judge] reads a subscription for as long as it lives. An action is announced
// by [Judge.Expect], and from then on each alert is attributed to one pending
// action or to none. [Pending.Wait] decides: detected, when an expected rule's
// alert is the action's own; missed, when it is certain that none will come, for
// alerts arrive in the order of their events and that of the sentinel, which was
// triggered after the action, has arrived; inconclusive, when alerts may have
// been lost.
//
// The package imports internal/outputs and internal/correlate, and knows no
// actions: items enter from the subscription, verdicts leave.
package judge

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/outputs"
)

// SentinelRule is the name of the rule that a sentinel triggers. It is loaded
// beside the rules under test where those are ours to load.
const SentinelRule = "falcotest sentinel"

// DropRule is the rule of the alert by which Falco says that it lost events.
const DropRule = "Falco internal: syscall event drop"

// Judge attributes alerts to pending actions. Its methods are safe for
// concurrent use.
type Judge struct {
	sub     *outputs.Subscription
	minimum correlate.Strength
	done    chan struct{}

	mu      sync.Mutex
	pending map[*Pending]struct{}
	foreign int // alerts that were nobody's
}

// New starts to judge by a subscription, which it closes in the end. Alerts
// correlated more weakly than minimum do not count.
func New(sub *outputs.Subscription, minimum correlate.Strength) *Judge {
	j := &Judge{sub: sub, minimum: max(minimum, correlate.Time), done: make(chan struct{}), pending: make(map[*Pending]struct{})}
	go j.read()
	return j
}

// Close closes the subscription.
func (j *Judge) Close() error {
	err := j.sub.Close()
	<-j.done
	return err
}

func (j *Judge) read() {
	defer close(j.done)
	for item := range j.sub.Items() {
		if item.Gap != nil {
			j.lost(item.Gap.Error())
			continue
		}
		j.attribute(item.Alert, item.At)
	}
}

// lost makes all pending actions inconclusive that have no verdict yet.
func (j *Judge) lost(why string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for p := range j.pending {
		if p.lost == "" {
			p.lost = why
		}
		p.signal()
	}
}

// Lost says that the judge may have lost alerts, for a reason that the
// subscription does not know: its process ended, say.
func (j *Judge) Lost(why string) { j.lost(why) }

func (j *Judge) attribute(a *alert.Alert, at time.Time) {
	if a.Rule == DropRule {
		j.lost("Falco lost events: " + a.Output)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var (
		best     *Pending
		strength correlate.Strength
		tied     bool
	)
	for p := range j.pending {
		if a.Rule == SentinelRule {
			if p.sentinel != "" && strings.Contains(text(a), p.sentinel) {
				p.passed = true
				p.signal()
				return
			}
			continue
		}
		switch s := correlate.Of(a, &p.run); {
		case s > strength:
			best, strength, tied = p, s, false
		case s == strength && s > correlate.None:
			tied = true
		}
	}
	if best == nil || tied || a.Rule == SentinelRule {
		j.foreign++
		return
	}
	best.got(a, at, strength, j.minimum)
	best.signal()
}

// text is all of an alert in which a nonce can stand.
func text(a *alert.Alert) string {
	var b strings.Builder
	b.WriteString(a.Output)
	for _, v := range a.Fields {
		if s, ok := v.(string); ok {
			b.WriteByte(' ')
			b.WriteString(s)
		}
	}
	return b.String()
}

// Expectation announces one run of an action.
type Expectation struct {
	ID      string
	Matches func(rule string) bool // whether a rule is the expected one
	Host    string                 // to compare alerts' hosts with; "" not to
	// Sentinel is the nonce of the sentinel that will be triggered after the
	// action; "" when there is none.
	Sentinel string
}

// Pending is a run whose verdict is awaited.
type Pending struct {
	j        *Judge
	run      correlate.Run
	sentinel string
	wake     chan struct{}

	// Guarded by j.mu.
	passed   bool // the sentinel's alert has come
	lost     string
	alerts   []*alert.Alert
	detected *Detection
	weak     *Detection // of the expected rule, but too weakly correlated
}

// Detection is an alert of the expected rule.
type Detection struct {
	Alert    *alert.Alert
	At       time.Time
	Strength correlate.Strength
}

// Expect announces a run that is about to start. Call Wait or Drop in the end.
func (j *Judge) Expect(e Expectation) *Pending {
	p := &Pending{j: j, sentinel: e.Sentinel, wake: make(chan struct{}, 1),
		run: correlate.Run{ID: e.ID, Matches: e.Matches, Host: e.Host, Started: time.Now()}}
	j.mu.Lock()
	j.pending[p] = struct{}{}
	j.mu.Unlock()
	j.sub.Pending(+1)
	return p
}

// Drop forgets the run.
func (p *Pending) Drop() {
	p.j.mu.Lock()
	_, was := p.j.pending[p]
	delete(p.j.pending, p)
	p.j.mu.Unlock()
	if was {
		p.j.sub.Pending(-1)
	}
}

// Process says that a process belongs to the run.
func (p *Pending) Process(pids ...int) {
	p.j.mu.Lock()
	defer p.j.mu.Unlock()
	if p.run.PIDs == nil {
		p.run.PIDs = make(map[int]bool)
	}
	for _, pid := range pids {
		p.run.PIDs[pid] = true
	}
}

// Ended says that the run has ended.
func (p *Pending) Ended() {
	p.j.mu.Lock()
	defer p.j.mu.Unlock()
	p.run.Ended = time.Now()
}

// Verdict is what a judge says of one run.
type Verdict struct {
	Detection *Detection     // nil unless detected
	Lost      string         // why nothing can be said; "" when something can
	TooWeak   *Detection     // an alert that would have been one, correlated better
	Certain   bool           // a miss is certain: the sentinel's alert has come
	Alerts    []*alert.Alert // all that are the run's
}

// Wait returns the verdict: at once when it is certain, and after the timeout
// in any case. With a sentinel, it waits for its alert also when the expected
// one has come, to have all of the run's alerts.
func (p *Pending) Wait(ctx context.Context, timeout time.Duration) Verdict {
	defer p.Drop()
	t := time.NewTimer(timeout)
	defer t.Stop()
	for {
		p.j.mu.Lock()
		v := Verdict{Detection: p.detected, TooWeak: p.weak, Certain: p.passed, Alerts: append([]*alert.Alert(nil), p.alerts...)}
		settled := p.passed || p.lost != "" || p.detected != nil && p.sentinel == ""
		if p.detected == nil {
			v.Lost = p.lost
		}
		p.j.mu.Unlock()
		if settled {
			return v
		}
		select {
		case <-p.wake:
		case <-t.C:
			if v.Detection == nil && p.sentinel != "" {
				v.Lost = fmt.Sprintf("the sentinel, triggered after the action, raised no alert within %s", timeout)
			}
			return v
		case <-ctx.Done():
			if v.Detection == nil {
				v.Lost = fmt.Sprintf("the run was ended: %v", context.Cause(ctx))
			}
			return v
		}
	}
}

func (p *Pending) got(a *alert.Alert, at time.Time, s, minimum correlate.Strength) {
	p.alerts = append(p.alerts, a)
	if p.run.Matches == nil || !p.run.Matches(a.Rule) {
		return
	}
	d := &Detection{Alert: a, At: at, Strength: s}
	switch {
	case s < minimum:
		if p.weak == nil {
			p.weak = d
		}
	case p.detected == nil || s > p.detected.Strength:
		p.detected = d
	}
}

func (p *Pending) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
