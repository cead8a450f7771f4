// SPDX-License-Identifier: Apache-2.0

// Package replay judges recordings by the rules under test, with the built-in engine,
// and compares the alerts with what is expected of each.
//
// Recordings come in as files of any source that has some (internal/source); alerts go
// out, and verdicts to a test. It imports internal/plan for the files of the rules,
// internal/engine, internal/testfile for what is expected in files, and internal/result
// for messages. It runs nothing, and works everywhere.
package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/input"
	"github.com/falcotest/go-falcotest/internal/machine"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// Find expands patterns. A pattern that matches nothing is an error, and
// so is a recording beside which nothing is expected.
func Find(globs []string) ([]string, error) {
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

// Replayer is the built-in engine with the rules under test, for recordings.
type Replayer struct {
	engine *engine.Engine
	set    *rules.Set
	files  []string
	strict bool
}

// New loads the rules that the settings name.
func New(ctx context.Context, settings *config.Settings) (*Replayer, error) {
	files, err := plan.Files(settings)
	if err != nil {
		return nil, err
	}
	set, err := rules.Load(ctx, files.Names, rules.Options{Sources: source.Fields()})
	if err != nil {
		return nil, err
	}
	o := engine.Options{Matching: engine.All, Hostname: machine.Hostname()}
	if settings.RuleMatching == "first" {
		o.Matching = engine.First
	}
	if settings.Disabled {
		o.Enable = func(*rules.Rule) bool { return true }
	}
	e, err := engine.New(set, o)
	if err != nil {
		return nil, err
	}
	return &Replayer{engine: e, set: set, files: files.Names, strict: settings.Strict}, nil
}

// Recording is a recording that was judged.
type Recording struct {
	Alerts []*alert.Alert // in the order of the events that caused them
	Events uint64         // how many there are
	Source string         // of the events

	file string
	r    *Replayer
}

// Judge evaluates the rules for each event of a recording. With an error, the recording
// is what was judged until there.
func (r *Replayer) Judge(ctx context.Context, file string) (*Recording, error) {
	return r.judge(ctx, file, nil)
}

// Unreadable tells what is wrong with a recording, and what was judged until
// there.
func Unreadable(p *Recording, err error) string {
	var m result.Text
	m.Headline("the recording cannot be read to its end: %v", err)
	m.Headline("  this says nothing of any rule: the rest may have caused or prevented alerts")
	if p != nil && len(p.Alerts) > 0 {
		m.Add("alerts", p.alertLines()...)
	}
	return m.String()
}

// judge evaluates the rules for each event of a recording. The rules named are
// explained by the evaluator, which is returned in the error's absence and else.
func (r *Replayer) judge(ctx context.Context, file string, observe func(*engine.Evaluator)) (*Recording, error) {
	p := &Recording{file: file, r: r}
	f, err := input.Open(file)
	if err != nil {
		return p, fmt.Errorf("opening a recording: %w", err)
	}
	defer f.Close()
	ev := r.engine.NewEvaluator()
	if observe != nil {
		observe(ev)
	}
	emit := func(a *alert.Alert) { p.Alerts = append(p.Alerts, a) }
	src, rest, err := sourceOf(f)
	if err != nil {
		return p, fmt.Errorf("%s: %w", file, err)
	}
	p.Source = src.Name
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

// Check compares, in subtests, what is expected in the file beside the recording.
func (p *Recording) Check(t *testing.T) {
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
			p.Verify(t, &test.Expect, test.RulePos.String())
		})
	}
	for _, q := range expected.Quiet {
		t.Run("quiet: "+q.Rule, func(t *testing.T) {
			t.Helper()
			p.Verify(t, &expect.Expectation{Rule: q.Rule, Silent: true}, q.Pos.String())
		})
	}
}

func statError(name string) error {
	_, err := os.Stat(name)
	return err
}

// suggestion is a file that expects what the rules make of the recording now.
func (p *Recording) suggestion() string {
	counts := map[string]int{}
	var order []string
	for _, a := range p.Alerts {
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

// Verify turns an expectation into a verdict.
func (p *Recording) Verify(t testing.TB, e *expect.Expectation, pos string) {
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
	case rule != nil && rule.Source != p.Source:
		t.Fatal(p.notEvaluated(e, pos, fmt.Sprintf("the rule %q is for events of source %s, and the recording has %s", e.Rule, rule.Source, p.Source)))
	}
	if mismatch := e.Check(p.Alerts); mismatch != nil {
		t.Fatal(p.failure(t, e, pos, mismatch))
	}
}

func (p *Recording) ruleOf(name string) *rules.Rule {
	for _, r := range p.r.set.Rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func (p *Recording) notEvaluated(e *expect.Expectation, pos, what string) string {
	var m result.Text
	m.Headline("not evaluated: %s", what)
	m.Add("file", fmt.Sprintf("%s, %d events", p.file, p.Events))
	m.Add("expected", pos)
	m.Add("rules", p.r.files...)
	if r := p.ruleOf(e.Rule); r != nil {
		m.Add("rule", r.Pos.String())
		if r.Source == p.Source {
			m.Add("next", "enable it by WithDisabledActions or FALCOTEST_DISABLED=1, or leave it out")
		}
	} else {
		m.Add("next", "name a rule that the files define, or load the file that does")
	}
	return m.String()
}

// failure is what a person reads of an expectation that is not met.
func (p *Recording) failure(t testing.TB, e *expect.Expectation, pos string, mismatch *expect.Mismatch) string {
	var m result.Text
	m.Headline("%s", mismatch.Headline())
	m.Add("file", fmt.Sprintf("%s, %d events", p.file, p.Events))
	if r := p.ruleOf(e.Rule); r != nil {
		m.Add("rule", r.Pos.String())
	}
	m.Add("expected", pos)
	m.Add("judge", engine.Name())
	lines := mismatch.Lines()
	if len(lines) == 0 {
		lines = p.alertLines()
	}
	m.Add("alerts", lines...)
	if !e.Silent && len(mismatch.Matching)+len(mismatch.Other) == 0 {
		if why := p.why(t.Context(), e.Rule); why != nil {
			m.Add("why", strings.Split(strings.TrimRight(why.String(), "\n"), "\n")...)
		}
	}
	return m.String()
}

// why judges the recording once more, to see how near it came to the rule.
func (p *Recording) why(ctx context.Context, rule string) *engine.Why {
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

func (p *Recording) alertLines() []string {
	if len(p.Alerts) == 0 {
		return []string{"none"}
	}
	return result.AlertLines(p.Alerts)
}

// Wants tells why the rules cannot judge events of a source: there are none for it, or
// one is not supported.
func (r *Replayer) Wants(src *source.Source) error {
	for _, u := range r.engine.Unsupported() {
		if u.Rule.Source == src.Name {
			return fmt.Errorf("rule %q is not supported by the built-in engine: %s (%s)", u.Rule.Name, u.Reason, u.Rule.Pos)
		}
	}
	if len(r.engine.Evaluated(src.Name)) == 0 {
		return fmt.Errorf("no enabled rule for %s (source: %s) in %s", src.Events, src.Name, r.files)
	}
	return nil
}
