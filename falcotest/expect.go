// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/expect"
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
func OneOf(texts ...string) Matcher {
	if len(texts) == 0 {
		return Matcher{err: errors.New("OneOf names no text")}
	}
	return Matcher{m: expect.Any(texts...)}
}

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

// Expect expects at least one alert of the rule of that name; for [WithExpectation],
// "" is the action's rule.
func Expect(rule string) Expectation { return Expectation{e: expect.Expectation{Rule: rule}} }

// wrong is what is wrong with an expectation itself, nil if nothing is.
func (e Expectation) wrong() error {
	if e.err == nil && e.e.Rule == "" {
		return errors.New("it names no rule")
	}
	return e.err
}

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
	if name == "" {
		return e.noting(errors.New("a field has no name"))
	}
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
	if n < 0 {
		return e.noting(fmt.Errorf("there cannot be %d alerts", n))
	}
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
	if err := e.wrong(); err != nil {
		t.Fatalf("reading the expectation of %q: %v", e.e.Rule, err)
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

// expected are the expectations of registered actions.
func (c *settings) expected() (map[string]expect.Expectation, error) {
	all := map[string]expect.Expectation{}
	for _, action := range slices.Sorted(maps.Keys(c.expectations)) {
		e := c.expectations[action]
		if e.err != nil {
			return nil, fmt.Errorf("reading the expectation of %s: %w", action, e.err)
		}
		all[action] = e.e
	}
	return all, nil
}
