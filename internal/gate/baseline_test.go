// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBaselineBytes(t *testing.T) {
	b := &Baseline{Entries: []Entry{
		{Rule: "Write below etc", Outcome: Detected, Priority: "Error", Tags: []string{"T1098", "host"}, Tests: []string{"syscall.WriteBelowEtc"}, Likeness: 1},
		{Rule: `odd | "name" # here`, Outcome: Missed, Priority: "Debug", Reason: "ships without a list"},
		{Rule: "Another", Outcome: Untested, Priority: "Notice"},
	}}
	data := b.Bytes()
	got, err := ParseBaseline("x.golden", data)
	if err != nil {
		t.Fatal(err)
	}
	want := &Baseline{Entries: []Entry{b.Entries[2], b.Entries[0], b.Entries[1]}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s\n%s", diff, data)
	}
}

func TestBaselineErrors(t *testing.T) {
	for line, want := range map[string]string{
		"detected | Error | A":                                  "x.golden:2: 3 cells, want outcome | priority | rule | tests | tags | likeness",
		`detected | Error | "A | - | - | 0`:                     "x.golden:2: a quote has no end",
		"detected | Error | A | - | - | zz":                     `x.golden:2: the likeness "zz" is no number`,
		" | Error | A | - | - | 0":                              "the outcome or the rule's name is empty",
		"detected | E | A | - | - | 0\nmissed|E|A|-|-|0":        `x.golden:3: the rule "A" stands in line 2 already`,
		`detected | Error | "A" "B" | - | - | 0000000000000000`: `stands where | separates`,
	} {
		if _, err := ParseBaseline("x.golden", []byte("# head\n"+line+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", line, err, want)
		}
	}
}

func FuzzParseBaseline(f *testing.F) {
	f.Add([]byte(baselineHead + "detected | Error | A | a, b | - | 00000000000000ff # why\n"))
	f.Add([]byte("missed | x | \"a\\\"b\" | - | - | 0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBaseline("f", data)
		if err != nil {
			return
		}
		again, err := ParseBaseline("f", b.Bytes())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, b.Bytes())
		}
		if len(again.Entries) != len(b.Entries) {
			t.Fatalf("%d entries, then %d", len(b.Entries), len(again.Entries))
		}
	})
}

// The findings of all kinds, as people read them.
func TestBaselineCompare(t *testing.T) {
	const same = 0xff00ff00ff00ff00
	b := &Baseline{Entries: []Entry{
		{Rule: "broken", Outcome: Detected, Priority: "Error"},
		{Rule: "disabled", Outcome: Detected, Priority: "Error"},
		{Rule: "shadowed", Outcome: Detected, Priority: "Error"},
		{Rule: "unsupported", Outcome: Detected, Priority: "Error"},
		{Rule: "no root", Outcome: Detected, Priority: "Error"},
		{Rule: "flaky", Outcome: Detected, Priority: "Error"},
		{Rule: "less severe", Outcome: Detected, Priority: "Error"},
		{Rule: "more severe", Outcome: Detected, Priority: "Error"},
		{Rule: "tagged", Outcome: Detected, Priority: "Error", Tags: []string{"a"}},
		{Rule: "mended", Outcome: Missed, Priority: "Error"},
		{Rule: "still missed", Outcome: Missed, Priority: "Error"},
		{Rule: "known", Outcome: Missed, Priority: "Error", Reason: "its list is empty"},
		{Rule: "gone", Outcome: Detected, Priority: "Error", Likeness: 1},
		{Rule: "old name", Outcome: Detected, Priority: "Error", Likeness: same},
		{Rule: "gone and never tested", Outcome: Untested, Priority: "Error", Likeness: 3},
		{Rule: "not run", Outcome: Detected, Priority: "Error"},
		{Rule: "as it was", Outcome: Detected, Priority: "Error"},
	}}
	now := []Entry{
		{Rule: "broken", Outcome: Missed, Priority: "Error", File: "r.yaml", Line: 3},
		{Rule: "disabled", Outcome: Disabled, Priority: "Error"},
		{Rule: "shadowed", Outcome: Shadowed, Priority: "Error", Reason: `rule "broken" alerts first`},
		{Rule: "unsupported", Outcome: Skipped, Priority: "Error", Reason: "it uses a field that the judge lacks"},
		{Rule: "no root", Outcome: Skipped, Priority: "Error", Reason: "needs root", Here: true},
		{Rule: "flaky", Outcome: Flaky, Priority: "Error", Reason: "3 of 5"},
		{Rule: "less severe", Outcome: Detected, Priority: "Notice"},
		{Rule: "more severe", Outcome: Detected, Priority: "Critical"},
		{Rule: "tagged", Outcome: Detected, Priority: "Error", Tags: []string{"b", "a"}},
		{Rule: "mended", Outcome: Detected, Priority: "Error"},
		{Rule: "still missed", Outcome: Missed, Priority: "Error"},
		{Rule: "known", Outcome: Missed, Priority: "Error"},
		{Rule: "new name", Outcome: Detected, Priority: "Error", Likeness: same ^ 1},
		{Rule: "new", Outcome: Detected, Priority: "Error", Likeness: 0x0f0f0f0f0f0f0f0f},
		{Rule: "new and untested", Outcome: Untested, Priority: "Error", Likeness: 0xf0f0f0f0f0f0f0f0},
		{Rule: "not run", Outcome: Missed, Priority: "Error"},
		{Rule: "as it was", Outcome: Detected, Priority: "Error"},
	}
	var out strings.Builder
	ran := func(rule string) bool { return rule != "not run" }
	for _, f := range b.Compare(now, ran) {
		out.WriteString(f.String() + "\n")
	}
	golden(t, "testdata/baseline.golden", out.String())

	updated := b.Update(now, ran)
	if got := updated.Compare(now, ran); len(got) != 4 { // two missed, one known to be, and what cannot be verified here
		t.Errorf("after an update: %v", got)
	}
	for _, e := range updated.Entries {
		switch {
		case e.Rule == "no root" && e.Outcome != Detected, e.Rule == "not run" && e.Outcome != Detected, e.Rule == "known" && e.Reason == "":
			t.Errorf("the update forgot what was accepted: %+v", e)
		}
	}
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update rewrites it):\n%s", file, diff)
	}
}
