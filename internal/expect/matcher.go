// SPDX-License-Identifier: Apache-2.0

// Package expect says what alerts are expected, and compares them with those
// that came.
//
// It is the one implementation of expectations, for test files in YAML and for
// Go. It imports internal/alert alone. An [Expectation] and alerts enter; a
// [Mismatch], which is for a person to read, or nil leaves.
package expect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Op is how a [Matcher] compares. Its values are the keys of the test files'
// language.
type Op string

// The ways to compare a text with what is wanted.
const (
	Equals     Op = "equals"
	Contains   Op = "contains"
	StartsWith Op = "startsWith"
	EndsWith   Op = "endsWith"
	Matches    Op = "matches" // a regular expression, RE2, anywhere in the text
	OneOf      Op = "oneOf"
	Exists     Op = "exists" // the text is there at all, or is not
)

// Ops are all ways to compare, in the order of documentation.
var Ops = []Op{Equals, Contains, StartsWith, EndsWith, Matches, OneOf, Exists}

// Matcher judges one text, such as the value of an output field. The zero value
// matches whatever is there.
type Matcher struct {
	op   Op
	want []string
	not  bool // of Exists
	re   *regexp.Regexp
}

// Equal matches just that text. "<NA>" is how Falco prints that a field has no
// value, and matches where there is none.
func Equal(text string) Matcher { return Matcher{op: Equals, want: []string{text}} }

// Containing matches texts that contain a part.
func Containing(part string) Matcher { return Matcher{op: Contains, want: []string{part}} }

// Prefix matches texts that start so.
func Prefix(prefix string) Matcher { return Matcher{op: StartsWith, want: []string{prefix}} }

// Suffix matches texts that end so.
func Suffix(suffix string) Matcher { return Matcher{op: EndsWith, want: []string{suffix}} }

// Regexp matches texts in which a regular expression, of the syntax of Go's
// package regexp, matches anywhere.
func Regexp(expr string) (Matcher, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return Matcher{}, fmt.Errorf("reading a regular expression: %w", err)
	}
	return Matcher{op: Matches, want: []string{expr}, re: re}, nil
}

// Any matches each of the texts.
func Any(texts ...string) Matcher { return Matcher{op: OneOf, want: slices.Clone(texts)} }

// Present matches whatever is there; Present(false), that nothing is.
func Present(there bool) Matcher { return Matcher{op: Exists, not: !there} }

// Op returns how the matcher compares.
func (m Matcher) Op() Op { return m.op }

// Match tells whether a text matches; has is false where there is none.
func (m Matcher) Match(text string, has bool) bool {
	if m.op == Exists {
		return has != m.not
	}
	if !has {
		return (m.op == Equals || m.op == OneOf) && slices.Contains(m.want, missing)
	}
	switch m.op {
	case Equals, OneOf:
		return slices.Contains(m.want, text)
	case Contains:
		return strings.Contains(text, m.want[0])
	case StartsWith:
		return strings.HasPrefix(text, m.want[0])
	case EndsWith:
		return strings.HasSuffix(text, m.want[0])
	case Matches:
		return m.re.MatchString(text)
	}
	return true
}

// missing is what Falco prints for a field without a value.
const missing = "<NA>"

// String says what is wanted: `= "x"`, `startsWith "/etc/"`, `exists`.
func (m Matcher) String() string {
	switch m.op {
	case "":
		return "is anything"
	case Equals:
		return "= " + quote(m.want[0])
	case Exists:
		if m.not {
			return "has no value"
		}
		return "exists"
	case OneOf:
		quoted := make([]string, len(m.want))
		for i, w := range m.want {
			quoted[i] = quote(w)
		}
		return "oneOf " + strings.Join(quoted, ", ")
	}
	return string(m.op) + " " + quote(m.want[0])
}

// closeness rates a text that does not match from 0 to below 1, to show the
// nearest alert first.
func (m Matcher) closeness(text string, has bool) float64 {
	if !has || m.op == Exists || m.op == Matches {
		return 0
	}
	best := 0.0
	for _, want := range m.want {
		common := 0
		for common < len(want) && common < len(text) && want[common] == text[common] {
			common++
		}
		tail := 0
		for tail < len(want)-common && tail < len(text)-common && want[len(want)-1-tail] == text[len(text)-1-tail] {
			tail++
		}
		best = max(best, 0.9*float64(common+tail)/float64(max(len(want), len(text), 1)))
	}
	return best
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
