// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// Gate judges a run as a whole.
type Gate struct {
	settings *config.Settings
	plan     *plan.Plan
	change   *changes  // nil unless a revision is compared with
	baseline *Baseline // nil where there is none
}

// Open reads what the rules of a plan are compared with: those of a revision, and what
// was accepted.
func Open(ctx context.Context, settings *config.Settings, p *plan.Plan) (*Gate, error) {
	g := &Gate{settings: settings, plan: p}
	var err error
	if settings.Base != "" && p.Rules != nil {
		if g.change, err = g.changedSince(ctx, settings.Base); err != nil {
			return nil, err
		}
	}
	if g.baseline, err = readBaseline(settings.Baseline); err != nil {
		return nil, err
	}
	return g, nil
}

// changes are what the rules under test mean that they did not mean before.
type changes struct {
	since string
	of    []Change
	why   map[string]string // why a rule's tests run, by its name
	note  string            // why all run, where the rules before do not load
}

// comparing is held while two sets of rules are in memory.
var comparing sync.Mutex

// changedSince compares the rules under test with those of a revision.
func (g *Gate) changedSince(ctx context.Context, name string) (*changes, error) {
	// There may be tens of thousands of rules, each there twice: what is no longer
	// needed is to go sooner than when as much again has piled up.
	comparing.Lock()
	defer comparing.Unlock()
	if percent := debug.SetGCPercent(40); percent <= 40 {
		debug.SetGCPercent(percent) // as is asked for by GOGC
	} else {
		defer debug.SetGCPercent(percent)
	}
	rev, err := FindRevision(ctx, ".", name)
	if err != nil {
		return nil, err
	}
	private, err := journal.CreatePrivate("", "base-"+rand.Text()[:12])
	if err != nil {
		return nil, fmt.Errorf("comparing with %q: %w", name, err)
	}
	defer private.Close()
	dir := filepath.Join(private.Path(), "base")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("comparing with %q: %w", name, err)
	}
	if err := rev.Extract(ctx, dir); err != nil {
		return nil, err
	}
	c := &changes{since: fmt.Sprintf("%s (%.12s)", rev.Name, rev.Commit), why: map[string]string{}}
	before, outside, err := g.rulesBefore(ctx, rev, dir)
	if len(outside) == len(plan.Patterns(g.settings)) && err == nil {
		return nil, fmt.Errorf("comparing with %q: no rules file is in the repository: %s", name, plan.Few(outside))
	}
	if len(outside) > 0 {
		c.note = fmt.Sprintf("outside of the repository, and taken to be as it was: %s", plan.Few(outside))
	}
	if err != nil {
		// A change may well be there to mend that.
		c.note = fmt.Sprintf("the rules of %s do not load, so that all count as new: %v", c.since, err)
		before = &rules.Set{}
	}
	c.of = Compare(before, g.plan.Rules)
	for _, ch := range c.of {
		if ch.Kind != Removed {
			c.why[ch.Rule] = ch.Why()
		}
	}
	return c, nil
}

// rulesBefore loads the rules that a revision had where those under test are, and lists
// those that are elsewhere.
func (g *Gate) rulesBefore(ctx context.Context, rev *Revision, dir string) (set *rules.Set, outside []string, err error) {
	var files []string
	for _, pattern := range plan.Patterns(g.settings) {
		inside, ok := rev.Inside(dir, pattern)
		if !ok {
			inside = pattern // of the machine, then as now
			outside = append(outside, pattern)
		}
		found, err := rules.Find(inside)
		if err == nil {
			files = append(files, found.Names...)
		}
	}
	if len(files) == 0 {
		return &rules.Set{}, outside, nil
	}
	set, err = rules.Load(ctx, files, rules.Options{Sources: g.plan.Sources})
	if err != nil {
		return nil, outside, errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	// What is gone is told of where it stood.
	for _, r := range set.Rules {
		if rel, err := filepath.Rel(dir, r.Pos.File); err == nil && filepath.IsLocal(rel) {
			r.Pos.File = rel
		}
	}
	return set, outside, nil
}

// Compares tells whether the rules are compared with those of a revision.
func (g *Gate) Compares() bool { return g.change != nil }

// Selects tells whether the tests of a rule are to run.
func (g *Gate) Selects(rule string) bool {
	if g.change == nil {
		return true
	}
	_, ok := g.change.why[rule]
	return ok
}

// Log says what changed and what runs for it.
func (g *Gate) Log(t testing.TB) {
	t.Helper()
	c := g.change
	if c == nil {
		return
	}
	var b strings.Builder
	if c.note != "" {
		fmt.Fprintf(&b, "\n%s", c.note)
	}
	if len(c.of) == 0 {
		fmt.Fprintf(&b, "\nno rule means anything else than at %s: nothing runs", c.since)
	} else {
		fmt.Fprintf(&b, "\nchanged since %s:", c.since)
		for _, ch := range c.of {
			fmt.Fprintf(&b, "\n  %-8s  %s: %s", ch.Kind, ch.Rule, ch.Why())
		}
	}
	t.Log(b.String())
}

// Judge judges a run: against the baseline, by coverage, by mutants. It fails t where
// that is asked for, and adds what it finds to the report.
func (g *Gate) Judge(t testing.TB, rep *report.Report, results []*result.Result) {
	t.Helper()
	entries := g.entries(results)
	note(t.Name(), entries)
	ran, chosen := map[string]bool{}, map[string]bool{}
	for _, r := range results {
		ran[r.Rule] = true
	}
	for _, sel := range g.plan.Actions {
		chosen[sel.RuleName()] = true
	}
	rep.Baseline = g.settings.Baseline
	for _, f := range g.compareBaseline(t, entries, func(rule string) bool { return ran[rule] || !chosen[rule] }) {
		rep.Findings = append(rep.Findings, report.Finding{Verdict: string(f.Verdict), Rule: f.Rule, Text: f.Text, Next: f.Next, File: f.File, Line: f.Line})
	}
	if c := g.change; c != nil {
		rep.Since = c.since
		for _, ch := range c.of {
			rep.Changes = append(rep.Changes, report.Change{Kind: string(ch.Kind), Rule: ch.Rule, From: ch.From, Why: ch.Why(), File: ch.Pos.File, Line: ch.Pos.Line})
		}
	}
	if g.change == nil && len(ran) >= len(chosen) {
		g.checkCoverage(t, entries)
	}
	coverage, mutants, err := g.covers(results)
	if err != nil {
		t.Errorf("judging the events once more: %v", err)
	}
	rep.Verdicts = g.ruleRows(entries, coverage, mutants)
}

// history is what became of each rule in the runs of a test so far, by the test's
// name: with -count there are several.
var history struct {
	sync.Mutex
	of map[string]*times
}

type times struct{ detected, missed int }

// note adds a run to the history, and calls those rules flaky that were detected
// in some of their runs and missed in others.
func note(test string, entries []Entry) {
	history.Lock()
	defer history.Unlock()
	if history.of == nil {
		history.of = map[string]*times{}
	}
	for i := range entries {
		e := &entries[i]
		h := history.of[test+"\x00"+e.Rule]
		if h == nil {
			h = &times{}
			history.of[test+"\x00"+e.Rule] = h
		}
		switch e.Outcome {
		case Detected:
			h.detected++
		case Missed:
			h.missed++
		default:
			continue
		}
		if h.detected > 0 && h.missed > 0 {
			e.Outcome = Flaky
			e.Reason = fmt.Sprintf("detected in %d of %d runs", h.detected, h.detected+h.missed)
		}
	}
}

// entries says of each rule under test what the run made of it.
func (g *Gate) entries(results []*result.Result) []Entry {
	if g.plan.Rules == nil {
		return nil
	}
	of := map[string][]*result.Result{}
	for _, r := range results {
		of[r.Rule] = append(of[r.Rule], r)
	}
	var list []Entry
	for _, rule := range g.plan.Rules.Rules {
		e := Entry{
			Rule: rule.Name, Priority: rule.Priority.String(), Tags: slices.Sorted(slices.Values(rule.Tags)),
			Likeness: Likeness(rule), File: rule.Pos.File, Line: rule.Pos.Line, Outcome: Untested,
		}
		e.Tags = slices.Compact(e.Tags)
		if !g.plan.Enables(rule) {
			e.Outcome = Disabled
		}
		worst := -1
		shadow := ""
		order := []result.Outcome{result.Skipped, result.Detected, result.Inconclusive, result.TriggerFailed, result.Unexpected, result.Missed}
		if onNodes(of[rule.Name]) { // what was skipped on one node was not detected on all
			order[0], order[1] = result.Detected, result.Skipped
		}
		for _, r := range of[rule.Name] {
			if r.Shadow != nil {
				shadow = "rule " + r.Shadow.String() + " alerts first under Falco's default rule_matching"
			}
			if !slices.Contains(e.Tests, r.Action) {
				e.Tests = append(e.Tests, r.Action)
			}
			// The worst outcome of its tests is the rule's. That it stayed silent
			// where it must does not say that it fires.
			if n := slices.Index(order, r.Outcome); n > worst {
				worst = n
				if e.Outcome, e.Reason = r.Outcome.String(), r.Reason; r.Outcome == result.Missed || r.Outcome == result.Detected {
					e.Reason = "" // the subtest says it
				}
				e.Here = r.Need.Name != "" || r.Lasting || r.Outcome == result.TriggerFailed || r.Outcome == result.Inconclusive
			}
		}
		if !g.plan.Enables(rule) && e.Outcome == Skipped {
			e.Outcome, e.Reason, e.Here = Disabled, "", false
		}
		if shadow != "" && (e.Outcome == Detected || e.Outcome == Missed) {
			e.Outcome, e.Reason = Shadowed, shadow
		}
		slices.Sort(e.Tests)
		list = append(list, e)
	}
	return list
}

// onNodes tells whether one and the same test of a rule ran on several nodes.
func onNodes(results []*result.Result) bool {
	return slices.ContainsFunc(results, func(r *result.Result) bool { return r.Node != "" })
}

// compareBaseline compares a run with what was accepted, or accepts it with
// -update. Regressions fail t.
func (g *Gate) compareBaseline(t testing.TB, entries []Entry, ran func(rule string) bool) []Finding {
	t.Helper()
	file, baseline := g.settings.Baseline, g.baseline
	if file == "" || g.plan.Rules == nil {
		return nil
	}
	missing := baseline == nil
	if missing {
		baseline = &Baseline{}
	}
	if gotest.Updating() {
		if err := writeFile(file, baseline.Update(entries, ran).Bytes()); err != nil {
			t.Errorf("writing the baseline: %v", err)
			return nil
		}
		t.Logf("wrote the baseline %s", file)
		return nil
	}
	if missing {
		t.Errorf("there is no baseline %s yet: go test -update writes what this run found, for you to look at and commit", file)
		return nil
	}
	found := baseline.Compare(entries, ran)
	var bad, rest strings.Builder
	for _, f := range found {
		if f.Verdict == Regression {
			fmt.Fprintf(&bad, "\n  %s", strings.ReplaceAll(f.String(), "\n", "\n  "))
			continue
		}
		fmt.Fprintf(&rest, "\n  %s", strings.ReplaceAll(f.String(), "\n", "\n  "))
	}
	if rest.Len() > 0 {
		t.Logf("beside the baseline %s:%s", file, rest.String())
	}
	if bad.Len() > 0 {
		t.Errorf("worse than the baseline %s:%s", file, bad.String())
	}
	return found
}

// readBaseline reads the baseline that is asked for. It is nil where there is none yet.
func readBaseline(file string) (*Baseline, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var b *Baseline
	if err == nil {
		b, err = ParseBaseline(file, data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the baseline: %w", err)
	}
	return b, nil
}

// Accepted says, of a rule that was missed, that the baseline has it so, and for what
// reason; it is empty when the baseline does not.
func (g *Gate) Accepted(r *result.Result) string {
	if r.Outcome != result.Missed || r.Shadow != nil || g.baseline == nil {
		return ""
	}
	for _, e := range g.baseline.Entries {
		if e.Rule != r.Rule || e.Outcome != Missed {
			continue
		}
		if e.Reason == "" {
			return "no reason is given at its line of the baseline"
		}
		return e.Reason
	}
	return ""
}

func writeFile(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// covers makes the coverage of the rules that were tested, from the events of
// their own tests, and where asked for the mutants that those would let live.
func (g *Gate) covers(results []*result.Result) (map[string]*Coverage, map[string]*report.Mutants, error) {
	if !g.settings.KeepsEvents() || g.plan.Rules == nil {
		return nil, nil, nil
	}
	coverage, mutants := map[string]*Coverage{}, map[string]*report.Mutants{}
	tests := map[string][]Test{}
	for _, r := range results {
		if r.Events != nil && (r.Outcome == result.Detected || r.Outcome == result.Missed || r.Outcome == result.Silent) {
			tests[r.Rule] = append(tests[r.Rule], Test{Name: r.Action, Fires: r.Outcome != result.Silent, Events: r.Events})
		}
	}
	for _, rule := range g.plan.Rules.Rules {
		list := tests[rule.Name]
		src := g.source(rule.Source)
		if len(list) == 0 || src == nil {
			continue
		}
		c, err := NewCoverage(src, rule)
		if err != nil {
			return nil, nil, err
		}
		for _, test := range list {
			for _, ev := range test.Events {
				c.Observe(ev)
			}
		}
		coverage[rule.Name] = c
		if !g.settings.Mutations || !g.Selects(rule.Name) {
			continue
		}
		survivors, judged, err := Survivors(src, rule, list)
		if err != nil {
			return nil, nil, err
		}
		m := &report.Mutants{Judged: judged}
		for _, sv := range survivors {
			m.Survivors = append(m.Survivors, report.Survivor{What: sv.What, File: sv.Pos.File, Line: sv.Pos.Line, Column: sv.Pos.Column, In: sv.Pos.In})
		}
		mutants[rule.Name] = m
	}
	return coverage, mutants, nil
}

// source is the source of that name that the rules were loaded for.
func (g *Gate) source(name string) filter.Source {
	for _, src := range g.plan.Sources {
		if src.Name() == name {
			return src
		}
	}
	return nil
}

// ruleRows are what the report says of each rule.
func (g *Gate) ruleRows(entries []Entry, coverage map[string]*Coverage, mutants map[string]*report.Mutants) []report.Rule {
	var rows []report.Rule
	for _, e := range entries {
		row := report.Rule{
			Name: e.Rule, File: e.File, Line: e.Line, Priority: e.Priority, Tags: e.Tags,
			Outcome: e.Outcome, Reason: e.Reason, Tests: e.Tests, Mutants: mutants[e.Rule],
		}
		if c := coverage[e.Rule]; c != nil {
			for _, cl := range c.Clauses() {
				row.Clauses = append(row.Clauses, report.Clause{
					Text: cl.Text, Value: cl.Value, In: cl.Pos.In, File: cl.Pos.File, Line: cl.Pos.Line, Column: cl.Pos.Column,
					EndLine: cmp.Or(cl.End.Line, cl.Pos.Line), EndColumn: cl.End.Column, True: cl.True, False: cl.False,
				})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// checkCoverage fails t when fewer of the rules than asked for are detected by a
// test of theirs. Rules that are disabled do not count, nor those that cannot be
// verified on this machine.
func (g *Gate) checkCoverage(t testing.TB, entries []Entry) {
	t.Helper()
	if g.settings.MinCoverage <= 0 {
		return
	}
	total, good := 0, 0
	var missing []string
	for _, e := range entries {
		switch {
		case e.Outcome == Disabled, e.Here && e.Outcome != Detected:
			continue
		case e.Outcome == Detected:
			good++
		default:
			missing = append(missing, fmt.Sprintf("%s: %s (%s:%d)", e.Rule, e.Outcome, e.File, e.Line))
		}
		total++
	}
	if total == 0 || float64(good)/float64(total) >= g.settings.MinCoverage {
		return
	}
	t.Errorf("%d of %d rules are detected by a test, which is %.0f %%; WithMinCoverage asks for %.0f %%. Not detected:\n  %s",
		good, total, 100*float64(good)/float64(total), 100*g.settings.MinCoverage, strings.Join(missing, "\n  "))
}
