// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/run"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// future is an action's result that is on its way.
type future struct {
	session  *Session
	selected *plan.Action
	once     sync.Once
	done     chan struct{}
	value    *Result
}

// start runs the action unless it runs already.
func (f *future) start() {
	f.once.Do(func() {
		f.session.running.Go(func() {
			defer close(f.done)
			f.session.terminal.runs(f.selected.Name, true)
			f.value = f.session.run(f.session.life, f.selected)
			f.session.terminal.runs(f.selected.Name, false)
		})
	})
}

func (f *future) result() *Result {
	f.start()
	<-f.done
	return f.value
}

// schedule starts actions, those that take long first, so that they do not add
// up.
func (s *Session) schedule(queue []*future) {
	order := slices.Clone(queue)
	slices.SortStableFunc(order, func(a, b *future) int {
		return -cmp.Compare(a.selected.Duration, b.selected.Duration)
	})
	for _, f := range order {
		f.start()
	}
}

// run runs an action until its outcome is conclusive, or the retries are used
// up.
func (s *Session) run(ctx context.Context, sel *plan.Action) *Result {
	base := Result{Action: sel.Name, Rule: sel.RuleName(), Judge: s.judgeName}
	if sel.Test != nil {
		base.Test = sel.Test.Pos.String()
		base.Case = sel.Test.Case()
		if sel.Test.Draft != "" {
			base.Outcome, base.Reason = TriggerFailed, "the test is a draft: "+sel.Test.Draft
			base.Hint = fmt.Sprintf("complete the test at %s, and take the key draft away", base.Test)
			return &base
		}
		if sel.Test.Skip != "" {
			base.Outcome, base.Reason = Skipped, sel.Test.Skip
			return &base
		}
		if sel.Test.EventsFile != "" || sel.Test.Events != nil {
			s.recorded(ctx, sel, &base)
			return &base
		}
	}
	if sel.Rule != nil {
		base.Position = Position{File: sel.Rule.Pos.File, Line: sel.Rule.Pos.Line}
		base.Priority = sel.Rule.Priority.String()
		if why := s.backend.unsupported(sel.Rule); why != "" {
			base.Outcome, base.Reason = Skipped, why
			return &base
		}
	}
	if need, err := s.unmetNeed(sel); err != nil {
		base.Outcome, base.Reason, base.Hint, base.need = Skipped, err.Error(), need.Hint, need
		return &base
	}
	if err := s.startLive(ctx, sel); err != nil {
		base.withoutEvents(err)
		return &base
	}
	if live := s.liveOf(sel); live != nil {
		base.Judge += live.Describe()
	}
	alone := false
	for attempt := 1; ; attempt++ {
		r := base
		r.Attempts = attempt
		v := s.attempt(ctx, sel, alone, &r)
		if v.RunAlone && !alone {
			alone = true // which is no retry
			r = base
			r.Attempts = attempt
			s.attempt(ctx, sel, alone, &r)
		}
		if r.Outcome != Inconclusive || r.lasting || attempt > s.cfg.retries || ctx.Err() != nil {
			return &r
		}
	}
}

// attempt runs an action once, in a process of its own. Alone, no other action
// runs meanwhile.
func (s *Session) attempt(ctx context.Context, sel *plan.Action, alone bool, r *Result) (v verdict.Verdict) {
	leave, err := s.enter(ctx, sel, alone)
	if err != nil {
		r.Outcome, r.Reason = TriggerFailed, err.Error()
		return v
	}
	defer leave()
	if live := s.liveOf(sel); live != nil {
		r.lost = live.Losses()
	}
	ended, v, w := s.conduct(ctx, sel, alone, r)
	if ended == nil {
		return v
	}
	r.Ran = ended.Ended.Sub(ended.Started)
	if k, ok := w.(interface{ kept() []any }); ok && s.cfg.keepsEvents() {
		r.kept = k.kept()
	}
	for _, record := range ended.Log {
		delete(record.Fields, "action") // the message names it
		r.Log = append(r.Log, record.String())
	}
	if out := strings.TrimSpace(ended.Output); out != "" {
		r.Log = append(r.Log, strings.Split(out, "\n")...)
	}
	for _, undone := range ended.Undone {
		r.Log = append(r.Log, "undone from the journal: "+undone)
	}
	switch ended.Outcome {
	case child.Completed:
		s.decide(ctx, r, sel, v, w)
	case child.Skipped:
		r.Outcome, r.Reason, r.lasting = Skipped, ended.Reason, true
	default:
		r.Outcome, r.Reason = TriggerFailed, fmt.Sprint(ended.Err)
		var p *child.PanicError
		if errors.As(ended.Err, &p) {
			r.frames = p.Frames()
		}
	}
	return v
}

// conduct sees a child from its start to its verdict. Without a child, it has
// said so in the result.
func (s *Session) conduct(ctx context.Context, sel *plan.Action, alone bool, r *Result) (*child.Result, verdict.Verdict, watcher) {
	none := func(err error) (*child.Result, verdict.Verdict, watcher) {
		r.Outcome, r.Reason = TriggerFailed, err.Error()
		return nil, verdict.Verdict{}, nil
	}
	var w watcher
	var p *verdict.Pending
	var denied bool
	ended, err := s.runner().Run(ctx, &sel.Action, "", func(c *child.Child) (setup child.Setup, err error) {
		r.pid = c.PID()
		if w, err = s.backend.watch(ctx, c, sel); err != nil {
			denied = errors.Is(err, fs.ErrPermission)
			return setup, err
		}
		p = s.backend.judge().Expect(verdict.Expectation{
			ID: c.ID(), Source: sel.Source(), Rules: sel.Fires, Alert: sel.Counts, Alone: alone, All: sel.Whole(),
			Enough: func(alerts []verdict.Attributed) bool { return s.shadowOf(sel, alerts) == nil },
		})
		p.Started(c.PID())
		if w == nil {
			s.settle(ctx, sel, r.Attempts)
			return child.Setup{Guard: 3 * verdict.ClockSlack}, nil
		}
		return w.setup(), nil
	})
	if err != nil {
		if p != nil {
			p.Cancel()
		}
		none(err)
		if denied { // it is not the action's fault
			r.Outcome, r.lasting = Skipped, true
		}
		return nil, verdict.Verdict{}, nil
	}
	p.AddPIDs(ended.PIDs...)
	p.Ran(ended.Started, ended.Gone, ownProcesses(ended.Windows))
	p.Ended()
	if ended.Outcome != child.Completed {
		p.Cancel()
		return &ended, verdict.Verdict{}, w
	}
	if w != nil && w.err() != nil {
		p.Cancel()
		return none(fmt.Errorf("tracing the action: %w", w.err()))
	}
	v, err := p.Wait(ctx)
	if err != nil {
		v.Outcome, v.Reason = verdict.Inconclusive, fmt.Sprintf("the run was ended: %v", err)
	}
	return &ended, v, w
}

// ownProcesses are the windows of an action's processes, for correlation.
func ownProcesses(windows []child.Window) (list []correlate.OwnProcess) {
	at := map[int]int{}
	for _, w := range windows {
		i, ok := at[w.PID]
		if !ok {
			i = len(list)
			at[w.PID], list = i, append(list, correlate.OwnProcess{PID: w.PID})
		}
		if p := &list[i]; w.TID == 0 {
			p.Start, p.End = w.Start, w.End
		} else {
			p.Aside = append(p.Aside, correlate.Aside{TID: w.TID, Start: w.Start, End: w.End})
		}
	}
	return list
}

// enter waits until an action may run, and returns what ends its turn.
func (s *Session) enter(ctx context.Context, sel *plan.Action, alone bool) (leave func(), err error) {
	n := int64(1)
	if alone {
		n = int64(s.cfg.parallel)
	}
	if _, inexact := s.backend.(*remote); sel.Idles() && !alone && !inexact {
		n = 0 // its alerts are told from those of others in any case
	}
	if err := s.slots.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("the action was not started: %w", context.Cause(ctx))
	}
	return func() { s.slots.Release(n) }, nil
}

// runner is what runs the actions of a session, as it is at the moment.
func (s *Session) runner() *run.Runner {
	r := &run.Runner{Containers: s.containers, Env: slices.Clone(s.cfg.env), Deadline: s.cfg.deadline, Hermetic: s.cfg.hermetic}
	for _, live := range s.live {
		r.Env = append(r.Env, live.Environ()...)
		r.KubeFlags = append(r.KubeFlags, live.Flags()...)
	}
	return r
}
