// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Asked is what a run was asked for.
type Asked struct {
	*config.Settings
	// OnlyFiles leaves out the registered actions.
	OnlyFiles bool
	// Expected are the expectations of registered actions, by their names.
	Expected map[string]expect.Expectation
}

// Plan is what is to be run, and the rules that it is judged by.
type Plan struct {
	Files     []string        // rules files
	Rules     *rules.Set      // nil when no rules files are given
	Sources   []filter.Source // that the rules were loaded for
	Actions   []*Action
	Uncovered []*rules.Rule // without an action or a test

	tests    []string // files of tests, and those that they name
	disabled bool     // those rules are evaluated too
	notes    []string // on what was found of the rules files
}

// Load loads the rules under test, and plans nothing yet. The plan is there in any
// case, for its Files.
func Load(ctx context.Context, c *config.Settings) (*Plan, error) {
	p := &Plan{disabled: c.Disabled}
	files, err := Files(c)
	if err != nil {
		return p, err
	}
	p.Files = files.Names
	if len(files.Left) > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%s: no rules files, only names in .yaml and .yml are: left out", Few(files.Left)))
	}
	opts := rules.Options{Sources: source.Fields()}
	if c.Judge() == "builtin" { // which plugins are there, a real Falco knows best
		opts.Plugins = source.Plugins()
	}
	p.Sources = opts.Sources
	if len(p.Files) == 0 {
		return p, nil
	}
	if p.Rules, err = rules.Load(ctx, p.Files, opts); err != nil {
		return p, err
	}
	p.notes = append(p.notes, alike(p.Rules)...)
	return p, nil
}

// Select plans what is asked for: the registered actions and the tests of files.
func (p *Plan) Select(asked Asked) error {
	tests, err := p.loadTests(asked)
	if err != nil {
		return err
	}
	if !asked.OnlyFiles {
		p.Actions, p.Uncovered, err = selectActions(asked.Settings, p.Rules)
		if err != nil && (len(tests) == 0 || len(asked.Actions) > 0) {
			return err
		}
	}
	p.Actions = append(p.Actions, tests...)
	if err := p.expect(asked.Expected); err != nil {
		return err
	}
	p.Uncovered = slices.DeleteFunc(p.Uncovered, func(r *rules.Rule) bool {
		return slices.ContainsFunc(tests, func(a *Action) bool { return a.Rule == r })
	})
	return nil
}

// Reads are the files that the run reads: rules, tests, and the events and objects
// that those name.
func (p *Plan) Reads() []string {
	names := slices.Concat(p.Files, p.tests)
	slices.Sort(names)
	return slices.Compact(names)
}

// expect gives the actions what is expected of them, and adds their near misses,
// which must not cause an alert.
func (p *Plan) expect(expected map[string]expect.Expectation) error {
	for _, action := range slices.Sorted(maps.Keys(expected)) {
		if _, ok := events.All()[action]; !ok {
			return fmt.Errorf("reading the expectation of %s: no action of that name is registered%s", action, Nearest(action, slices.Sorted(maps.Keys(events.All()))))
		}
	}
	var all []*Action
	for _, a := range p.Actions {
		if want, ok := expected[a.Name]; ok && a.Test == nil {
			if a.Rule != nil && want.Rule == "" {
				want.Rule = a.Rule.Name
			}
			if a.Rule != nil && want.Rule != a.Rule.Name {
				return fmt.Errorf("reading the expectation of %s: it is of the rule %q, and the action is for %q", a.Name, want.Rule, a.Rule.Name)
			}
			if err := p.comparable(want.FieldNames(), a.Rule); err != nil {
				return fmt.Errorf("reading the expectation of %s: %w", a.Name, err)
			}
			a.Expect = &want
		}
		all = append(all, a)
		if a.Test != nil || a.Rule == nil {
			continue
		}
		for _, name := range events.NearMisses(a.Name) {
			near := Registered(name, a.Rule)
			near.Named, near.Expect = a.Named, &expect.Expectation{Rule: a.Rule.Name, Silent: true}
			if want, ok := expected[name]; ok {
				want.Rule = cmp.Or(want.Rule, a.Rule.Name)
				near.Expect = &want
			}
			all = append(all, near)
		}
	}
	p.Actions = all
	return nil
}

// Enables tells whether a rule is to be evaluated: as its file says, unless
// disabled ones are asked for, or its action by name.
func (p *Plan) Enables(r *rules.Rule) bool {
	return r.Enabled || p.disabled || slices.ContainsFunc(p.Actions, func(a *Action) bool {
		return a.Named && a.Rule == r
	})
}

// Rule is the rule under test of that name, nil if there is none.
func (p *Plan) Rule(name string) *rules.Rule {
	if p.Rules == nil {
		return nil
	}
	i := slices.IndexFunc(p.Rules.Rules, func(r *rules.Rule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return p.Rules.Rules[i]
}

// Warnings are those of the rules files, a line each.
func (p *Plan) Warnings() []string {
	lines := slices.Clone(p.notes)
	if p.Rules == nil {
		return lines
	}
	for _, w := range p.Rules.Warnings {
		lines = append(lines, w.String())
	}
	for _, w := range p.Rules.Remarks {
		lines = append(lines, w.Short())
	}
	return lines
}

// Few lists names, of many the first few.
func Few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
