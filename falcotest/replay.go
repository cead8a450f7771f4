// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/expect"
	"github.com/falcotest/go-falcotest/internal/replay"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Replay judges recordings by the rules under test and compares the alerts with
// what is expected of each, in a file beside it: incident.scap and incident.yaml.
// Each recording is a subtest, named like the file. It needs neither Linux nor
// any privilege; the built-in engine judges.
//
// A recording is a .scap file, as Falco writes one when a rule with capture: true
// fires, or as sysdig does, gzipped or not; or a .json or .jsonl file of Kubernetes
// audit events. The file beside it has the words of the files of tests:
//
//	tests:
//	  - rule: Read sensitive file untrusted
//	    expectedOutcome:
//	      count: 1
//	      outputFields: {fd.name: /etc/shadow, proc.name: cat}
//	quiet: [Write below etc]
//
// A rule that is expected to be quiet must be loaded, enabled and supported, or
// the test fails: what was not evaluated proves nothing. A rule that the built-in
// engine does not support is skipped. A recording that cannot be read to its end
// fails its test, whatever was judged until there.
//
// The rules are those of FALCOTEST_RULES or the default of [WithRules]; for other
// options, and for expectations in Go, use [ReplayFile].
func Replay(t *testing.T, globs ...string) {
	t.Helper()
	files, err := replay.Find(globs)
	if err != nil {
		t.Fatal(startMessage(err))
	}
	r, err := newReplayer(t, nil)
	if err != nil {
		t.Fatal(startMessage(err))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Helper()
			replayed(t, r, file).Check(t)
		})
	}
}

// Replayed is a recording that was judged.
type Replayed struct {
	// Alerts are in the order of the events that caused them.
	Alerts []*Alert

	// Events is how many events the recording has.
	Events uint64

	r *replay.Recording
}

// ReplayFile judges a recording by the rules under test, with the built-in
// engine, and returns the alerts: see [Replay]. Of the options, it takes note of
// those about rules. It fails t when the rules do not load, and when the
// recording cannot be read to its end.
func ReplayFile(t testing.TB, file string, opts ...Option) *Replayed {
	t.Helper()
	r, err := newReplayer(t, opts)
	if err != nil {
		t.Fatal(startMessage(err))
	}
	p := replayed(t, r, file)
	return &Replayed{Alerts: published(p.Alerts), Events: p.Events, r: p}
}

func newReplayer(t testing.TB, opts []Option) (*replay.Replayer, error) {
	cfg, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return replay.New(t.Context(), &cfg.Settings)
}

func replayed(t testing.TB, r *replay.Replayer, file string) *replay.Recording {
	t.Helper()
	p, err := r.Judge(t.Context(), file)
	if err != nil {
		t.Fatal(replay.Unreadable(p, err))
	}
	return p
}

// Expected says what the alerts of a rule are to be like. The zero value is any
// alert, at least one.
type Expected struct {
	// Count is how many alerts are to be like that; 0 is one or more.
	Count int
	// OutputFields are output fields by name, with the text that they have.
	OutputFields map[string]string
	// Tags are tags that the alerts have, among others.
	Tags []string
}

// Fires fails t unless the recording made the rule fire, as expected.
func (p *Replayed) Fires(t testing.TB, rule string, want Expected) {
	t.Helper()
	e := &expect.Expectation{Rule: rule, Tags: want.Tags}
	for _, name := range slices.Sorted(maps.Keys(want.OutputFields)) {
		e.Fields = append(e.Fields, expect.Field{Name: name, Matcher: expect.Equal(want.OutputFields[name])})
	}
	if want.Count > 0 {
		e.Count = expect.Exactly(want.Count)
	}
	p.r.Verify(t, e, "")
}

// Silent fails t if the recording made the rule fire, and also when the rule was
// not evaluated: one that is not loaded, disabled, or of another source proves
// nothing by its silence.
func (p *Replayed) Silent(t testing.TB, rule string) {
	t.Helper()
	p.r.Verify(t, &expect.Expectation{Rule: rule, Silent: true}, "")
}

// AuditEvents judges recorded Kubernetes audit events by the rules under test,
// with the built-in engine and without any cluster, and returns the alerts in
// the order of the events. The file holds what an API server writes to its
// audit log or sends to a webhook: events in JSON, one after the other or in
// lists. Of the options, it takes note of those about rules.
//
// It is [ReplayFile] for such a file, and fails t also when no rule for audit
// events is enabled, and when one is not supported by the built-in engine: then
// nothing can be said of that rule.
func AuditEvents(t testing.TB, file string, opts ...Option) []*Alert {
	t.Helper()
	src := source.ByNeed(events.Cluster)
	r, err := newReplayer(t, opts)
	if err == nil {
		err = r.Wants(src)
	}
	if err != nil {
		t.Fatal(startMessage(err))
	}
	p, err := r.Judge(t.Context(), file)
	switch {
	case err != nil:
		t.Fatal(startMessage(err))
	case p.Source != src.Name:
		t.Fatal(startMessage(fmt.Errorf("%s: not a file of audit events, which are JSON", file)))
	}
	return published(p.Alerts)
}
