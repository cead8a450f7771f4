// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Matching says which rules alert when several match an event.
type Matching uint8

// The values of Falco's rule_matching.
const (
	First Matching = iota // only the first that was loaded; Falco's default
	All                   // each of them
)

// Options configures an engine. The zero Options is Falco's default: first
// matching rule, all priorities, the rules that are enabled in their files.
type Options struct {
	Matching Matching

	// MinPriority drops the rules that are less severe. Nil keeps all.
	MinPriority *alert.Priority

	// Enable decides which rules are evaluated. Nil takes those that their
	// files leave enabled.
	Enable func(*rules.Rule) bool

	// ExtraFields are added to the output fields of alerts, by the name of their
	// source, like extra_fields in Falco's append_output: "proc.pid",
	// "proc.env[FALCOTEST_ID]".
	ExtraFields map[string][]string

	// TimeISO8601 makes alerts begin with the date and the time in UTC and have
	// the field evt.time.iso8601, like Falco's time_format_iso_8601. Otherwise
	// they begin with the time of the day and have evt.time, Falco's default.
	TimeISO8601 bool

	// Hostname is the name of the machine in alerts.
	Hostname string
}

// Status says what became of a rule.
type Status uint8

// What became of a rule.
const (
	NotLoaded     Status = iota // no file defines it
	Evaluated                   // it is evaluated for each event
	Disabled                    // by its file, or by Options.Enable
	BelowPriority               // it is less severe than Options.MinPriority
	Unsupported                 // it asks for what the engine cannot know
)

// String describes the status in a word or two.
func (s Status) String() string {
	return [...]string{"not loaded", "evaluated", "disabled", "below the minimum priority", "not supported by the built-in engine"}[s]
}

// UnsupportedRule is a rule that the engine cannot evaluate as Falco would.
type UnsupportedRule struct {
	Rule   *rules.Rule
	Reason string
}

// Engine evaluates the rules of a set. It does not change after New and is safe
// for concurrent use.
type Engine struct {
	set      *rules.Set
	opts     Options
	minimum  alert.Priority
	hostname string
	time     timeFormat
	sources  map[string]*source
	status   map[string]ruleStatus
	unsup    []UnsupportedRule
}

type ruleStatus struct {
	rule   *rules.Rule
	status Status
	reason string
}

func (st ruleStatus) ruleSource() string {
	if st.rule == nil {
		return ""
	}
	return st.rule.Source
}

// source is what is evaluated for the events of one source.
type source struct {
	name     string
	program  *filter.Program
	fields   filter.Source
	typed    Typed               // nil where events have no types
	observer Observer            // or nil
	suffix   []filter.FormatPart // appended to each output
	all      []*compiledRule
	any      []typedRule   // of sources whose events have no types
	byType   [][]typedRule // of the others, by [Typed.TypeOf]
}

// typedRule is a rule with its condition as it is for events of one type.
type typedRule struct {
	*compiledRule
	cond filter.Folded
}

// compiledRule is a rule that is evaluated.
type compiledRule struct {
	rule   *rules.Rule
	cond   filter.Cond
	output *output

	explainer func() (*filter.Explainer, error) // made once, for [filter.Explainer.Fresh]
}

// New returns an engine for the rules of a set, which rules.Load compiled for
// the sources it was given. Rules that the engine cannot evaluate are no error;
// [Engine.Unsupported] lists them. An error means that an option or a rule's
// output is wrong.
//
// A set may be used for several engines, one after the other or at once.
func New(set *rules.Set, opts Options) (*Engine, error) {
	e := &Engine{
		set: set, opts: opts, minimum: alert.Debug, hostname: opts.Hostname,
		sources: map[string]*source{}, status: make(map[string]ruleStatus, len(set.Rules)),
	}
	if opts.MinPriority != nil {
		e.minimum = *opts.MinPriority
	}
	e.time = timeOfDay
	if opts.TimeISO8601 {
		e.time = iso8601
	}
	for _, name := range set.Sources() {
		p := set.Program(name)
		s := &source{name: name, program: p, fields: p.Source()}
		s.typed, _ = p.Source().(Typed)
		s.observer, _ = p.Source().(Observer)
		if format := suggestedOutput(s.fields); format != "" {
			var err error
			if s.suffix, err = filter.ParseFormat(s.fields, format); err != nil {
				return nil, fmt.Errorf("suggested output of source %s: %w", name, err)
			}
		}
		e.sources[name] = s
	}
	for _, r := range set.Rules {
		st := ruleStatus{rule: r, status: e.decide(r), reason: strings.Join(r.Unsupported, "; ")}
		if s := e.sources[r.Source]; s != nil && st.status == Evaluated {
			if err := s.add(r, opts); err != nil {
				return nil, fmt.Errorf("%s: rule %q: output: %w", r.OutputPos, r.Name, err)
			}
		}
		if len(r.Unsupported) > 0 {
			e.unsup = append(e.unsup, UnsupportedRule{r, st.reason})
		}
		e.status[r.Name] = st
	}
	for _, s := range e.sources {
		s.index()
	}
	return e, nil
}

func (e *Engine) decide(r *rules.Rule) Status {
	enabled := r.Enabled
	if e.opts.Enable != nil {
		enabled = e.opts.Enable(r)
	}
	switch {
	case !enabled:
		return Disabled
	case r.Priority > e.minimum:
		return BelowPriority
	case len(r.Unsupported) > 0:
		return Unsupported
	}
	return Evaluated
}

func (s *source) add(r *rules.Rule, opts Options) error {
	o, err := newOutput(s.fields, r, s.suffix, opts.ExtraFields[s.name])
	if err != nil {
		return err
	}
	c := &compiledRule{rule: r, cond: r.Cond, output: o}
	c.explainer = sync.OnceValues(func() (*filter.Explainer, error) { return filter.NewExplainer(s.fields, r.Expr) })
	s.all = append(s.all, c)
	return nil
}

// index lists, for each event type, the rules that can be true for it, with
// conditions in which the checks of the type are worked out.
func (s *source) index() {
	if s.typed == nil {
		for _, c := range s.all {
			s.any = append(s.any, typedRule{c, filter.Folded{Cond: c.cond}})
		}
		return
	}
	types := s.typed.EventTypes()
	rules := map[string][]*compiledRule{}
	conds := map[string][]filter.Cond{}
	for _, c := range s.all {
		for _, name := range c.rule.EventTypes.Names(types) {
			rules[name] = append(rules[name], c)
			conds[name] = append(conds[name], c.cond)
		}
	}
	program, byName := s.program.Fold(conds)
	s.program = program
	s.byType = make([][]typedRule, len(types))
	for t, name := range types {
		for i, f := range byName[name] {
			if !f.Never {
				s.byType[t] = append(s.byType[t], typedRule{rules[name][i], f})
			}
		}
	}
}

// EventTypes returns the names of the types of a source's events that any evaluated
// rule can be true for, in the order of [filter.EventTyper]: all that has to be
// watched. There are none where events have no types.
func (e *Engine) EventTypes(source string) []string {
	s := e.sources[source]
	if s == nil || s.typed == nil {
		return nil
	}
	var names []string
	for t, name := range s.typed.EventTypes() {
		if len(s.byType[t]) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// Rules returns the set of rules that the engine was made of.
func (e *Engine) Rules() *rules.Set { return e.set }

// Evaluated returns the names of the rules that are evaluated for the source,
// in the order in which they are tried.
func (e *Engine) Evaluated(source string) []string {
	s := e.sources[source]
	if s == nil {
		return nil
	}
	names := make([]string, len(s.all))
	for i, c := range s.all {
		names[i] = c.rule.Name
	}
	return names
}

// Unsupported lists the rules that the engine cannot evaluate as Falco would,
// disabled ones too, with the fields or features and the reasons.
func (e *Engine) Unsupported() []UnsupportedRule { return slices.Clone(e.unsup) }

// Status says what became of the rule of that name. For unsupported rules the
// reason tells the fields or features that the engine cannot know.
func (e *Engine) Status(rule string) (Status, string) {
	st := e.status[rule]
	if st.status != Unsupported {
		return st.status, ""
	}
	return st.status, st.reason
}
