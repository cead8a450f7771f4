// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/input"
	"github.com/falcotest/go-falcotest/internal/machine"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// Replay judges recordings by the rules under test and compares the alerts with
// what is expected of each, in a file beside it: incident.scap and incident.yaml.
// Each recording is a subtest, named like the file. It needs neither Linux nor
// any privilege; the built-in engine judges.
//
// A recording is a .scap file, as Falco writes one when a rule with capture: true
// fires, or as sysdig does, gzipped or not; or a .json or .jsonl file of Kubernetes
// audit events. The file beside it has the words of the files of tests:
//
//	tests:
//	  - rule: Read sensitive file untrusted
//	    expectedOutcome:
//	      count: 1
//	      outputFields: {fd.name: /etc/shadow, proc.name: cat}
//	quiet: [Write below etc]
//
// A rule that is expected to be quiet must be loaded, enabled and supported, or
// the test fails: what was not evaluated proves nothing. A rule that the built-in
// engine does not support is skipped. A recording that cannot be read to its end
// fails its test, whatever was judged until there.
//
// The rules are those of FALCOTEST_RULES or the default of [WithRules]; for other
// options, and for expectations in Go, use [ReplayFile].
func Replay(t *testing.T, globs ...string) {
	t.Helper()
	replay(t, globs)
}

func replay(t *testing.T, globs []string, opts ...Option) {
	t.Helper()
	files, err := recordings(globs)
	if err != nil {
		t.Fatal(startMessage(err))
	}
	r, err := newReplayer(t.Context(), opts)
	if err != nil {
		t.Fatal(startMessage(err))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Helper()
			r.replayed(t, file).check(t)
		})
	}
}

// recordings expands patterns. A pattern that matches nothing is an error, and
// so is a recording beside which nothing is expected.
func recordings(globs []string) ([]string, error) {
	if len(globs) == 0 {
		return nil, errors.New("finding recordings: no pattern was given")
	}
	var files []string
	for _, glob := range globs {
		matches, err := filepath.Glob(glob)
		if err != nil {
			return nil, fmt.Errorf("finding recordings: %s: %w", glob, err)
		}
		matches = slices.DeleteFunc(matches, func(name string) bool { return isExpectation(name) })
		if len(matches) == 0 {
			return nil, fmt.Errorf("finding recordings: nothing matches %s", glob)
		}
		files = append(files, matches...)
	}
	return slices.Compact(files), nil
}

func isExpectation(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml":
		return true
	}
	return false
}

// expectationOf is the file beside a recording.
func expectationOf(recording string) string {
	base := strings.TrimSuffix(recording, ".gz")
	return strings.TrimSuffix(base, filepath.Ext(base)) + ".yaml"
}

// replayer is the built-in engine with the rules under test, for recordings.
type replayer struct {
	engine *engine.Engine
	set    *rules.Set
	files  []string
	strict bool
}

func newReplayer(ctx context.Context, opts []Option) (*replayer, error) {
	cfg, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	files, err := cfg.rulesFiles()
	if err != nil {
		return nil, err
	}
	set, err := rules.Load(ctx, files.Names, rules.Options{Sources: source.Fields()})
	if err != nil {
		return nil, err
	}
	o := engine.Options{Matching: engine.All, Hostname: machine.Hostname()}
	if cfg.matching == "first" {
		o.Matching = engine.First
	}
	if cfg.disabled {
		o.Enable = func(*rules.Rule) bool { return true }
	}
	e, err := engine.New(set, o)
	if err != nil {
		return nil, err
	}
	return &replayer{engine: e, set: set, files: files.Names, strict: cfg.strict}, nil
}

// Replayed is a recording that was judged.
type Replayed struct {
	// Alerts are in the order of the events that caused them.
	Alerts []*Alert

	// Events is how many events the recording has.
	Events uint64

	alerts []*alert.Alert
	file   string
	source string
	r      *replayer
}

// ReplayFile judges a recording by the rules under test, with the built-in
// engine, and returns the alerts: see [Replay]. Of the options, it takes note of
// those about rules. It fails t when the rules do not load, and when the
// recording cannot be read to its end.
func ReplayFile(t testing.TB, file string, opts ...Option) *Replayed {
	t.Helper()
	r, err := newReplayer(t.Context(), opts)
	if err != nil {
		t.Fatal(startMessage(err))
	}
	return r.replayed(t, file)
}

func (r *replayer) replayed(t testing.TB, file string) *Replayed {
	t.Helper()
	p, err := r.judge(t.Context(), file, nil)
	if err != nil {
		t.Fatal(unreadable(p, err))
	}
	p.Alerts = published(p.alerts)
	return p
}

// unreadable tells what is wrong with a recording, and what was judged until
// there.
func unreadable(p *Replayed, err error) string {
	var m message
	fmt.Fprintf(&m.b, "the recording cannot be read to its end: %v\n", err)
	m.b.WriteString("  this says nothing of any rule: the rest may have caused or prevented alerts\n")
	if p != nil && len(p.alerts) > 0 {
		m.add("alerts", p.alertLines()...)
	}
	return m.String()
}

// judge evaluates the rules for each event of a recording. The rules named are
// explained by the evaluator, which is returned in the error's absence and else.
func (r *replayer) judge(ctx context.Context, file string, observe func(*engine.Evaluator)) (*Replayed, error) {
	p := &Replayed{file: file, r: r}
	f, err := input.Open(file)
	if err != nil {
		return p, fmt.Errorf("opening a recording: %w", err)
	}
	defer f.Close()
	ev := r.engine.NewEvaluator()
	if observe != nil {
		observe(ev)
	}
	emit := func(a *alert.Alert) { p.alerts = append(p.alerts, a) }
	src, rest, err := sourceOf(f)
	if err != nil {
		return p, fmt.Errorf("%s: %w", file, err)
	}
	p.source = src.Name
	var types []string
	if observe == nil {
		types = r.engine.EventTypes(src.Name)
	}
	p.Events, err = src.Recording.Read(ctx, rest, types, func(event any) { ev.Evaluate(src.Name, event, emit) })
	if err != nil {
		return p, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// sourceOf tells which source a recording is of.
func sourceOf(f *os.File) (*source.Source, io.Reader, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("reading a recording: %w", err)
	}
	head = head[:n]
	return source.Recorded(head), io.MultiReader(bytes.NewReader(head), f), nil
}

// Expected says what the alerts of a rule are to be like. The zero value is any
// alert, at least one.
type Expected struct {
	// Count is how many alerts are to be like that; 0 is one or more.
	Count int
	// OutputFields are output fields by name, with the text that they have.
	OutputFields map[string]string
	// Tags are tags that the alerts have, among others.
	Tags []string
}

// Fires fails t unless the recording made the rule fire, as expected.
func (p *Replayed) Fires(t testing.TB, rule string, want Expected) {
	t.Helper()
	e := &expect.Expectation{Rule: rule, Tags: want.Tags}
	for _, name := range slices.Sorted(maps.Keys(want.OutputFields)) {
		e.Fields = append(e.Fields, expect.Field{Name: name, Matcher: expect.Equal(want.OutputFields[name])})
	}
	if want.Count > 0 {
		e.Count = expect.Exactly(want.Count)
	}
	p.verify(t, e, "")
}

// Silent fails t if the recording made the rule fire, and also when the rule was
// not evaluated: one that is not loaded, disabled, or of another source proves
// nothing by its silence.
func (p *Replayed) Silent(t testing.TB, rule string) {
	t.Helper()
	p.verify(t, &expect.Expectation{Rule: rule, Silent: true}, "")
}

// check compares with what is expected in the file beside the recording.
func (p *Replayed) check(t *testing.T) {
	t.Helper()
	name := expectationOf(p.file)
	expected, err := testfile.LoadRecording(name)
	switch {
	case errors.Is(statError(name), fs.ErrNotExist):
		t.Fatalf("nothing is expected of the recording: write %s, for example\n\n%s", name, p.suggestion())
	case err != nil:
		t.Fatalf("what is expected of the recording cannot be read:\n%v", err)
	}
	for _, test := range expected.Tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Helper()
			p.verify(t, &test.Expect, test.RulePos.String())
		})
	}
	for _, q := range expected.Quiet {
		t.Run("quiet: "+q.Rule, func(t *testing.T) {
			t.Helper()
			p.verify(t, &expect.Expectation{Rule: q.Rule, Silent: true}, q.Pos.String())
		})
	}
}

func statError(name string) error {
	_, err := os.Stat(name)
	return err
}

// suggestion is a file that expects what the rules make of the recording now.
func (p *Replayed) suggestion() string {
	counts := map[string]int{}
	var order []string
	for _, a := range p.alerts {
		if counts[a.Rule]++; counts[a.Rule] == 1 {
			order = append(order, a.Rule)
		}
	}
	if len(order) == 0 {
		return "quiet:\n  - NAME OF A RULE   # no rule fired"
	}
	var b strings.Builder
	b.WriteString("tests:\n")
	for _, rule := range order {
		fmt.Fprintf(&b, "  - rule: %q\n    expectedOutcome: {count: %d}\n", rule, counts[rule])
	}
	return b.String()
}

// verify turns an expectation into a verdict.
func (p *Replayed) verify(t testing.TB, e *expect.Expectation, pos string) {
	t.Helper()
	status, reason := p.r.engine.Status(e.Rule)
	rule := p.ruleOf(e.Rule)
	switch {
	case status == engine.Unsupported:
		text := fmt.Sprintf("skipped: the rule %q is not supported by the built-in engine: %s", e.Rule, reason)
		if !p.r.strict {
			t.Skip(text)
		}
		t.Fatal(text)
	case status != engine.Evaluated:
		t.Fatal(p.notEvaluated(e, pos, fmt.Sprintf("the rule %q is %s", e.Rule, status)))
	case rule != nil && rule.Source != p.source:
		t.Fatal(p.notEvaluated(e, pos, fmt.Sprintf("the rule %q is for events of source %s, and the recording has %s", e.Rule, rule.Source, p.source)))
	}
	if mismatch := e.Check(p.alerts); mismatch != nil {
		t.Fatal(p.failure(t, e, pos, mismatch))
	}
}

func (p *Replayed) ruleOf(name string) *rules.Rule {
	for _, r := range p.r.set.Rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func (p *Replayed) notEvaluated(e *expect.Expectation, pos, what string) string {
	var m message
	fmt.Fprintf(&m.b, "not evaluated: %s\n", what)
	m.add("file", fmt.Sprintf("%s, %d events", p.file, p.Events))
	m.add("expected", pos)
	m.add("rules", p.r.files...)
	if r := p.ruleOf(e.Rule); r != nil {
		m.add("rule", r.Pos.String())
		if r.Source == p.source {
			m.add("next", "enable it by WithDisabledActions or FALCOTEST_DISABLED=1, or leave it out")
		}
	} else {
		m.add("next", "name a rule that the files define, or load the file that does")
	}
	return m.String()
}

// failure is what a person reads of an expectation that is not met.
func (p *Replayed) failure(t testing.TB, e *expect.Expectation, pos string, mismatch *expect.Mismatch) string {
	var m message
	fmt.Fprintf(&m.b, "%s\n", mismatch.Headline())
	m.add("file", fmt.Sprintf("%s, %d events", p.file, p.Events))
	if r := p.ruleOf(e.Rule); r != nil {
		m.add("rule", r.Pos.String())
	}
	m.add("expected", pos)
	m.add("judge", builtinName())
	lines := mismatch.Lines()
	if len(lines) == 0 {
		lines = p.alertLines()
	}
	m.add("alerts", lines...)
	if !e.Silent && len(mismatch.Matching)+len(mismatch.Other) == 0 {
		if why := p.why(t.Context(), e.Rule); why != nil {
			m.add("why", strings.Split(strings.TrimRight(why.String(), "\n"), "\n")...)
		}
	}
	return m.String()
}

// why judges the recording once more, to see how near it came to the rule.
func (p *Replayed) why(ctx context.Context, rule string) *engine.Why {
	var ev *engine.Evaluator
	_, err := p.r.judge(ctx, p.file, func(e *engine.Evaluator) {
		if e.Explain(rule) == nil {
			ev = e
		}
	})
	if err != nil || ev == nil {
		return nil
	}
	return ev.Why(rule)
}

func (p *Replayed) alertLines() []string {
	if len(p.alerts) == 0 {
		return []string{"none"}
	}
	r := &Result{alerts: p.alerts}
	return r.alertLines()
}

// AuditEvents judges recorded Kubernetes audit events by the rules under test,
// with the built-in engine and without any cluster, and returns the alerts in
// the order of the events. The file holds what an API server writes to its
// audit log or sends to a webhook: events in JSON, one after the other or in
// lists. Of the options, it takes note of those about rules.
//
// It is [ReplayFile] for such a file, and fails t also when no rule for audit
// events is enabled, and when one is not supported by the built-in engine: then
// nothing can be said of that rule.
func AuditEvents(t testing.TB, file string, opts ...Option) []*Alert {
	t.Helper()
	r, err := newReplayer(t.Context(), opts)
	if err == nil {
		err = r.wantsAudit()
	}
	if err != nil {
		t.Fatal(startMessage(err))
	}
	p, err := r.judge(t.Context(), file, nil)
	switch {
	case err != nil:
		t.Fatal(startMessage(err))
	case p.source != k8saudit.Name:
		t.Fatal(startMessage(fmt.Errorf("%s: not a file of audit events, which are JSON", file)))
	}
	return published(p.alerts)
}

func (r *replayer) wantsAudit() error {
	for _, u := range r.engine.Unsupported() {
		if u.Rule.Source == k8saudit.Name {
			return fmt.Errorf("rule %q is not supported by the built-in engine: %s (%s)", u.Rule.Name, u.Reason, u.Rule.Pos)
		}
	}
	if len(r.engine.Evaluated(k8saudit.Name)) == 0 {
		return fmt.Errorf("no enabled rule for audit events (source: %s) in %s", k8saudit.Name, r.files)
	}
	return nil
}
