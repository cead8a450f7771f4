// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
)

// Run runs planned actions, and returns their results as they come, in the order of the
// actions. Those that are wanted begin at once, the long ones first, so that they do not
// add up; others begin when their result is waited for. Progress is told.
func (s *Session) Run(actions []*plan.Action, wanted func(subtest []string) bool, progress Progress) []result.Pending {
	var all []result.Pending
	var queue []*future
	for _, a := range actions {
		f := &future{session: s, action: a, progress: progress, done: make(chan struct{})}
		all = append(all, result.Pending{Subtest: a.Subtest(), Wait: f.wait})
		if wanted(a.Subtest()) {
			queue = append(queue, f)
		}
	}
	slices.SortStableFunc(queue, func(a, b *future) int { return -cmp.Compare(a.action.Duration, b.action.Duration) })
	progress.Begin(len(queue))
	for _, f := range queue {
		f.start()
	}
	return all
}

// Progress is told how far a run is.
type Progress interface {
	Begin(total int)
	// Runs is called for each action, when it starts and when it has ended.
	Runs(action string, on bool)
}

// future is an action's result that is on its way.
type future struct {
	session  *Session
	action   *plan.Action
	progress Progress
	once     sync.Once
	done     chan struct{}
	value    *result.Result
}

// start runs the action unless it runs already.
func (f *future) start() {
	f.once.Do(func() {
		f.session.running.Go(func() {
			defer close(f.done)
			f.progress.Runs(f.action.Name, true)
			f.value = f.session.run(f.session.life, f.action)
			f.progress.Runs(f.action.Name, false)
		})
	})
}

func (f *future) wait() *result.Result {
	f.start()
	<-f.done
	return f.value
}

// Do runs one action and returns what became of it. It ends with the context, and with
// the session.
func (s *Session) Do(ctx context.Context, a *plan.Action) *result.Result {
	s.running.Add(1)
	defer s.running.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })()
	return s.run(ctx, a)
}
