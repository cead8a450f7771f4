// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Matcher judges one text of an alert, such as the value of an output field.
// The zero value matches whatever is there.
type Matcher struct {
	m   expect.Matcher
	err error
}

// Equals matches just that text; "<NA>", that there is no value.
func Equals(text string) Matcher { return Matcher{m: expect.Equal(text)} }

// Contains matches texts of which this is a part.
func Contains(part string) Matcher { return Matcher{m: expect.Containing(part)} }

// HasPrefix matches texts that start so.
func HasPrefix(prefix string) Matcher { return Matcher{m: expect.Prefix(prefix)} }

// HasSuffix matches texts that end so.
func HasSuffix(suffix string) Matcher { return Matcher{m: expect.Suffix(suffix)} }

// Matches matches texts in which a regular expression, as package regexp reads
// them, matches anywhere.
func Matches(expr string) Matcher {
	m, err := expect.Regexp(expr)
	return Matcher{m, err}
}

// OneOf matches each of the texts.
func OneOf(texts ...string) Matcher { return Matcher{m: expect.Any(texts...)} }

// Exists matches whatever value is there, and nothing where there is none.
func Exists() Matcher { return Matcher{m: expect.Present(true)} }

// Expectation says which alerts of a rule are expected. Its methods return
// changed copies, so that expectations can be kept and made more precise:
//
//	falcotest.Expect("Write below etc").
//		Priority("Error").
//		Field("fd.name", falcotest.HasPrefix("/etc/")).
//		Tag("filesystem").
//		Count(1)
//
// Use it for the alerts of [Session.Trigger] by [Expectation.Check], and for
// [Run] by [WithExpectation]. What is not named is not compared.
type Expectation struct {
	e   expect.Expectation
	err error
}

// Expect expects at least one alert of the rule of that name.
func Expect(rule string) Expectation { return Expectation{e: expect.Expectation{Rule: rule}} }

// Priority expects alerts of just that priority, in any case.
func (e Expectation) Priority(name string) Expectation {
	p, err := alert.ParsePriority(name)
	e.e.Priority = expect.Priority(p)
	return e.noting(err)
}

// AtLeast expects alerts of that priority or a more severe one.
func (e Expectation) AtLeast(name string) Expectation {
	p, err := alert.ParsePriority(name)
	e.e.Priority = expect.AtLeast(p)
	return e.noting(err)
}

// Field expects a value of an output field. [Run] and sessions have the built-in
// engine, and a Falco that they start, print the fields that [WithExpectation]
// names; of other alerts, the rule's output must print them.
func (e Expectation) Field(name string, m Matcher) Expectation {
	e.e.Fields = append(slices.Clip(e.e.Fields), expect.Field{Name: name, Matcher: m.m})
	return e.noting(m.err)
}

// Output expects something of the whole output.
func (e Expectation) Output(m Matcher) Expectation {
	e.e.Output = append(slices.Clip(e.e.Output), m.m)
	return e.noting(m.err)
}

// Tag expects tags, among others.
func (e Expectation) Tag(tags ...string) Expectation {
	e.e.Tags = append(slices.Clip(e.e.Tags), tags...)
	return e
}

// Source expects alerts of a source of events, such as "syscall".
func (e Expectation) Source(name string) Expectation {
	e.e.Source = name
	return e
}

// Count expects just n such alerts; 0 expects none.
func (e Expectation) Count(n int) Expectation {
	e.e.Count = expect.Exactly(n)
	return e
}

func (e Expectation) noting(err error) Expectation {
	if e.err == nil {
		e.err = err
	}
	return e
}

// Check fails t, with the difference, unless the alerts are as expected. They
// must be all of what was done, as [Session.Trigger] returns them.
func (e Expectation) Check(t testing.TB, alerts []*Alert) {
	t.Helper()
	if e.err != nil {
		t.Fatalf("reading the expectation of %q: %v", e.e.Rule, e.err)
	}
	if mismatch := e.e.Check(internals(alerts)); mismatch != nil {
		text := "unexpected: " + strings.ReplaceAll(mismatch.String(), "\n", "\n  ")
		if len(mismatch.Foreign) > 0 {
			var other []string
			for _, a := range mismatch.Foreign {
				if !slices.Contains(other, a.Rule) {
					other = append(other, a.Rule)
				}
			}
			text += "\n  other rules fired: " + strings.Join(other, ", ")
		}
		t.Error(text)
	}
}

// WithExpectation says what the alert of a registered action must be like, for
// [Run]. Without, any alert of its rule passes; of a near miss, none does.
func WithExpectation(action string, e Expectation) Option {
	return func(c *settings) {
		if c.expectations == nil {
			c.expectations = map[string]Expectation{}
		}
		c.expectations[action] = e
	}
}

// expectations gives the chosen actions what is expected of them, and adds their
// near misses, which must not cause an alert.
func (s *Session) expectations() error {
	for _, action := range sortedKeys(s.cfg.expectations) {
		e := s.cfg.expectations[action]
		if e.err != nil {
			return fmt.Errorf("reading the expectation of %s: %w", action, e.err)
		}
		if _, ok := events.All()[action]; !ok {
			return fmt.Errorf("reading the expectation of %s: no action of that name is registered%s", action, nearest(action, sortedKeys(events.All())))
		}
	}
	var all []*plan.Action
	for _, sel := range s.chosen {
		if e, ok := s.cfg.expectations[sel.Name]; ok && sel.Test == nil {
			want := e.e
			if sel.Rule != nil && want.Rule == "" {
				want.Rule = sel.Rule.Name
			}
			if sel.Rule != nil && want.Rule != sel.Rule.Name {
				return fmt.Errorf("reading the expectation of %s: it is of the rule %q, and the action is for %q", sel.Name, want.Rule, sel.Rule.Name)
			}
			sel.Expect = &want
		}
		all = append(all, sel)
		if sel.Test != nil || sel.Rule == nil {
			continue
		}
		for _, name := range events.NearMisses(sel.Name) {
			near := plan.Registered(name, sel.Rule)
			near.Named, near.Expect = sel.Named, &expect.Expectation{Rule: sel.Rule.Name, Silent: true}
			if e, ok := s.cfg.expectations[name]; ok {
				want := e.e
				want.Rule = cmp.Or(want.Rule, sel.Rule.Name)
				near.Expect = &want
			}
			all = append(all, near)
		}
	}
	s.chosen = all
	return nil
}

// Silent runs an action and fails t if the rule fires for it, or if that it did
// not would prove nothing: the rule must be loaded, enabled and supported, and
// evaluated for what the action did. It skips t when the action cannot run here.
func (s *Session) Silent(t testing.TB, action, rule string) {
	t.Helper()
	if _, ok := events.All()[action]; !ok {
		t.Fatalf("no action %q is registered%s", action, nearest(action, sortedKeys(events.All())))
	}
	sel := plan.Registered(action, nil)
	sel.All, sel.Expect = true, &expect.Expectation{Rule: rule, Silent: true}
	if s.set == nil {
		t.Fatal("whether the Falco has the rule is not known here: name its rules files by WithRules or FALCOTEST_RULES")
	}
	i := slices.IndexFunc(s.set.Rules, func(r *rules.Rule) bool { return r.Name == rule })
	if i < 0 {
		var names []string
		for _, r := range s.set.Rules {
			names = append(names, r.Name)
		}
		t.Fatalf("there is no rule %q among the rules under test%s: that it stays silent proves nothing", rule, nearest(rule, names))
	}
	sel.Rule = s.set.Rules[i]
	if !s.enables(sel.Rule) {
		t.Fatalf("the rule %q is disabled (%s): that it stays silent proves nothing", rule, sel.Rule.Pos)
	}
	if why := s.backend.unsupported(sel.Rule); why != "" {
		t.Fatalf("the rule %q cannot be judged: %s: that it stays silent proves nothing", rule, why)
	}
	switch r := s.run(t.Context(), sel); r.Outcome {
	case Silent:
	case Skipped:
		if !s.cfg.strict {
			t.Skip(r.message(""))
		}
		t.Fatal(r.message(""))
	default:
		t.Error(r.message(t.Name()))
	}
}

// notEvaluated is why nothing can be said of a rule that must not fire: where it
// was not evaluated, that it stayed silent means nothing.
func (s *Session) notEvaluated(sel *plan.Action, w watcher) error {
	if sel.Rule == nil {
		return errors.New("whether the Falco has the rule is not known here: name its rules files by WithRules or FALCOTEST_RULES")
	}
	if w == nil {
		return nil
	}
	if why := w.why(sel.Rule.Name); why != nil && why.Status != engine.Evaluated.String() {
		return fmt.Errorf("the rule was not evaluated: %s", why)
	}
	return nil
}
