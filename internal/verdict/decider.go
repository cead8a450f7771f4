// SPDX-License-Identifier: Apache-2.0

// Package verdict decides what became of an action: detected, missed, or
// inconclusive, from the alerts and the health of one subscription.
//
// It is told what is expected ([Decider.Expect]), when the action starts and ends
// ([Pending.Started], [Pending.Ended]), and answers with a [Verdict]
// ([Pending.Wait]). Alerts enter by the subscription's handler; internal/correlate
// attributes them. The package starts no action and no Falco, and knows no
// tests.
package verdict

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/outputs"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Source is the subscription that a [Decider] listens to; see
// [outputs.Subscription].
type Source interface {
	Handle(func(outputs.Event))
	Pending(delta int)
}

// Options change how a [Decider] decides. All have defaults.
type Options struct {
	// Hostnames are the names that the Falco may give this machine. Default:
	// the system's host name.
	Hostnames []string
	// Min is the weakest correlation that counts as detected. Default: time.
	Min correlate.Strength
	// Timeout bounds the wait after an action has ended. Default: 10 s.
	Timeout time.Duration
	// Sentinels end the wait sooner, by the name of the source of the expected
	// alerts. Default: none.
	Sentinels map[string]Sentinel
	// Unsure says that the Falco's rules are not known, so that it may not have
	// those of the sentinels. Until the first alert of one has come, that none
	// comes means nothing.
	Unsure bool
	// Grace is how long to wait after the sentinel's alert for one that it
	// overtook. Default: 20 ms; negative: not at all.
	Grace time.Duration
	// ClockSlack is how far the time of a system call of this host may be off
	// the times that the action's own process told. It must be less than what
	// child.Setup.Guard is. Default: [ClockSlack], since a Falco reads the same
	// kernel's clock. If the clock was set anew since, the sentinel tells by how
	// much the two differ. For other hosts and sources it is
	// [correlate.Elsewhere].
	ClockSlack time.Duration
	// NoPIDs says that pids in alerts are numbered by another pid namespace
	// than this process's.
	NoPIDs bool
}

// resend is when a sentinel is tried again, since its event may be among those
// that a Falco dropped. Each further time is twice as long, so that a Falco that
// is behind does not get more to do.
const resend = 250 * time.Millisecond

// ClockSlack is the default of [Options.ClockSlack].
const ClockSlack = time.Millisecond

// Decider attributes the alerts of one subscription to actions. Its methods are
// safe for concurrent use.
type Decider struct {
	src  Source
	opts Options

	mu        sync.Mutex
	set       *correlate.Set
	pending   map[*correlate.Action]*Pending
	sentinels map[string]*sent
	answered  map[string]bool // the sources whose sentinel was answered once

	clockKnown bool // it was compared with this host's

	broken error // why there is no connection now
	gone   error // why there never will be one again
	counts Counts

	reached map[string]time.Time // by source: when the latest event was that an alert told of

	inexact *source.Source // of the latest alert that does not name its action
	lag     time.Duration  // how long the latest of the attributed alerts came after its event
	late    *source.Source // of that alert
}

// Counts says what a [Decider] has seen.
type Counts struct {
	Alerts     int // received, without sentinels
	Attributed int // to an action
	Foreign    int // to none
	Exact      int // that print the action's ID, of sources that have fields for it
	Inexact    int // that do not
	Losses     int // events that tell of a loss
	Here       int // of this host, by their hostname or since they are an action's
	// Elsewhere are names of other hosts that alerts came of, the first few.
	Elsewhere []string
}

// New returns a judge that listens to the subscription from now on.
func New(src Source, opts Options) *Decider {
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	if opts.Min == correlate.None {
		opts.Min = correlate.Time
	}
	if opts.Grace == 0 {
		opts.Grace = 20 * time.Millisecond
	}
	if opts.ClockSlack == 0 {
		opts.ClockSlack = ClockSlack
	}
	if len(opts.Hostnames) == 0 {
		if name, err := os.Hostname(); err == nil {
			opts.Hostnames = []string{name}
		}
	}
	d := &Decider{
		src:       src,
		opts:      opts,
		set:       correlate.NewSet(opts.ClockSlack, opts.Hostnames...),
		pending:   map[*correlate.Action]*Pending{},
		sentinels: map[string]*sent{},
		answered:  map[string]bool{},
		reached:   map[string]time.Time{},
	}
	src.Handle(d.handle)
	return d
}

// Answers tells whether an alert came of a sentinel's.
func (d *Decider) Answers() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.answered) > 0
}

// handle takes what the subscription delivers, in order.
func (d *Decider) handle(ev outputs.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch ev.Kind {
	case outputs.Received:
		d.receive(ev.Alert, ev.At)
	case outputs.Connected:
		d.broken = nil
	case outputs.Disconnected:
		d.broken = ev.Err
		d.lose(ev.Err)
	case outputs.Lost:
		d.lose(ev.Err)
	case outputs.Gone:
		d.broken, d.gone = ev.Err, ev.Err
		d.lose(ev.Err)
	}
}

func (d *Decider) receive(a *alert.Alert, at time.Time) {
	if nonce := nonceOf(a); nonce != "" {
		if s, ok := d.sentinels[nonce]; ok {
			d.answered[a.Source] = true
			if s.done.IsZero() || at.Before(s.done) {
				s.done = at
			}
			d.compareClocks(a, s)
			close(s.came)
			delete(d.sentinels, nonce)
		}
		return
	}
	if source.IsSentinel(a.Rule) {
		return // another run's, or one that cannot be read
	}
	d.counts.Alerts++
	if d.set.Hosts[a.Hostname] {
		d.counts.Here++
	} else if len(d.counts.Elsewhere) < 5 && !slices.Contains(d.counts.Elsewhere, a.Hostname) {
		d.counts.Elsewhere = append(slices.Clip(d.counts.Elsewhere), a.Hostname)
	}
	if reason := dropped(a); reason != "" {
		d.lose(errors.New(reason))
		return
	}
	// Of whatever host: a Falco in a container calls itself by that one's name.
	if event := a.Time.Add(-d.set.Skew); event.After(d.reached[a.Source]) {
		d.reached[a.Source] = event
	}
	for _, p := range d.pending {
		p.late(a, at)
	}
	src := source.ByName(a.Source)
	if src != nil && len(src.ID) > 0 {
		if _, ok := a.Fields[src.ID[0]]; ok {
			d.counts.Exact++
		} else {
			d.counts.Inexact++
			d.inexact = src
		}
	}
	m := d.set.Attribute(a)
	if m.Untimely != nil {
		p := d.pending[m.Untimely]
		p.untimely = append(p.untimely, Attributed{Alert: a, Strength: m.Strength, At: at})
	}
	if m.Action == nil {
		d.counts.Foreign++
		for _, act := range m.Possible {
			p := d.pending[act]
			p.possible = append(p.possible, a)
			p.signal()
		}
		return
	}
	d.counts.Attributed++
	if src != nil && src.Late != "" && at.Sub(a.Time) > d.lag {
		d.lag, d.late = at.Sub(a.Time), src
	}
	p := d.pending[m.Action]
	// Retries of the HTTP output and an adverse network repeat alerts.
	key := a.Time.String() + "\x00" + a.Rule + "\x00" + a.Output
	if p.seen[key] {
		return
	}
	p.seen[key] = true
	p.alerts = append(p.alerts, Attributed{Alert: a, Strength: m.Strength, At: at})
	p.signal()
}

// dropped tells whether an alert says that the Falco lost events.
func dropped(a *alert.Alert) string {
	name, ok := strings.CutPrefix(a.Rule, "Falco internal: ")
	if !ok || !strings.Contains(name, "drop") {
		return ""
	}
	return "the Falco reported that it dropped events: " + a.Output
}

// lose notes a loss for all actions that run.
func (d *Decider) lose(err error) {
	d.counts.Losses++
	for _, p := range d.pending {
		if p.started {
			p.losses = append(p.losses, err)
			p.signal()
		}
	}
}

// Counts returns what has been seen so far.
func (d *Decider) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts
}

// slow is how late alerts may come before something is amiss. They take some
// milliseconds.
const slow = 5 * time.Second

// Advice says what to add to the Falco's configuration so that alerts can be
// attributed exactly, or come sooner, or "" when that is so already or nothing
// is known yet.
func (d *Decider) Advice() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var advice []string
	if d.counts.Inexact > 0 && d.counts.Exact == 0 {
		advice = append(advice, "this Falco's alerts do not name the action that caused them; for exact correlation add to its configuration:\n\n"+correlate.AppendOutput(d.inexact))
	}
	if d.lag > slow {
		advice = append(advice, fmt.Sprintf(d.late.Late, d.lag.Round(100*time.Millisecond)))
	}
	return strings.Join(advice, "\n")
}

// Ready makes sure that alerts arrive at all: it triggers the sentinel of a
// source until its alert comes, or the context ends. Without a sentinel for
// the source it does nothing.
func (d *Decider) Ready(ctx context.Context, src string) error {
	trigger := d.opts.Sentinels[src].Trigger
	if trigger == nil {
		return nil
	}
	d.src.Pending(1)
	defer d.src.Pending(-1)
	nonce, came := d.listen()
	defer d.unlisten(nonce)
	const again = 50 * time.Millisecond
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		if err := d.trigger(ctx, trigger, nonce); err != nil {
			return fmt.Errorf("checking that alerts arrive: %w", err)
		}
		select {
		case <-came:
			return nil
		case <-tick.C:
			d.mu.Lock()
			gone := d.gone
			d.mu.Unlock()
			if gone != nil {
				return fmt.Errorf("checking that alerts arrive: %w", gone)
			}
		case <-ctx.Done():
			return fmt.Errorf("checking that alerts arrive: none came for the rule %q, which fires for each open of %s*: is the rule loaded, and the output enabled? %w",
				ruleOf(src), sentinelPath, ctx.Err())
		}
	}
}

// sent is a sentinel whose alert is to come.
type sent struct {
	at   time.Time // when it was triggered first
	done time.Time // when it was triggered last
	came chan struct{}
}

// trigger triggers a sentinel.
func (d *Decider) trigger(ctx context.Context, trigger func(context.Context, string) error, nonce string) error {
	err := trigger(ctx, nonce)
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.sentinels[nonce]; s != nil {
		s.done = time.Now()
	}
	return err
}

// compareClocks compares the clock of the Falco with this host's by a sentinel's
// alert: its event was while the sentinel was triggered. The caller holds the
// lock.
func (d *Decider) compareClocks(a *alert.Alert, s *sent) {
	if !local(a) || a.Time.IsZero() || !d.set.Hosts[a.Hostname] {
		return
	}
	d.clockKnown = true
	d.set.Skew, d.set.Slack = 0, d.opts.ClockSlack
	switch {
	case a.Time.Before(s.at):
		d.set.Skew = a.Time.Sub(s.at)
	case a.Time.After(s.done):
		d.set.Skew = a.Time.Sub(s.done)
	}
	if d.set.Skew != 0 {
		d.set.Slack = max(d.opts.ClockSlack, s.done.Sub(s.at)) // it is known no better
	}
}

func (d *Decider) listen() (nonce string, came <-chan struct{}) {
	c := make(chan struct{})
	nonce = newNonce()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sentinels[nonce] = &sent{at: time.Now(), came: c}
	return nonce, c
}

func (d *Decider) unlisten(nonce string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sentinels, nonce)
}
