// SPDX-License-Identifier: Apache-2.0

// Package plan says what is to be run and what is expected of it, once: an action,
// the rule that it is for, what it needs, where it runs, and which alerts are to come.
//
// Settings enter: the rules that they name are loaded ([Load]), and what is asked for is
// planned ([Plan.Select]). Actions come from the registry ([Registered]) or from a test
// file ([Case]), and need not be registered: whatever package run can run will do. A plan
// is passed on whole, to package run and to whoever judges. It imports internal/config,
// internal/run, internal/testfile, internal/rules, internal/expect, internal/source, and
// internal/perform for what the cases of test files do.
package plan

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/run"
	"github.com/falcotest/go-falcotest/internal/scenario"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// Action is one thing to run, with the rule that is expected to fire. Its fields are
// set where it is planned, and do not change while it runs.
type Action struct {
	run.Action
	// Scenario is what a case of a test file does, nil where a registered action
	// does it.
	Scenario *scenario.Scenario
	// Oversleep is what its scripts sleep beyond the time that is added to its deadline.
	Oversleep time.Duration

	Rule  *rules.Rule // nil when no rules files are given
	Named bool        // asked for by its full name, which enables its rule too
	All   bool        // wait for all of its alerts, not just the expected one

	Test   *testfile.Test      // nil for a registered action without a test
	Expect *expect.Expectation // nil expects an alert of the rule, whatever it is like
	Quiet  []testfile.QuietRule
}

// Registered plans a registered action, for a rule or for none.
func Registered(name string, rule *rules.Rule) *Action {
	return &Action{Action: run.Registered(name), Rule: rule}
}

// Case plans a case of a test file, whose rule is set where the rules are known.
func Case(t *testfile.Test) *Action {
	a := &Action{Test: t, Named: true}
	if t.Work != nil {
		a.Needs = t.Work.Needs()
		a.Program = a.prepareWork
	} else if s := t.Scenario; s != nil && len(s.Steps) == 1 && s.Steps[0].Action != "" {
		a.Action = run.Registered(s.Steps[0].Action)
	} else if s != nil {
		a.Scenario = s
		a.Duration, a.Oversleep = duration(s)
		a.Program = a.prepare
		if c := s.Container; c != nil {
			repository, tag := imageName(c.Image)
			a.Container = &events.Container{Privileged: true, Name: c.Name, WholeName: true, Repository: repository, Tag: tag}
		}
	}
	a.Name = t.Name
	return a
}

// imageName cuts an image's name, such as registry:5000/name:tag@sha256:0123, into its
// repository and its tag, which is latest where it names none.
func imageName(name string) (repository, tag string) {
	name, _, digest := strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i+1:]
	}
	if name == "" || digest {
		return name, ""
	}
	return name, "latest"
}

// sleeping finds how long scripts sleep, but in the background.
var sleeping = regexp.MustCompile(`(?m)(?:^|[;&|\s])sleep\s+(\d+(?:\.\d+)?)([smhd]?)\s*(&?&?)`)

// maxScriptSleep is how much of what a test's scripts sleep is added to the time that
// it may take.
const maxScriptSleep = time.Minute

// duration is how long a scenario takes at least, and how much of what its scripts
// sleep is left out of that.
func duration(s *scenario.Scenario) (sum, over time.Duration) {
	for _, m := range sleeping.FindAllStringSubmatch(s.Before+"\n"+s.After, -1) {
		if m[3] == "&" {
			continue
		}
		count, _ := strconv.ParseFloat(m[1], 64)
		unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		sum += time.Duration(min(count*float64(max(unit, time.Second)), float64(1000*24*time.Hour)))
	}
	if over = max(0, sum-maxScriptSleep); over > 0 {
		sum = maxScriptSleep
	}
	for _, step := range s.Steps {
		sum += step.Sleep
	}
	return sum, over
}

// prepare completes a process's specification so that it does what a case does.
func (a *Action) prepare(spec *child.Spec, made bool) error {
	if c := a.Scenario.Container; c != nil && made {
		spec.Env = append(spec.Env, c.Env...)
	}
	spec.Deadline += a.Duration
	return prepareScenario(spec, a.Scenario, made)
}

// prepareWork completes a process's specification so that it does what a case of a
// source says.
func (a *Action) prepareWork(spec *child.Spec, _ bool) (err error) {
	spec.Program, spec.Data, err = a.Test.Work.Program(a.Test.Template)
	return err
}

// idle is how long a case must sleep that it is run beside those that have a
// turn: it hardly uses a processor.
const idle = time.Second

// Idles tells whether it sleeps for long enough to be run beside others.
func (a *Action) Idles() bool { return a.Scenario != nil && a.Duration >= idle }

// Whole tells whether all of its alerts must have come before it is judged.
func (a *Action) Whole() bool {
	return a.All || len(a.Quiet) > 0 || a.Expect != nil && a.Expect.Whole()
}

// Counts tells whether an alert of the rule is the one that is expected.
func (a *Action) Counts(alert *alert.Alert) bool {
	return a.Expect == nil || a.Expect.Match(alert)
}

// Fires tells whether it is a rule of that name that is expected to fire.
func (a *Action) Fires(rule string) bool {
	switch {
	case a.Rule != nil:
		return rule == a.Rule.Name
	case a.Test != nil:
		return a.Test.Rule != "" && rule == a.Test.Rule
	}
	return events.MatchRule(a.Name, rule)
}

// RuleName is the name of its rule, or "".
func (a *Action) RuleName() string {
	if a.Rule == nil {
		return ""
	}
	return a.Rule.Name
}

// Source is the source of the alerts that are expected.
func (a *Action) Source() string {
	if a.Rule != nil {
		return a.Rule.Source
	}
	for _, src := range source.All() {
		if a.Declares(src) {
			return src.Name
		}
	}
	return source.Default
}

// Declares tells whether the action says by its needs that it causes events of a
// source.
func (a *Action) Declares(src *source.Source) bool {
	return src.Need != "" && slices.ContainsFunc(a.Needs, func(n events.Need) bool { return n.Name == src.Need })
}

// Fields are the output fields that expectations ask for, by the source
// of the rule, beside those that say whose an alert is.
func Fields(chosen []*Action) map[string][]string {
	fields := map[string][]string{}
	for _, sel := range chosen {
		if sel.Rule == nil || sel.Expect == nil {
			continue
		}
		correlation := source.ByName(sel.Rule.Source).Correlation
		for _, name := range sel.Expect.FieldNames() {
			if !slices.Contains(fields[sel.Rule.Source], name) && !slices.Contains(correlation, name) {
				fields[sel.Rule.Source] = append(fields[sel.Rule.Source], name)
			}
		}
	}
	return fields
}
