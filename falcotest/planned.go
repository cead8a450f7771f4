// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
	"github.com/falcotest/go-falcotest/internal/perform"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/scenario"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// selected is one thing to run, with the rule that is expected to fire: a
// registered action, or a case of a test file, which need not be registered.
type selected struct {
	action string
	rule   *rules.Rule // nil when no rules files are given
	named  bool        // asked for by its full name, which enables its rule too
	all    bool        // wait for all of its alerts, not just the expected one

	test   *testfile.Test      // nil for a registered action without a test
	expect *expect.Expectation // nil expects an alert of the rule, whatever it is like
	quiet  []testfile.QuietRule
}

// scenario is what a case does, nil where a registered action does it.
func (s selected) scenario() *scenario.Scenario {
	if s.test == nil || s.test.Scenario == nil || s.registered() != "" {
		return nil
	}
	return s.test.Scenario
}

// registered is the registered action that runs, or "".
func (s selected) registered() string {
	if s.test == nil {
		return s.action
	}
	if s.test.Scenario != nil && len(s.test.Scenario.Steps) == 1 {
		return s.test.Scenario.Steps[0].Action
	}
	return ""
}

func (s selected) needs() []events.Need {
	if s.test != nil && s.test.Cluster != nil {
		return []events.Need{events.Cluster}
	}
	return events.Needs(s.registered())
}

// container is the container that it needs, and whether it needs one.
func (s selected) container() (events.Container, bool) {
	if s.scenario() == nil {
		return events.ContainerOf(s.registered())
	}
	c := s.scenario().Container
	if c == nil {
		return events.Container{}, false
	}
	repository, _, _ := strings.Cut(c.Image, ":")
	return events.Container{Privileged: true, Name: c.Name, Repository: repository}, true
}

// sleeping finds how long scripts sleep.
var sleeping = regexp.MustCompile(`(?m)(?:^|[;&|\s])sleep\s+(\d+(?:\.\d+)?)`)

// duration is how long it takes at least.
func (s selected) duration() time.Duration {
	if s.scenario() == nil {
		return events.Duration(s.registered())
	}
	var sum time.Duration
	for _, m := range sleeping.FindAllStringSubmatch(s.scenario().Before+"\n"+s.scenario().After, -1) {
		seconds, _ := strconv.ParseFloat(m[1], 64)
		sum += time.Duration(seconds * float64(time.Second))
	}
	for _, step := range s.scenario().Steps {
		sum += step.Sleep
	}
	return sum
}

// idle is how long a case must sleep that it is run beside those that have a
// turn: it hardly uses a processor.
const idle = time.Second

func (s selected) idles() bool { return s.scenario() != nil && s.duration() >= idle }

// complete adds to a process's specification what makes it do this.
func (s selected) complete(spec *child.Spec, made bool) error {
	spec.Action = s.registered()
	if s.test != nil && s.test.Cluster != nil {
		data, err := json.Marshal(objects.Request{Test: s.test.Template, Work: s.test.Cluster})
		spec.Action, spec.Program, spec.Data = s.test.Name, objects.Program, data
		return err
	}
	if s.scenario() == nil {
		return nil
	}
	spec.Action = s.test.Name
	if c := s.scenario().Container; c != nil && made {
		spec.Env = append(slices.Clone(spec.Env), c.Env...)
	}
	spec.Deadline += s.duration()
	return perform.Prepare(spec, s.scenario(), made)
}

// whole tells whether all of its alerts must have come before it is judged.
func (s selected) whole() bool {
	return s.all || len(s.quiet) > 0 || s.expect != nil && s.expect.Whole()
}

// counts tells whether an alert of the rule is the one that is expected.
func (s selected) counts(a *alert.Alert) bool {
	return s.expect == nil || s.expect.Match(a)
}

func (s selected) ruleName() string {
	if s.rule == nil {
		return ""
	}
	return s.rule.Name
}

// source is the source of the alerts that are expected.
func (s selected) source() string {
	if s.rule != nil {
		return s.rule.Source
	}
	for _, src := range source.All() {
		if s.declares(src) {
			return src.Name
		}
	}
	return source.Default
}

// declares tells whether the action says by its needs that it causes events of a
// source.
func (s selected) declares(src *source.Source) bool {
	return src.Need != "" && slices.ContainsFunc(s.needs(), func(n events.Need) bool { return n.Name == src.Need })
}

// expectedFields are the output fields that expectations ask for, by the source
// of the rule, beside those that say whose an alert is.
func expectedFields(chosen []selected) map[string][]string {
	fields := map[string][]string{}
	for _, sel := range chosen {
		if sel.rule == nil || sel.expect == nil {
			continue
		}
		correlation := source.ByName(sel.rule.Source).Correlation
		for _, name := range sel.expect.FieldNames() {
			if !slices.Contains(fields[sel.rule.Source], name) && !slices.Contains(correlation, name) {
				fields[sel.rule.Source] = append(fields[sel.rule.Source], name)
			}
		}
	}
	return fields
}
