// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/gate"
	"github.com/falcotest/go-falcotest/internal/journal"
	"github.com/falcotest/go-falcotest/internal/report"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// change is what the rules under test mean that they did not mean before, where
// [WithChangedSince] asks for it.
type change struct {
	since string
	of    []gate.Change
	why   map[string]string // why a rule's tests run, by its name
	note  string            // why all run, where the rules before do not load
}

// comparing is held while two sets of rules are in memory.
var comparing sync.Mutex

// changedSince compares the rules under test with those of a revision.
func (s *Session) changedSince(ctx context.Context, name string) (*change, error) {
	// There may be tens of thousands of rules, each there twice: what is no longer
	// needed is to go sooner than when as much again has piled up.
	comparing.Lock()
	defer comparing.Unlock()
	if percent := debug.SetGCPercent(40); percent <= 40 {
		debug.SetGCPercent(percent) // as is asked for by GOGC
	} else {
		defer debug.SetGCPercent(percent)
	}
	rev, err := gate.FindRevision(ctx, ".", name)
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
	c := &change{since: fmt.Sprintf("%s (%.12s)", rev.Name, rev.Commit), why: map[string]string{}}
	before, outside, err := s.rulesBefore(ctx, rev, dir)
	if len(outside) == len(s.cfg.rulePatterns()) && err == nil {
		return nil, fmt.Errorf("comparing with %q: no rules file is in the repository: %s", name, few(outside))
	}
	if len(outside) > 0 {
		c.note = fmt.Sprintf("outside of the repository, and taken to be as it was: %s", few(outside))
	}
	if err != nil {
		// A change may well be there to mend that.
		c.note = fmt.Sprintf("the rules of %s do not load, so that all count as new: %v", c.since, err)
		before = &rules.Set{}
	}
	c.of = gate.Compare(before, s.set)
	for _, ch := range c.of {
		if ch.Kind != gate.Removed {
			c.why[ch.Rule] = ch.Why()
		}
	}
	return c, nil
}

// rulesBefore loads the rules that a revision had where those under test are, and lists
// those that are elsewhere.
func (s *Session) rulesBefore(ctx context.Context, rev *gate.Revision, dir string) (set *rules.Set, outside []string, err error) {
	var files []string
	for _, pattern := range s.cfg.rulePatterns() {
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
	set, err = rules.Load(ctx, files, rules.Options{Sources: s.sources})
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

// selects tells whether the tests of a rule are to run.
func (c *change) selects(rule string) bool {
	if c == nil {
		return true
	}
	_, ok := c.why[rule]
	return ok
}

// log says what changed and what runs for it.
func (c *change) log(t testing.TB) {
	t.Helper()
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

// gate judges a run as a whole: against the baseline, by coverage, by mutants. It
// fails t where that is asked for, and adds what it finds to the report.
func (s *Session) gate(t testing.TB, rep *report.Report, results []*Result) {
	t.Helper()
	entries := s.entries(results)
	note(t.Name(), entries)
	ran, chosen := map[string]bool{}, map[string]bool{}
	for _, r := range results {
		ran[r.Rule] = true
	}
	for _, sel := range s.chosen {
		chosen[sel.RuleName()] = true
	}
	rep.Baseline = s.cfg.baseline
	for _, f := range s.compareBaseline(t, entries, func(rule string) bool { return ran[rule] || !chosen[rule] }) {
		rep.Findings = append(rep.Findings, report.Finding{Verdict: string(f.Verdict), Rule: f.Rule, Text: f.Text, Next: f.Next, File: f.File, Line: f.Line})
	}
	if c := s.change; c != nil {
		rep.Since = c.since
		for _, ch := range c.of {
			rep.Changes = append(rep.Changes, report.Change{Kind: string(ch.Kind), Rule: ch.Rule, From: ch.From, Why: ch.Why(), File: ch.Pos.File, Line: ch.Pos.Line})
		}
	}
	if s.change == nil && len(ran) >= len(chosen) {
		s.checkCoverage(t, entries)
	}
	coverage, mutants, err := s.covers(results)
	if err != nil {
		t.Errorf("judging the events once more: %v", err)
	}
	rep.Verdicts = s.ruleRows(entries, coverage, mutants)
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
func note(test string, entries []gate.Entry) {
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
		case gate.Detected:
			h.detected++
		case gate.Missed:
			h.missed++
		default:
			continue
		}
		if h.detected > 0 && h.missed > 0 {
			e.Outcome = gate.Flaky
			e.Reason = fmt.Sprintf("detected in %d of %d runs", h.detected, h.detected+h.missed)
		}
	}
}

// entries says of each rule under test what the run made of it.
func (s *Session) entries(results []*Result) []gate.Entry {
	if s.set == nil {
		return nil
	}
	of := map[string][]*Result{}
	for _, r := range results {
		of[r.Rule] = append(of[r.Rule], r)
	}
	var list []gate.Entry
	for _, rule := range s.set.Rules {
		e := gate.Entry{
			Rule: rule.Name, Priority: rule.Priority.String(), Tags: slices.Sorted(slices.Values(rule.Tags)),
			Likeness: gate.Likeness(rule), File: rule.Pos.File, Line: rule.Pos.Line, Outcome: gate.Untested,
		}
		e.Tags = slices.Compact(e.Tags)
		if !s.enables(rule) {
			e.Outcome = gate.Disabled
		}
		worst := -1
		shadow := ""
		for _, r := range of[rule.Name] {
			if r.Shadow != nil {
				shadow = "rule " + r.Shadow.String() + " alerts first under Falco's default rule_matching"
			}
			e.Tests = append(e.Tests, r.Action)
			// The worst outcome of its tests is the rule's. That it stayed silent
			// where it must does not say that it fires.
			if n := slices.Index([]Outcome{Skipped, Detected, Inconclusive, TriggerFailed, Unexpected, Missed}, r.Outcome); n > worst {
				worst = n
				if e.Outcome, e.Reason = r.Outcome.String(), r.Reason; r.Outcome == Missed || r.Outcome == Detected {
					e.Reason = "" // the subtest says it
				}
				e.Here = r.need.Name != "" || r.lasting || r.Outcome == TriggerFailed || r.Outcome == Inconclusive
			}
		}
		if !s.enables(rule) && e.Outcome == gate.Skipped {
			e.Outcome, e.Reason, e.Here = gate.Disabled, "", false
		}
		if shadow != "" && (e.Outcome == gate.Detected || e.Outcome == gate.Missed) {
			e.Outcome, e.Reason = gate.Shadowed, shadow
		}
		slices.Sort(e.Tests)
		list = append(list, e)
	}
	return list
}

// compareBaseline compares a run with what was accepted, or accepts it with
// -update. Regressions fail t.
func (s *Session) compareBaseline(t testing.TB, entries []gate.Entry, ran func(rule string) bool) []gate.Finding {
	t.Helper()
	file, baseline := s.cfg.baseline, s.baseline
	if file == "" || s.set == nil {
		return nil
	}
	missing := baseline == nil
	if missing {
		baseline = &gate.Baseline{}
	}
	if updating() {
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
		if f.Verdict == gate.Regression {
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
func readBaseline(file string) (*gate.Baseline, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var b *gate.Baseline
	if err == nil {
		b, err = gate.ParseBaseline(file, data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the baseline: %w", err)
	}
	return b, nil
}

// accepted says, of a rule that was missed, that the baseline has it so, and for what
// reason; it is empty when the baseline does not.
func (s *Session) accepted(r *Result) string {
	if r.Outcome != Missed || r.Shadow != nil || s.baseline == nil {
		return ""
	}
	for _, e := range s.baseline.Entries {
		if e.Rule != r.Rule || e.Outcome != gate.Missed {
			continue
		}
		if e.Reason == "" {
			return "no reason is given at its line of the baseline"
		}
		return e.Reason
	}
	return ""
}

// updating tells whether go test was given -update.
func updating() bool {
	f := flag.Lookup("update")
	if f == nil {
		return false
	}
	g, ok := f.Value.(flag.Getter)
	if !ok {
		return false
	}
	on, _ := g.Get().(bool)
	return on
}

// defineUpdate defines the flag -update, unless the tests define it themselves.
func defineUpdate() {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "accept what the tests find: rewrite the baseline of package falcotest")
	}
}

func writeFile(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// covers makes the coverage of the rules that were tested, from the events of
// their own tests, and where asked for the mutants that those would let live.
func (s *Session) covers(results []*Result) (map[string]*gate.Coverage, map[string]*report.Mutants, error) {
	if !s.cfg.keepsEvents() || s.set == nil {
		return nil, nil, nil
	}
	coverage, mutants := map[string]*gate.Coverage{}, map[string]*report.Mutants{}
	tests := map[string][]gate.Test{}
	for _, r := range results {
		if r.kept != nil && (r.Outcome == Detected || r.Outcome == Missed || r.Outcome == Silent) {
			tests[r.Rule] = append(tests[r.Rule], gate.Test{Name: r.Action, Fires: r.Outcome != Silent, Events: r.kept})
		}
	}
	for _, rule := range s.set.Rules {
		list := tests[rule.Name]
		src := s.source(rule.Source)
		if len(list) == 0 || src == nil {
			continue
		}
		c, err := gate.NewCoverage(src, rule)
		if err != nil {
			return nil, nil, err
		}
		for _, test := range list {
			for _, ev := range test.Events {
				c.Observe(ev)
			}
		}
		coverage[rule.Name] = c
		if !s.cfg.mutations || !s.change.selects(rule.Name) {
			continue
		}
		survivors, judged, err := gate.Survivors(src, rule, list)
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
func (s *Session) source(name string) filter.Source {
	for _, src := range s.sources {
		if src.Name() == name {
			return src
		}
	}
	return nil
}

// ruleRows are what the report says of each rule.
func (s *Session) ruleRows(entries []gate.Entry, coverage map[string]*gate.Coverage, mutants map[string]*report.Mutants) []report.Rule {
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
func (s *Session) checkCoverage(t testing.TB, entries []gate.Entry) {
	t.Helper()
	if s.cfg.minCoverage <= 0 {
		return
	}
	total, good := 0, 0
	var missing []string
	for _, e := range entries {
		switch {
		case e.Outcome == gate.Disabled, e.Here && e.Outcome != gate.Detected:
			continue
		case e.Outcome == gate.Detected:
			good++
		default:
			missing = append(missing, fmt.Sprintf("%s: %s (%s:%d)", e.Rule, e.Outcome, e.File, e.Line))
		}
		total++
	}
	if total == 0 || float64(good)/float64(total) >= s.cfg.minCoverage {
		return
	}
	t.Errorf("%d of %d rules are detected by a test, which is %.0f %%; WithMinCoverage asks for %.0f %%. Not detected:\n  %s",
		good, total, 100*float64(good)/float64(total), 100*s.cfg.minCoverage, strings.Join(missing, "\n  "))
}
