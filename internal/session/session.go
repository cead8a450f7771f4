// SPDX-License-Identifier: Apache-2.0

// Package session runs planned actions and has them judged: it has a judge with the
// rules under test ready, runs the actions at the same time, and makes a result of what
// the judge says of each.
//
// A plan enters, and results leave as they come: [Session.Run] returns a pending result
// for each action. Who made the plan, and what subtests, gate and reports make of the
// results, the package does not know. It imports internal/judge and its folders,
// internal/run, which runs one action, and internal/result.
package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/judge/builtin"
	"github.com/falcotest/go-falcotest/internal/judge/replaying"
	"github.com/falcotest/go-falcotest/internal/judge/running"
	"github.com/falcotest/go-falcotest/internal/judge/started"
	"github.com/falcotest/go-falcotest/internal/limits"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/run"
	"github.com/falcotest/go-falcotest/internal/source"
	_ "github.com/falcotest/go-falcotest/internal/source/all" // the list of sources
)

// Session has a judge with the rules under test, ready to judge actions. Its methods are
// safe for concurrent use.
type Session struct {
	Started time.Time
	Judge   judge.Judge
	Streams source.Streams
	// JudgeName is who judges.
	JudgeName string

	settings   *config.Settings
	plan       *plan.Plan
	brief      *judge.Brief
	test       Test
	slots      *semaphore.Weighted // for actions that run at the same time; all, for one that must run alone
	paths      paths               // of tests that share them
	life       context.Context
	end        func(why error) error // stops the actions, and ends what was started
	closing    sync.Once
	explainer  explainer
	recorded   recordedEngine
	order      sync.Once
	orderOf    map[string]int // see rulesOrder
	containers *run.Containers
	users      *journal.Dir   // of users that were made on this machine, nil for none
	running    sync.WaitGroup // actions under way
	attached   []func() error // what else ends with it
}

// Test is what a session needs of testing.TB.
type Test interface {
	Name() string
	Logf(format string, args ...any)
}

// explainer is the built-in engine beside a Falco, made when it is needed.
type explainer struct {
	once    sync.Once
	tracing *builtin.Tracing
	err     error
}

// New makes sure that actions can run here, and cleans up behind earlier runs. The
// session ends by [Session.End].
func New(settings *config.Settings, test Test) (*Session, error) {
	if err := child.Hooked(); err != nil {
		return nil, err
	}
	own := *settings
	s := &Session{Started: time.Now(), settings: &own, test: test, containers: run.NewContainers(own.Container, own.Image, test.Logf)}
	// Actions clean up before go test's -timeout ends the process.
	ctx, release := beforeTimeout(context.Background(), test)
	ctx, cancel := context.WithCancelCause(ctx)
	s.life = ctx
	enough, err := child.Reap()
	if err != nil {
		test.Logf("a later run will clean up after this one, should it be killed: %v", err)
		enough = func() {}
	}
	s.end = func(why error) error {
		cancel(why)
		s.running.Wait()
		release()
		defer enough()
		return s.close()
	}
	undone, err := journal.Recover("")
	for _, line := range undone {
		test.Logf("%s", line)
	}
	if err := s.limit(); err != nil { // after the recovery, which may have made room
		return nil, errors.Join(err, s.End(err))
	}
	if err != nil {
		test.Logf("undoing what earlier runs left: %v", err)
	}
	return s, nil
}

// limit has as many actions run at the same time as the limits of this process
// allow.
func (s *Session) limit() error {
	n, err := limits.Check(s.settings.Parallel)
	if err != nil {
		return err
	}
	if n < s.settings.Parallel {
		s.test.Logf("running %d actions at a time, not %d, to stay within the limits of files, processes and threads (ulimit -n, ulimit -u)", n, s.settings.Parallel)
		s.settings.Parallel = n
	}
	s.slots = semaphore.NewWeighted(int64(n))
	return nil
}

// beforeTimeout ends the context before go test's -timeout ends the process, so
// that there is time to say what was waited for.
func beforeTimeout(ctx context.Context, test Test) (context.Context, context.CancelFunc) {
	d, ok := test.(interface{ Deadline() (time.Time, bool) })
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

// Context ends with the session.
func (s *Session) Context() context.Context { return s.life }

// Parallel is how many actions run at the same time.
func (s *Session) Parallel() int { return s.settings.Parallel }

// Start reaches or starts the judge that the settings name.
func (s *Session) Start(p *plan.Plan) (err error) {
	s.plan = p
	if err := s.makeUsers(); err != nil {
		s.test.Logf("the tests' users: %v", err)
	}
	s.Streams = source.Open(s.settings)
	s.brief = &judge.Brief{
		Settings: s.settings, Plan: p, Streams: s.Streams, Containers: s.containers,
		Who: who(s.test), Logf: s.test.Logf, Explainer: func() (*engine.Engine, error) {
			t, err := s.explaining()
			if err != nil {
				return nil, err
			}
			return t.Engine, nil
		},
	}
	if s.Judge, err = s.openJudge(); err != nil {
		s.Judge = nil
		return err
	}
	s.JudgeName = s.Judge.Name()
	sessions.add(s)
	return nil
}

func (s *Session) openJudge() (judge.Judge, error) {
	switch scheme := s.settings.Judge(); scheme {
	case "builtin":
		return builtin.Open(s.life, s.brief)
	case "replay":
		return replaying.Open(s.life, s.brief)
	case "exec", "unix", "grpcs", "http", "https", "file":
		if s.settings.Record != "" {
			return nil, fmt.Errorf("recording the actions: the judge %s sees them itself, and nothing traces them here: let builtin: or replay: judge", s.settings.Falco)
		}
		if scheme == "exec" {
			return started.Open(s.life, s.brief)
		}
		return running.Open(s.life, s.brief)
	}
	return nil, fmt.Errorf("reaching the judge: %q is no URL of a Falco: want builtin:, unix:///path, grpcs://host:port?cert=…&key=…&ca=…, exec:///path, replay:///path, http://address, https://address or file:///path", s.settings.Falco)
}

// who names a test to others that wait for the same Falco: its binary, which
// is named after the package, and itself.
func who(t Test) string {
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".test") + " " + t.Name()
}

// Describe says who judges, and where the events come from that are not traced.
func (s *Session) Describe() string { return s.JudgeName + s.Streams.Describe() }

// Advice says what would have the judge's alerts be given to actions exactly, or "".
func (s *Session) Advice() string { return s.Judge.Advice() }

// Attach has the session end something else too, which it does not start itself.
func (s *Session) Attach(end func() error) {
	s.attached = append(s.attached, end)
	sessions.add(s)
}

// End stops the actions and ends what the session started.
func (s *Session) End(why error) error {
	sessions.remove(s)
	return s.end(why)
}

// close ends what the session started. Only the first call does anything.
func (s *Session) close() (err error) {
	s.closing.Do(func() {
		errs := []error{s.containers.Close(), s.Streams.Close()}
		for _, end := range s.attached {
			errs = append(errs, end())
		}
		if s.Judge != nil {
			errs = append(errs, s.Judge.Close())
		}
		err = errors.Join(append(errs, s.removeUsers())...)
	})
	return err
}

// stream is where the events come from by which something is judged, nil for those
// that are traced.
func (s *Session) stream(a *plan.Action) source.Live { return s.Streams[a.Source()] }
