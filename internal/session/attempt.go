// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/run"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/verdict"
)

// run runs an action until its outcome is conclusive, or the retries are used
// up.
func (s *Session) run(ctx context.Context, a *plan.Action) *result.Result {
	base := result.Result{Action: a.Name, Rule: a.RuleName(), Judge: s.JudgeName}
	if a.Test != nil {
		base.Test = a.Test.Pos.String()
		base.Case = a.Test.Case()
		if a.Test.Draft != "" {
			base.Outcome, base.Reason = result.TriggerFailed, "the test is a draft: "+a.Test.Draft
			base.Hint = fmt.Sprintf("complete the test at %s, and take the key draft away", base.Test)
			return &base
		}
		if a.Test.Skip != "" {
			base.Outcome, base.Reason = result.Skipped, a.Test.Skip
			return &base
		}
		if a.Test.EventsFile != "" || a.Test.Events != nil {
			s.judgeRecorded(ctx, a, &base)
			return &base
		}
	}
	if a.Rule != nil {
		base.Position = result.Position{File: a.Rule.Pos.File, Line: a.Rule.Pos.Line}
		base.Priority = a.Rule.Priority.String()
		if why := s.Judge.Unsupported(a.Rule); why != "" {
			base.Outcome, base.Reason = result.Skipped, why
			return &base
		}
	}
	if need, err := s.unmetNeed(a); err != nil {
		base.Outcome, base.Reason, base.Hint, base.Need = result.Skipped, err.Error(), need.Hint, need
		return &base
	}
	if err := s.startStreams(ctx, a); err != nil {
		withoutEvents(&base, err)
		return &base
	}
	if live := s.stream(a); live != nil {
		base.Judge += live.Describe()
	}
	alone := false
	for attempt := 1; ; attempt++ {
		r := base
		r.Attempts = attempt
		v := s.attempt(ctx, a, alone, &r)
		if v.RunAlone && !alone {
			alone = true // which is no retry
			r = base
			r.Attempts = attempt
			s.attempt(ctx, a, alone, &r)
		}
		if r.Outcome != result.Inconclusive || r.Lasting || attempt > s.settings.Retries || ctx.Err() != nil {
			return &r
		}
	}
}

// attempt runs an action once, in a process of its own. Alone, no other action
// runs meanwhile.
func (s *Session) attempt(ctx context.Context, a *plan.Action, alone bool, r *result.Result) (v verdict.Verdict) {
	leave, err := s.enter(ctx, a, alone)
	if err != nil {
		r.Outcome, r.Reason = result.TriggerFailed, err.Error()
		return v
	}
	defer leave()
	if live := s.stream(a); live != nil {
		r.Lost = live.Losses()
	}
	ended, v, w := s.conduct(ctx, a, alone, r)
	if ended == nil {
		return v
	}
	r.Ran = ended.Ended.Sub(ended.Started)
	if w != nil && s.settings.KeepsEvents() {
		r.Events = w.Events()
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
		s.decide(ctx, r, a, v, w)
	case child.Skipped:
		r.Outcome, r.Reason, r.Lasting = result.Skipped, ended.Reason, true
	default:
		r.Outcome, r.Reason = result.TriggerFailed, fmt.Sprint(ended.Err)
		if ended.Outcome == child.TimedOut && a.Oversleep > 0 {
			r.Hint = fmt.Sprintf("its scripts sleep for %s longer than what is added to the deadline for them: let a step of the type sleep do that, or allow more by WithActionDeadline", a.Oversleep)
		}
		var p *child.PanicError
		if errors.As(ended.Err, &p) {
			r.Frames = p.Frames()
		}
	}
	return v
}

// conduct sees a child from its start to its verdict. Without a child, it has
// said so in the result.
func (s *Session) conduct(ctx context.Context, a *plan.Action, alone bool, r *result.Result) (*child.Result, verdict.Verdict, judge.Watcher) {
	none := func(err error) (*child.Result, verdict.Verdict, judge.Watcher) {
		r.Outcome, r.Reason = result.TriggerFailed, err.Error()
		return nil, verdict.Verdict{}, nil
	}
	var w judge.Watcher
	var p *verdict.Pending
	var denied bool
	ended, err := s.runner().Run(ctx, &a.Action, "", func(c *child.Child) (setup child.Setup, err error) {
		r.PID = c.PID()
		if w, err = s.Judge.Watch(ctx, c, a); err != nil {
			denied = errors.Is(err, fs.ErrPermission)
			return setup, err
		}
		p = s.Judge.Decider().Expect(verdict.Expectation{
			ID: c.ID(), Source: a.Source(), Rules: a.Fires, Alert: a.Counts, Alone: alone, All: a.Whole(),
			Enough: func(alerts []verdict.Attributed) bool { return s.shadowOf(a, alerts) == nil },
		})
		p.Started(c.PID())
		if w == nil {
			s.settle(ctx, a, r.Attempts)
			return child.Setup{Guard: 3 * verdict.ClockSlack}, nil
		}
		return w.Setup(), nil
	})
	if err != nil {
		if p != nil {
			p.Cancel()
		}
		none(err)
		if denied { // it is not the action's fault
			r.Outcome, r.Lasting = result.Skipped, true
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
	if w != nil && w.Err() != nil {
		p.Cancel()
		return none(fmt.Errorf("tracing the action: %w", w.Err()))
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
func (s *Session) enter(ctx context.Context, a *plan.Action, alone bool) (leave func(), err error) {
	n := int64(1)
	if alone {
		n = int64(s.settings.Parallel)
	}
	if a.Idles() && !alone && s.Judge.Exact() {
		n = 0 // its alerts are told from those of others in any case
	}
	apart, err := s.paths.enter(ctx, s.shares(a))
	if err != nil {
		return nil, fmt.Errorf("the action was not started: %w", err)
	}
	if err := s.slots.Acquire(ctx, n); err != nil {
		apart()
		return nil, fmt.Errorf("the action was not started: %w", context.Cause(ctx))
	}
	return func() {
		s.slots.Release(n)
		apart()
	}, nil
}

// runner is what runs the actions of a session, as it is at the moment.
func (s *Session) runner() *run.Runner {
	r := &run.Runner{Containers: s.containers, Env: slices.Clone(s.settings.Env), Deadline: s.settings.Deadline, Hermetic: s.settings.Hermetic}
	for _, live := range s.Streams {
		r.Env = append(r.Env, live.Environ()...)
		r.KubeFlags = append(r.KubeFlags, live.Flags()...)
	}
	return r
}

// unmetNeed returns the first need of an action that is not met here, and why.
func (s *Session) unmetNeed(a *plan.Action) (events.Need, error) {
	needs := slices.Concat(s.Judge.Needs(a), a.Requires())
	for _, need := range needs {
		if need.Name == events.OwnNames.Name && !s.Judge.OwnNames() {
			return need, fmt.Errorf("%s resolves names itself, and not by the /etc/hosts that the action has for itself", s.JudgeName)
		}
	}
	if need, err := run.Unmet(needs, s.Streams.Provide); err != nil {
		return need, err
	}
	if a.Made() {
		if _, err := s.containers.Reach(s.life); err != nil {
			return run.NeedContainer, err
		}
	}
	return events.Need{}, nil
}

// startStreams makes sure that there is what an action works on: what its rule's events
// come from, and what it says that it needs.
func (s *Session) startStreams(ctx context.Context, a *plan.Action) error {
	return s.Streams.Start(ctx, func(src *source.Source) bool { return src.Name == a.Source() || a.Declares(src) })
}

// withoutEvents says in a result why its action cannot have what it works on. Where
// this machine lacks it the action is skipped, which is a failure where it must not.
func withoutEvents(r *result.Result, err error) {
	r.Outcome, r.Reason = result.TriggerFailed, err.Error()
	r.Hint = "mend what keeps the cluster from being used; the action itself was not run"
	if missing := (*source.Missing)(nil); errors.As(err, &missing) {
		r.Outcome, r.Reason, r.Hint, r.Need = result.Skipped, missing.Reason, missing.Need.Hint, missing.Need
		r.Required = missing.Required
	}
}
