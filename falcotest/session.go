// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/correlate"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gate"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/limits"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/run"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Session is a judge with rules under test, ready to judge actions. Its methods
// are safe for concurrent use.
type Session struct {
	cfg          *settings
	orderOnce    sync.Once
	orderOfRules map[string]int // see order

	files     []string
	notes     []string   // on what was found of the rules files
	set       *rules.Set // nil when no rules files are given
	chosen    []*plan.Action
	uncovered []*rules.Rule
	backend   backend
	judgeName string
	started   time.Time
	slots     *semaphore.Weighted // for actions that run at the same time; all, for one that must run alone
	life      context.Context
	end       func(why error) error // stops the actions, and ends what was started
	closing   sync.Once
	live      map[string]source.Live // by the name of the source: those that are not traced
	explainer explainer
	sources   []filter.Source // that the rules were loaded for
	change    *change         // nil unless WithChangedSince
	baseline  *gate.Baseline  // nil where there is none
	terminal  *terminal       // nil where there is none
	logf      func(format string, args ...any)

	audit      auditEngine
	containers *run.Containers
	users      *journal.Dir   // of users that were made on this machine, nil for none
	told       sync.Map       // needs that were told of, with the first action that had them
	running    sync.WaitGroup // actions under way
}

// explainer is the built-in engine beside a real Falco, made when it is needed.
type explainer struct {
	once    sync.Once
	tracing *tracing
	err     error
}

// Start prepares a session for custom assertions: it loads the rules, reaches or
// starts the judge, and makes sure that actions can run. It fails t where that
// is impossible. The session ends with t.
func Start(t testing.TB, opts ...Option) *Session {
	t.Helper()
	cfg, err := newSettings(opts)
	if err != nil {
		t.Fatal(err)
	}
	// Actions clean up before go test's -timeout ends the process.
	ctx, release := beforeTimeout(context.Background(), t)
	ctx, cancel := context.WithCancelCause(ctx)
	s := &Session{cfg: cfg, containers: run.NewContainers(cfg.engine, cfg.image, t.Logf), started: time.Now(), slots: semaphore.NewWeighted(int64(cfg.parallel)), life: ctx, logf: t.Logf}
	enough, err := child.Reap()
	if err != nil {
		t.Logf("a later run will clean up after this one, should it be killed: %v", err)
		enough = func() {}
	}
	s.end = func(why error) error {
		cancel(why)
		s.running.Wait()
		release()
		defer enough()
		return s.close()
	}
	if err := s.start(ctx, t); err != nil {
		cancel(err)
		release()
		enough()
		if load := (*rules.Error)(nil); errors.As(err, &load) {
			cfg.reportProblems(t, s.files, load)
		}
		t.Fatal(startMessage(err))
	}
	sessions.add(s)
	t.Cleanup(func() {
		sessions.remove(s)
		if err := s.end(errors.New("the test ended")); err != nil {
			t.Errorf("ending the judge: %v", err)
		}
	})
	return s
}

// beforeTimeout ends the context before go test's -timeout ends the process, so
// that there is time to say what was waited for.
func beforeTimeout(ctx context.Context, t testing.TB) (context.Context, context.CancelFunc) {
	d, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok {
		return ctx, func() {}
	}
	end, ok := d.Deadline()
	if !ok {
		return ctx, func() {}
	}
	left := time.Until(end)
	margin := min(left/2, max(left/10, 3*time.Second), 10*time.Second)
	return context.WithDeadlineCause(ctx, end.Add(-margin), errors.New("go test's -timeout is near"))
}

// close ends what the session started. Only the first call does anything.
func (s *Session) close() (err error) {
	s.closing.Do(func() {
		err = errors.Join(s.containers.Close(), s.closeLive(), s.backend.close(), s.removeUsers())
	})
	return err
}

func (s *Session) closeLive() error {
	var errs []error
	for _, live := range s.live {
		errs = append(errs, live.Close())
	}
	return errors.Join(errs...)
}

// startMessage renders what kept a session from starting; rules that do not load
// are shown with their lines.
func startMessage(err error) string {
	var load *rules.Error
	if errors.As(err, &load) {
		return fmt.Sprintf("the rules do not load, so nothing was run:\n\n%+v", load)
	}
	return "nothing was run: " + err.Error()
}

func (s *Session) start(ctx context.Context, t testing.TB) error {
	if err := child.Hooked(); err != nil {
		return err
	}
	files, err := s.cfg.rulesFiles()
	if err != nil {
		return err
	}
	s.files = files.Names
	if len(files.Left) > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%s: no rules files, only names in .yaml and .yml are: left out", few(files.Left)))
	}
	undone, err := journal.Recover("")
	for _, line := range undone {
		t.Log(line)
	}
	if err := s.limit(); err != nil { // after the recovery, which may have made room
		return err
	}
	if err != nil {
		t.Logf("undoing what earlier runs left: %v", err)
	}
	opts := s.cfg.loadOptions()
	s.sources = opts.Sources
	if len(s.files) > 0 {
		s.set, err = rules.Load(ctx, s.files, opts)
		if err != nil {
			return err
		}
	}
	if s.set != nil {
		s.notes = append(s.notes, alike(s.set)...)
	}
	if s.cfg.base != "" && s.set != nil {
		if s.change, err = s.changedSince(ctx, s.cfg.base); err != nil {
			return err
		}
	}
	if s.baseline, err = readBaseline(s.cfg.baseline); err != nil {
		return err
	}
	tests, err := s.loadTests()
	if err != nil {
		return err
	}
	if !s.cfg.onlyFiles {
		s.chosen, s.uncovered, err = selectActions(s.cfg, s.set)
		if err != nil && (len(tests) == 0 || len(s.cfg.actions) > 0) {
			return err
		}
	}
	s.chosen = append(s.chosen, tests...)
	if err := s.expectations(); err != nil {
		return err
	}
	s.uncovered = slices.DeleteFunc(s.uncovered, func(r *rules.Rule) bool {
		return slices.ContainsFunc(tests, func(sel *plan.Action) bool { return sel.Rule == r })
	})
	if err := s.makeUsers(); err != nil {
		s.logf("the tests' users: %v", err)
	}
	s.live = openLive(s.cfg.live())
	s.backend, err = openBackend(ctx, t, s)
	if err != nil {
		return err
	}
	s.judgeName = s.backend.name()
	return nil
}

// loadOptions say what the rules under test are loaded for. Which plugins are
// there, a real Falco knows best.
func (c *settings) loadOptions() rules.Options {
	opts := rules.Options{Sources: source.Fields()}
	if strings.HasPrefix(c.falco, "builtin:") {
		opts.Plugins = source.Plugins()
	}
	return opts
}

// few lists names, of many the first few.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// limit has as many actions run at the same time as the limits of this process
// allow.
func (s *Session) limit() error {
	n, err := limits.Check(s.cfg.parallel)
	if err != nil {
		return err
	}
	if n < s.cfg.parallel {
		s.logf("running %d actions at a time, not %d, to stay within the limits of files, processes and threads (ulimit -n, ulimit -u)", n, s.cfg.parallel)
		s.cfg.parallel, s.slots = n, semaphore.NewWeighted(int64(n))
	}
	return nil
}

func (s *Session) elapsed() time.Duration { return time.Since(s.started) }

// warnings are those of the rules files, a line each.
func (s *Session) warnings() []string {
	lines := slices.Clone(s.notes)
	if s.set == nil {
		return lines
	}
	for _, w := range s.set.Warnings {
		lines = append(lines, w.String())
	}
	for _, w := range s.set.Remarks {
		lines = append(lines, w.Short())
	}
	return lines
}

// Trigger runs an action and returns the alerts that were attributed to it, of
// whatever rule, for custom assertions. It skips t when the action cannot run
// here, and fails t when the action fails or the judge lost events, but not
// when no alert came.
func (s *Session) Trigger(t testing.TB, action string) []*Alert {
	t.Helper()
	r := s.Do(t.Context(), action)
	switch r.Outcome {
	case Skipped:
		if !s.cfg.strict && !r.required {
			t.Skip(r.message(""))
		}
		t.Fatal(r.message("") + s.failedSkip(r))
	case TriggerFailed, Inconclusive:
		t.Fatal(r.message(t.Name()))
	}
	return r.Alerts
}

// Detects runs an action, returns what became of it, and fails t unless the action's
// rule fired for it. It skips t when the action cannot run here.
func (s *Session) Detects(t testing.TB, action string) *Result {
	t.Helper()
	r := s.Do(t.Context(), action)
	s.conclude(t, r)
	return r
}

// Do runs an action and returns what became of it. It fails no test.
func (s *Session) Do(ctx context.Context, action string) *Result {
	sel := plan.Registered(action, nil)
	sel.All = true
	if _, ok := events.All()[action]; !ok {
		return &Result{Action: action, Outcome: TriggerFailed, Judge: s.judgeName,
			Reason: fmt.Sprintf("no action of that name is registered%s", nearest(action, sortedKeys(events.All())))}
	}
	if s.set != nil {
		if i := slices.IndexFunc(s.set.Rules, func(r *rules.Rule) bool { return events.MatchRule(action, r.Name) }); i >= 0 {
			sel.Rule = s.set.Rules[i]
		}
	}
	// It ends with the session, too.
	s.running.Add(1)
	defer s.running.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })()
	r := s.run(ctx, sel)
	r.Alerts = published(r.alerts)
	if r.why != nil {
		r.Why = r.why.String()
	}
	return r
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// minimum is the weakest correlation that passes.
func (c *settings) minimumStrength() (correlate.Strength, error) {
	s, err := correlate.ParseStrength(c.minimum)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", config.MinCorrelation.Variable, err)
	}
	return s, nil
}
