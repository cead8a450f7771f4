// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"fmt"
	"strings"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// Mismatch is an expectation that alerts did not meet.
type Mismatch struct {
	Expectation *Expectation
	Matching    []*alert.Alert // those that are as expected, too few or too many
	Other       []*alert.Alert // of the rule, but not as expected, the nearest first
	Foreign     []*alert.Alert // of other rules
}

// Headline says in one line what is wrong.
func (m *Mismatch) Headline() string {
	e := m.Expectation
	such := ""
	if e.detailed() {
		such = " as expected"
	}
	switch n := len(m.Matching); {
	case e.Silent && e.detailed():
		return fmt.Sprintf("the rule %q fired as it must not", e.Rule)
	case e.Silent:
		return fmt.Sprintf("the rule %q fired, and must not", e.Rule)
	case n == 0 && len(m.Other) == 0:
		return fmt.Sprintf("the rule %q did not fire", e.Rule)
	case n == 0:
		return fmt.Sprintf("the rule %q fired, and no alert was as expected", e.Rule)
	default:
		return fmt.Sprintf("%s of the rule %q came%s, %s wanted", alerts(n), e.Rule, such, e.Count)
	}
}

// detailed tells whether more is expected than an alert of the rule.
func (e *Expectation) detailed() bool {
	return len(e.compare(&alert.Alert{})) > 0
}

func alerts(n int) string {
	if n == 1 {
		return "1 alert"
	}
	return fmt.Sprintf("%d alerts", n)
}

// maxShown is how many alerts a difference shows.
const maxShown = 3

// Lines show the difference between expected and received alerts: "-" before
// what was expected and is not so, "+" before what came instead, the nearest
// alert first. There are none when no alert of the rule came.
func (m *Mismatch) Lines() []string {
	var lines []string
	shown := m.Other
	if m.Expectation.Silent || len(m.Matching) > 0 {
		shown = m.Matching
	}
	for i, a := range shown {
		if i == maxShown {
			lines = append(lines, fmt.Sprintf("and %s more", alerts(len(shown)-maxShown)))
			break
		}
		lines = append(lines, fmt.Sprintf("%s  %s", a.Priority, oneLine(a.Bare())))
		lines = append(lines, difference(m.Expectation.compare(a))...)
	}
	return lines
}

// difference shows comparisons. Of several of one name, what came is shown once.
func difference(compared []line) (lines []string) {
	for i := 0; i < len(compared); {
		l := compared[i]
		var wrong []string
		for ; i < len(compared) && compared[i].name == l.name; i++ {
			if !compared[i].ok {
				wrong = append(wrong, fmt.Sprintf("  - %s %s", l.name, compared[i].want))
			}
		}
		sign := " "
		if len(wrong) > 0 {
			sign = "+"
		}
		lines = append(lines, append(wrong, fmt.Sprintf("  %s %s %s", sign, l.name, l.got))...)
	}
	return lines
}

// String is the headline and the difference.
func (m *Mismatch) String() string {
	return strings.Join(append([]string{m.Headline()}, m.Lines()...), "\n")
}

// Error makes it an error.
func (m *Mismatch) Error() string { return m.String() }

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:199]) + "…"
	}
	return s
}
