// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gate"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/judge"
	"github.com/falcotest/go-falcotest/internal/limits"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/trace"
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
	chosen    []selected
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
	containers containers
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

// backend is who judges.
type backend interface {
	// name says who judges, with its version.
	name() string
	// judge returns who attributes alerts and decides.
	judge() *judge.Judge
	// watch attaches what has to see the child's system calls, while it waits
	// at its gate. A real Falco sees them anyway: its watcher is nil.
	watch(ctx context.Context, c *child.Child, sel selected) (watcher, error)
	// unsupported says why a rule cannot be judged, or "".
	unsupported(rule *rules.Rule) string
	// needs is what the judge needs of this machine to judge an action.
	needs(sel selected) []events.Need
	// ownNames tells whether the judge sees the host names that only an action
	// sees; see events.OwnNames.
	ownNames() bool
	// advice is what would make the judge's alerts attributable exactly, or "".
	advice() string
	close() error
}

// watcher is the built-in engine's eye on one child.
type watcher interface {
	// filter is the system call filter that the child has to install.
	filter() []byte
	// marks are those by which the child tells what of its doing is the action's.
	marks() trace.Marks
	// exit waits until the child's tree has ended, and tells in words how its
	// first process did, "" for a normal exit.
	exit() string
	// err is what went wrong in watching, after exit.
	err() error
	// why tells, after exit, why a rule did not fire.
	why(rule string) *engine.Why
	// note says what that rests on where another judged, or "".
	note() string
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
	s := &Session{cfg: cfg, containers: containers{choice: cfg.engine, image: cfg.image}, started: time.Now(), slots: semaphore.NewWeighted(int64(cfg.parallel)), life: ctx, logf: t.Logf}
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

// close ends what the session started. Only the first call does anything.
func (s *Session) close() (err error) {
	s.closing.Do(func() {
		err = errors.Join(s.containers.close(), s.closeLive(), s.backend.close(), s.removeUsers())
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
		return slices.ContainsFunc(tests, func(sel selected) bool { return sel.rule == r })
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

// Do runs an action and returns what became of it. It fails no test.
func (s *Session) Do(ctx context.Context, action string) *Result {
	sel := selected{action: action, all: true}
	if _, ok := events.All()[action]; !ok {
		return &Result{Action: action, Outcome: TriggerFailed, Judge: s.judgeName,
			Reason: fmt.Sprintf("no action of that name is registered%s", nearest(action, sortedKeys(events.All())))}
	}
	if s.set != nil {
		if i := slices.IndexFunc(s.set.Rules, func(r *rules.Rule) bool { return events.MatchRule(action, r.Name) }); i >= 0 {
			sel.rule = s.set.Rules[i]
		}
	}
	// It ends with the session, too.
	s.running.Add(1)
	defer s.running.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })()
	return s.run(ctx, sel)
}

// future is an action's result that is on its way.
type future struct {
	session  *Session
	selected selected
	once     sync.Once
	done     chan struct{}
	value    *Result
}

// start runs the action unless it runs already.
func (f *future) start() {
	f.once.Do(func() {
		f.session.running.Go(func() {
			defer close(f.done)
			f.session.terminal.runs(f.selected.action, true)
			f.value = f.session.run(f.session.life, f.selected)
			f.session.terminal.runs(f.selected.action, false)
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
		return -cmp.Compare(a.selected.duration(), b.selected.duration())
	})
	for _, f := range order {
		f.start()
	}
}

// run runs an action until its outcome is conclusive, or the retries are used
// up.
func (s *Session) run(ctx context.Context, sel selected) *Result {
	base := Result{Action: sel.action, Rule: sel.ruleName(), Judge: s.judgeName}
	if sel.test != nil {
		base.Test = sel.test.Pos.String()
		base.Case = sel.test.Case()
		if sel.test.Draft != "" {
			base.Outcome, base.Reason = TriggerFailed, "the test is a draft: "+sel.test.Draft
			base.Hint = fmt.Sprintf("complete the test at %s, and take the key draft away", base.Test)
			return &base
		}
		if sel.test.Skip != "" {
			base.Outcome, base.Reason = Skipped, sel.test.Skip
			return &base
		}
		if sel.test.EventsFile != "" || sel.test.Events != nil {
			s.recorded(ctx, sel, &base)
			return &base
		}
	}
	if sel.rule != nil {
		base.Position = Position{File: sel.rule.Pos.File, Line: sel.rule.Pos.Line}
		base.Priority = sel.rule.Priority.String()
		if why := s.backend.unsupported(sel.rule); why != "" {
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
func (s *Session) attempt(ctx context.Context, sel selected, alone bool, r *Result) (v judge.Verdict) {
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
		r.Outcome, r.Reason = Skipped, ended.Reason
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
func (s *Session) conduct(ctx context.Context, sel selected, alone bool, r *Result) (*child.Result, judge.Verdict, watcher) {
	none := func(err error) (*child.Result, judge.Verdict, watcher) {
		r.Outcome, r.Reason = TriggerFailed, err.Error()
		return nil, judge.Verdict{}, nil
	}
	c, err := s.startChild(ctx, sel)
	if err != nil {
		return none(err)
	}
	r.pid = c.PID()
	w, err := s.backend.watch(ctx, c, sel)
	if err != nil {
		c.Kill(nil)
		none(err)
		if errors.Is(err, fs.ErrPermission) { // it is not the action's fault
			r.Outcome = Skipped
		}
		return nil, judge.Verdict{}, nil
	}
	var setup child.Setup
	if w == nil {
		setup.Guard = 3 * judge.ClockSlack
	}
	if w != nil && s.liveOf(sel) == nil {
		setup = child.Setup{Filter: w.filter(), Marks: w.marks(), Exit: w.exit}
	}
	p := s.backend.judge().Expect(judge.Expectation{
		ID: c.ID(), Source: sel.source(), Rules: matcher(sel), Alert: sel.counts, Alone: alone, All: sel.whole(),
		Enough: func(alerts []judge.Attributed) bool { return s.shadowOf(sel, alerts) == nil },
	})
	p.Started(c.PID())
	if w == nil {
		s.settle(ctx, sel, r.Attempts)
	}
	if err := c.Go(setup); err != nil {
		p.Cancel()
		c.Kill(setup.Exit)
		return none(err)
	}
	ended := c.Wait(ctx)
	p.AddPIDs(ended.PIDs...)
	p.Ran(ended.Started, ended.Gone, ownProcesses(ended.Windows))
	p.Ended()
	if ended.Outcome != child.Completed {
		p.Cancel()
		return &ended, judge.Verdict{}, w
	}
	if w != nil && w.err() != nil {
		p.Cancel()
		return none(fmt.Errorf("tracing the action: %w", w.err()))
	}
	v, err := p.Wait(ctx)
	if err != nil {
		v.Outcome, v.Reason = judge.Inconclusive, fmt.Sprintf("the run was ended: %v", err)
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

// decide turns a verdict into a result.
func (s *Session) decide(ctx context.Context, r *Result, sel selected, v judge.Verdict, w watcher) {
	for _, a := range v.Alerts {
		r.Alerts = append(r.Alerts, a.Alert)
	}
	live := s.liveOf(sel)
	if live != nil && v.Outcome != judge.Detected {
		if trouble := live.Trouble(r.lost); trouble != "" {
			v.Outcome, v.Reason = judge.Inconclusive, trouble
		}
	}
	switch v.Outcome {
	case judge.Detected:
		r.Outcome = Detected
		r.Rule, r.Priority = v.Expected.Alert.Rule, v.Expected.Alert.Priority.String()
		r.Correlation = v.Expected.Strength.String()
		r.Latency = v.Latency
		if w != nil && sel.rule != nil {
			r.Note = w.why(sel.rule.Name).Assumption()
		}
		if shadow := s.shadowOf(sel, v.Alerts); shadow != nil {
			s.shadowed(r, shadow)
		}
	case judge.Missed:
		if s.strangerToFalco(sel, r, w) {
			break
		}
		if s.doubted(r, sel, w) || s.contradicted(r, sel, w) {
			break
		}
		r.Outcome, r.Reason = Missed, v.Reason
		if !v.Certain {
			r.Hint = fmt.Sprintf("no alert came within %s, and this judge cannot tell sooner nor for sure: a slower Falco needs a longer WithTimeout", s.cfg.timeout)
		}
		if r.Hint == "" && live != nil {
			r.Hint = live.Hint()
		}
	default:
		r.Outcome, r.Reason = Inconclusive, v.Reason
		r.Hint = s.backend.advice()
	}
	if sel.test != nil || sel.expect != nil {
		s.decided(r, sel, v, w)
	}
	if r.Outcome == Missed && sel.rule != nil && r.Shadow == nil {
		s.explain(ctx, r, sel, w)
	}
}

// doubted tells whether it hangs on what the watching engine cannot know whether
// the rule fired: then nothing was missed. It is in vain to run the action again
// where that can never be known.
func (s *Session) doubted(r *Result, sel selected, w watcher) bool {
	if w == nil || sel.rule == nil {
		return false
	}
	why := w.why(sel.rule.Name)
	if why == nil {
		return false
	}
	unknown, passing := why.Unknown()
	if unknown == "" {
		return false
	}
	r.Outcome, r.Reason, r.Why = Skipped, unknown, why
	if passing {
		r.Outcome = Inconclusive
	}
	return true
}

// contradicted tells whether the built-in engine alerts on the very events that a
// Falco was given as a recording and did not alert on: then one of the two is wrong,
// or the recording lacks what the rule asks for, and nothing is known of the rule.
func (s *Session) contradicted(r *Result, sel selected, w watcher) bool {
	b, ok := s.backend.(interface{ judgesRecordings() bool })
	if !ok || !b.judgesRecordings() || w == nil || sel.rule == nil || s.liveOf(sel) != nil {
		return false
	}
	why := w.why(sel.rule.Name)
	if why == nil || why.Alerts == 0 {
		return false
	}
	r.Outcome, r.lasting = Inconclusive, true
	r.Reason = "the built-in engine alerts on the recorded events, and this Falco does not"
	r.Hint = "a recording does not say since when processes run that were there before it began (proc.duration), nor does its Falco see the action's hosts file (fd.sip.name): such rules need a Falco that watches, or the built-in engine; anything else is a fault of the built-in engine, please report it"
	return true
}

// explain says why a rule did not fire: as the built-in engine saw it when it
// judged, and when a real Falco did, as it sees the same audit events or the
// same action once more.
func (s *Session) explain(ctx context.Context, r *Result, sel selected, w watcher) {
	switch {
	case w != nil:
		if r.Why = w.why(sel.rule.Name); r.Why != nil {
			r.WhyNote = w.note()
			if c := r.Why.Condition; c != nil && c.Wanted == 0 && s.liveOf(sel) == nil && r.Why.Alerts == 0 {
				s.seeAll(ctx, r, sel)
			}
		}
	case s.liveOf(sel) != nil:
		r.WhyNote = s.liveOf(sel).Unkept()
	default:
		s.explainAgain(ctx, r, sel)
	}
	if r.WhyNote != "" && r.Why != nil && r.Why.Alerts > 0 {
		if r.Hint == "" {
			r.Hint = fmt.Sprintf("see that the Falco has loaded %s as it is now, and compare its configuration with what the rule needs", r.Position.File)
		}
		r.Why = nil
		r.WhyNote += ", and there the rule did fire: the Falco that judged has other rules or another configuration (rule_matching: first, a minimum priority, the rule disabled), or did not see the event"
	}
	s.noteRemarks(r, sel.rule)
}

// noteRemarks adds to the explanation of a miss what is remarkable in the rule's
// condition and its macros: that a regex is none, or a word no list.
func (s *Session) noteRemarks(r *Result, rule *rules.Rule) {
	if r.Outcome != Missed || r.Why == nil || s.set == nil {
		return
	}
	items := []string{fmt.Sprintf("rule %q", rule.Name)}
	rule.Expr.Walk(func(e *filter.Expr) bool {
		if e.Kind == filter.Macro {
			items = append(items, fmt.Sprintf("macro %q", e.Name))
		}
		return true
	})
	var notes []string
	for _, p := range s.set.Remarks {
		if slices.Contains(items, p.Item) {
			notes = append(notes, p.Short())
		}
	}
	if c := r.Why.Condition; c != nil && c.Nearest != nil && len(notes) == 0 {
		word := c.Nearest.Clauses[0].Word
		if word != "" && !slices.ContainsFunc(s.set.Lists, func(l *rules.List) bool { return l.Name == word }) {
			notes = append(notes, fmt.Sprintf("there is no list %s: the word stands for itself", word))
		}
	}
	if len(notes) > 0 {
		if r.WhyNote != "" {
			notes = append(notes, r.WhyNote)
		}
		r.WhyNote = strings.Join(notes[:min(3, len(notes))], "\n")
	}
}

func matcher(sel selected) func(rule string) bool {
	switch {
	case sel.rule != nil:
		return func(rule string) bool { return rule == sel.rule.Name }
	case sel.test != nil:
		return func(rule string) bool { return sel.test.Rule != "" && rule == sel.test.Rule }
	}
	return func(rule string) bool { return events.MatchRule(sel.action, rule) }
}

// enter waits until an action may run, and returns what ends its turn.
func (s *Session) enter(ctx context.Context, sel selected, alone bool) (leave func(), err error) {
	n := int64(1)
	if alone {
		n = int64(s.cfg.parallel)
	}
	if _, inexact := s.backend.(*remote); sel.idles() && !alone && !inexact {
		n = 0 // its alerts are told from those of others in any case
	}
	if err := s.slots.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("the action was not started: %w", context.Cause(ctx))
	}
	return func() { s.slots.Release(n) }, nil
}

// startChild starts an action's process, in a container if it needs one.
func (s *Session) startChild(ctx context.Context, sel selected) (*child.Child, error) {
	spec := child.Spec{
		Env:      slices.Clone(s.cfg.env),
		Deadline: s.cfg.deadline,
		Hermetic: s.cfg.hermetic && events.HostMounts(sel.registered()) == "",
	}
	for _, live := range s.live {
		spec.Env = append(spec.Env, live.Environ()...)
		spec.KubeFlags = append(spec.KubeFlags, live.Flags()...)
	}
	like, needed := s.containers.need(sel)
	if err := sel.complete(&spec, needed); err != nil {
		return nil, err
	}
	if !needed {
		return child.Start(ctx, spec)
	}
	engine, err := s.containers.reach(ctx, s.logf)
	if err != nil {
		return nil, err
	}
	c, _, err := engine.Start(ctx, spec, like)
	return c, err
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
