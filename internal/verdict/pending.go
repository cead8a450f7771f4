// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Expectation says what an action should cause.
type Expectation struct {
	// ID is the action's, one of its own for each time it runs.
	ID string
	// Source is the source of the expected alerts; its sentinel ends the wait.
	// Default: [source.Default].
	Source string
	// Rules says which rules are expected. Nil expects none: the verdict is
	// then never detected, and holds all alerts.
	Rules func(rule string) bool
	// Alert says which of their alerts counts. Nil takes each.
	Alert func(*alert.Alert) bool
	// Alone says that no other action runs at the same time, so that an alert
	// may be attributed by its time. Without it, an alert that could be
	// attributed only so makes the verdict ask for a run alone.
	Alone bool
	// All waits for all alerts of the action, and not just for the expected
	// one.
	All bool
	// Enough tells, of the alerts that have come, whether an expected one among
	// them ends the wait before all have. Nil: it does.
	Enough func(alerts []Attributed) bool
}

// Outcome is the kind of a [Verdict].
type Outcome int

// The outcomes.
const (
	// Detected: an alert of an expected rule was attributed to the action.
	Detected Outcome = iota + 1
	// Missed: none was, and none is coming.
	Missed
	// Inconclusive: nothing can be said, because alerts may have been lost or
	// cannot be told apart.
	Inconclusive
)

var outcomes = [...]string{"none", "detected", "missed", "inconclusive"}

// String returns the outcome's name, e.g. "missed".
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomes) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomes[o]
}

// Attributed is an alert of the action.
type Attributed struct {
	Alert    *alert.Alert
	Strength correlate.Strength
	At       time.Time // of its arrival
}

// Verdict is what became of an action.
type Verdict struct {
	Outcome Outcome
	// Expected is the first alert of an expected rule, of the surest kind.
	Expected Attributed
	// Latency is the time from the action's start to the arrival of Expected.
	Latency time.Duration
	// Alerts are all that were attributed to the action, of whatever rule, in
	// the order of their arrival, without repetitions.
	Alerts []Attributed
	// Possible are alerts of expected rules that may be the action's, though
	// that cannot be told, because others ran too.
	Possible []*alert.Alert
	// RunAlone says that another run, with no other action at the same time,
	// would tell more.
	RunAlone bool
	// Reason says in one line how it was decided, or why it could not be.
	Reason string
	// Certain says that a miss is no matter of time: everything that the action
	// did has been judged.
	Certain bool
	// Reached says that an alert has come of an event after the action's end. A
	// judge of whom none came, and no certainty, may stand still.
	Reached bool
}

// Pending is an action whose verdict is to come.
type Pending struct {
	d       *Decider
	e       Expectation
	act     *correlate.Action
	changed chan struct{} // holds a token when there is news

	// guarded by d.mu
	started  bool
	finished bool
	ended    chan struct{}
	isEnded  bool
	alerts   []Attributed
	untimely []Attributed // but for their times
	possible []*alert.Alert
	seen     map[string]bool
	losses   []error
	behind   time.Time     // when the judge was last seen to be; see late
	lag      time.Duration // by how much it was
}

// late notes that an alert came, after the action's end, of an event from before
// it: the action's own may be still to come. What happened on another host says
// nothing where the times are the kernel's. The caller holds the lock.
func (p *Pending) late(a *alert.Alert, at time.Time) {
	if a.Source != p.e.Source || a.Time.IsZero() || local(a) && !slices.Contains(p.d.opts.Hostnames, a.Hostname) {
		return
	}
	if p.isEnded && a.Time.Before(p.act.End) {
		p.behind, p.lag = at, at.Sub(a.Time)
	}
}

// Expect announces an action before it starts. Each must be ended by
// [Pending.Wait] or [Pending.Cancel].
func (d *Decider) Expect(e Expectation) *Pending {
	if e.Source == "" {
		e.Source = source.Default
	}
	p := &Pending{
		d:       d,
		e:       e,
		act:     &correlate.Action{ID: e.ID, Rules: e.Rules, Alone: e.Alone},
		changed: make(chan struct{}, 1),
		ended:   make(chan struct{}),
		seen:    map[string]bool{},
	}
	d.src.Pending(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set.Add(p.act)
	d.pending[p.act] = p
	return p
}

// signal tells Wait that there is news. The caller holds the lock.
func (p *Pending) signal() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Started tells that the action starts now, with the processes of its tree
// that are known already. Call it before the action can do anything.
func (p *Pending) Started(pids ...int) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	p.started = true
	p.act.Start = time.Now()
	if p.d.broken != nil {
		p.losses = append(p.losses, p.d.broken)
	}
	p.addPIDs(pids)
}

// AddPIDs adds processes of the action's tree. The first, whose session the
// others are in, is mostly enough.
func (p *Pending) AddPIDs(pids ...int) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	p.addPIDs(pids)
}

func (p *Pending) addPIDs(pids []int) {
	if !p.d.opts.NoPIDs {
		p.act.PIDs = append(p.act.PIDs, pids...)
	}
}

// Ran tells when the action ran, by the clock of its own kernel: from its begin
// to the end of its tree; and when its processes of the framework's program did
// so. Until then, it is taken to run from Started on. Call it before Ended.
func (p *Pending) Ran(start, end time.Time, processes []correlate.OwnProcess) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	p.act.Start, p.act.End, p.act.Processes = start, end, processes
	all := append(p.alerts, p.untimely...)
	slices.SortStableFunc(all, func(a, b Attributed) int { return a.At.Compare(b.At) })
	p.alerts, p.untimely = nil, nil
	for _, a := range all {
		if p.d.set.Timely(a.Alert, p.act) {
			p.alerts = append(p.alerts, a)
		} else {
			p.untimely = append(p.untimely, a)
		}
	}
}

// Ended tells that the action has ended: all that it does has been done.
func (p *Pending) Ended() {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if !p.isEnded {
		p.isEnded = true
		if p.act.End.IsZero() {
			p.act.End = time.Now()
		}
		close(p.ended)
	}
}

// Cancel gives the action up. After it, or after Wait, the action's alerts
// belong to none.
func (p *Pending) Cancel() {
	p.d.mu.Lock()
	done := p.finished
	p.finished = true
	if !done {
		p.d.set.Remove(p.act.ID)
		delete(p.d.pending, p.act)
	}
	p.d.mu.Unlock()
	if !done {
		p.d.src.Pending(-1)
	}
}

// Wait returns the verdict, as soon as it is certain:
//
//   - detected, once the action has ended and an alert of an expected rule has
//     been attributed to it (with Expectation.All, and where that is not Enough,
//     once a miss would be certain);
//   - missed, when the sentinel's alert has come after the action's end and no
//     expected one; without a sentinel, after Options.Timeout;
//   - inconclusive in place of missed, when alerts may have been lost meanwhile,
//     when the sentinel's alert does not come within Options.Timeout, or when
//     alerts of expected rules came that cannot be attributed well enough.
//
// The time starts anew with each alert that shows that the judge is behind,
// since it is of an event from before the action's end. A judge that is still
// behind after six times Options.Timeout makes the verdict inconclusive.
//
// A Falco notices dropped events up to some seconds late; a drop that it has
// not yet reported when its sentinel comes is not known here.
//
// It fails only when the context ends. The action is over then all the same.
func (p *Pending) Wait(ctx context.Context) (Verdict, error) {
	defer p.Cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		return Verdict{}, fmt.Errorf("waiting for the action to end: %w", ctx.Err())
	}
	timeout := time.NewTimer(p.d.opts.Timeout)
	defer timeout.Stop()
	p.d.src.Pending(1)
	defer p.d.src.Pending(-1)

	if v, ok := p.detected(); ok && p.enough(v) {
		return v, nil
	}
	var came <-chan struct{}
	var next, grace <-chan time.Time // when to trigger the sentinel, and when to go without more alerts
	var nonce string
	sentinel := p.d.opts.Sentinels[p.e.Source]
	trigger := func() error {
		if err := p.d.trigger(ctx, sentinel.Trigger, nonce); err != nil {
			return fmt.Errorf("waiting for alerts: %w", err)
		}
		return nil
	}
	wait := resend
	if sentinel.Trigger != nil {
		nonce, came = p.d.listen()
		defer p.d.unlisten(nonce)
		if sentinel.Delay > 0 {
			next = time.After(sentinel.Delay)
		} else {
			if err := trigger(); err != nil {
				return Verdict{}, err
			}
			if !sentinel.Lossless {
				next = time.After(wait)
			}
		}
	}
	for {
		select {
		case <-p.changed:
		case <-came:
			came, next = nil, nil
			if p.d.opts.Grace < 0 {
				return p.decide(true, ""), nil
			}
			t := time.NewTimer(p.d.opts.Grace)
			defer t.Stop()
			grace = t.C
			continue
		case <-grace:
			return p.decide(true, ""), nil
		case <-next:
			if err := trigger(); err != nil {
				return Verdict{}, err
			}
			next = nil
			if !sentinel.Lossless {
				wait *= 2
				next = time.After(wait)
			}
			continue
		case <-timeout.C:
			if grace != nil {
				return p.decide(true, ""), nil
			}
			if more := p.more(); more > 0 {
				timeout.Reset(more)
				continue
			}
			return p.decide(false, p.unanswered()), nil
		case <-ctx.Done():
			return Verdict{}, fmt.Errorf("waiting for alerts: %w", ctx.Err())
		}
		if v, ok := p.detected(); ok && p.enough(v) {
			return v, nil
		}
		p.d.mu.Lock()
		gone := p.d.gone
		p.d.mu.Unlock()
		if gone != nil {
			return p.decide(false, ""), nil
		}
	}
}

// patience is how many times Options.Timeout a judge is waited for that is
// behind.
const patience = 6

// more is how much longer to wait when Options.Timeout is over.
func (p *Pending) more() time.Duration {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if p.behind.IsZero() {
		return 0
	}
	until := p.behind.Add(p.d.opts.Timeout)
	if last := p.act.End.Add(patience * p.d.opts.Timeout); until.After(last) {
		until = last
	}
	return time.Until(until)
}

// unanswered says what it means that the sentinel's alert has not come, "" if
// it means nothing.
func (p *Pending) unanswered() string {
	if p.d.opts.Sentinels[p.e.Source].Trigger == nil {
		return ""
	}
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	if p.d.opts.Unsure && !p.d.answered[p.e.Source] {
		return ""
	}
	return fmt.Sprintf("the alert that ends the wait, of the rule %q, did not come within %v of the action's end", ruleOf(p.e.Source), p.d.opts.Timeout)
}

// wrongTime describes an alert of an expected rule that is the action's but for
// its time, "" when there is none. The caller holds the lock.
func (p *Pending) wrongTime() string {
	i := slices.IndexFunc(p.untimely, func(a Attributed) bool { return p.e.Rules != nil && p.e.Rules(a.Alert.Rule) })
	if i < 0 {
		return ""
	}
	at := p.untimely[i].Alert.Time.Add(-p.d.set.Skew)
	switch {
	case at.Before(p.act.Start):
		return fmt.Sprintf("an alert of the rule is of an event %v before the action began, when its process was made ready", p.act.Start.Sub(at).Round(time.Microsecond))
	case at.After(p.act.End):
		return fmt.Sprintf("an alert of the rule is of an event %v after the action had ended, when its changes were undone", at.Sub(p.act.End).Round(time.Microsecond))
	}
	return "an alert of the rule is of what the framework did in one of the action's processes, to prepare, start or end another or itself"
}

// Expected tells whether the verdict will be detected, whatever comes: an alert
// that counts has arrived.
func (p *Pending) Expected() bool {
	_, ok := p.detected()
	return ok
}

// enough tells whether a detection ends the wait.
func (p *Pending) enough(v Verdict) bool {
	return !p.e.All && (p.e.Enough == nil || p.e.Enough(v.Alerts))
}

// detected returns the verdict if it is that.
func (p *Pending) detected() (Verdict, bool) {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	best := p.best()
	if best.Strength < p.d.opts.Min || best.Alert == nil {
		return Verdict{}, false
	}
	return Verdict{
		Outcome:  Detected,
		Expected: best,
		Latency:  best.At.Sub(p.act.Start),
		Alerts:   append([]Attributed(nil), p.alerts...),
		Reason:   "an alert of the rule came, correlated by " + best.Strength.String(),
		Certain:  true,
	}, true
}

// best is the first of the surest alerts of expected rules.
func (p *Pending) best() Attributed {
	var best Attributed
	for _, a := range p.alerts {
		if p.e.Rules != nil && p.e.Rules(a.Alert.Rule) && a.Strength > best.Strength && (p.e.Alert == nil || p.e.Alert(a.Alert)) {
			best = a
		}
	}
	return best
}

// decide gives the verdict when no more alerts are expected: all has been
// judged, or the time is up, or doubt says why nothing can be said.
func (p *Pending) decide(certain bool, doubt string) Verdict {
	v, detected := p.detected()
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	reached := certain || p.d.reached[p.e.Source].After(p.act.End)
	if detected {
		v.Reached = reached
		return v
	}
	v = Verdict{
		Outcome:  Inconclusive,
		Expected: p.best(),
		Alerts:   append([]Attributed(nil), p.alerts...),
		Possible: append([]*alert.Alert(nil), p.possible...),
		Reached:  reached,
	}
	wrongTime := p.wrongTime()
	switch {
	case len(p.losses) > 0:
		v.Reason = p.losses[0].Error()
		if n := len(p.losses) - 1; n > 0 {
			v.Reason += fmt.Sprintf(" (and %d more such events)", n)
		}
	case doubt != "":
		v.Reason = doubt
	case v.Expected.Alert != nil:
		v.Latency = v.Expected.At.Sub(p.act.Start)
		v.Reason = fmt.Sprintf("an alert of the rule came, correlated by %s only; %s is required", v.Expected.Strength, p.d.opts.Min)
	case len(v.Possible) > 0 && p.d.opts.Min <= correlate.Time && !p.e.Alone:
		v.RunAlone = true
		v.Reason = "an alert of the rule came that cannot be told from those of other actions that ran at the same time"
	case len(v.Possible) > 0 && p.d.opts.Min > correlate.Time:
		v.Reason = fmt.Sprintf("an alert of the rule came whose cause cannot be told but by its time; correlation by %s is required", p.d.opts.Min)
	case wrongTime != "" && !p.d.clockKnown:
		v.Reason = wrongTime + "; it does not count, unless the Falco's clock differs from this host's, which is not known"
	case wrongTime != "" && certain:
		v.Outcome, v.Certain = Missed, true
		v.Reason = "everything that the action did has been judged, and no alert of the rule came that counts: " + wrongTime
	case certain:
		v.Outcome, v.Certain = Missed, true
		v.Reason = "everything that the action did has been judged, and no alert of the rule came"
	case !p.behind.IsZero() && time.Since(p.behind) < p.d.opts.Timeout:
		v.Reason = fmt.Sprintf("the judge is behind: its last alert came %v after its event, and %v after the action's end",
			p.lag.Round(100*time.Millisecond), p.behind.Sub(p.act.End).Round(100*time.Millisecond))
	default:
		v.Outcome = Missed
		v.Reason = fmt.Sprintf("no alert of the rule came within %v of the action's end", p.d.opts.Timeout)
	}
	return v
}
