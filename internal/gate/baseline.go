// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// The outcomes of a rule in a baseline, beside others of its tests: unexpected, trigger
// failed, inconclusive.
const (
	Detected = "detected"
	Missed   = "missed"
	Flaky    = "flaky" // detected in some of its runs
	Skipped  = "skipped"
	Shadowed = "shadowed" // another rule alerts first
	Disabled = "disabled"
	Untested = "untested" // there is neither an action nor a test for it
)

// Entry is what a baseline says of a rule.
type Entry struct {
	Rule     string
	Outcome  string
	Priority string
	Tags     []string
	Tests    []string // the actions and tests, sorted
	// Likeness is by which a rule is known again under another name.
	Likeness uint64
	// Reason says why a rule may be missed, in a baseline; in a run, why it was
	// skipped and the like.
	Reason string
	// Here tells that the outcome is so for want of something on this machine,
	// which says nothing of the rule.
	Here bool
	// File and Line are where the rule stands; a baseline does not hold them.
	File string
	Line int
}

// Baseline is what was accepted, one entry a rule, sorted by name.
type Baseline struct{ Entries []Entry }

const baselineHead = `# What the tests made of each rule when this was last accepted: go test fails when
# it gets worse. Written by go test -update; a reason behind # is kept.
# outcome | priority | rule | tests | tags | likeness
`

// Bytes writes the baseline as the text that [ParseBaseline] reads: a line a rule,
// so that a diff of it reads as a list of what changed.
func (b *Baseline) Bytes() []byte {
	entries := slices.SortedFunc(slices.Values(b.Entries), func(a, c Entry) int { return cmp.Compare(a.Rule, c.Rule) })
	var out bytes.Buffer
	out.WriteString(baselineHead)
	for _, e := range entries {
		fmt.Fprintf(&out, "%s | %s | %s | %s | %s | %016x", e.Outcome, e.Priority, cell(e.Rule),
			orNone(strings.Join(e.Tests, ", ")), orNone(strings.Join(e.Tags, ", ")), e.Likeness)
		if e.Reason != "" {
			out.WriteString(" # " + words(e.Reason))
		}
		out.WriteString("\n")
	}
	return out.Bytes()
}

func orNone(s string) string { return cmp.Or(s, "-") }

// cell writes a name so that it holds no separator.
func cell(s string) string {
	if strings.ContainsAny(s, "|#\n\"") || strings.TrimSpace(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// ParseBaseline reads a baseline; name is the file's, for errors, which say the line.
func ParseBaseline(name string, data []byte) (*Baseline, error) {
	b := &Baseline{}
	seen := map[string]int{}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseEntry(line)
		if err == nil && seen[e.Rule] > 0 {
			err = fmt.Errorf("the rule %q stands in line %d already", e.Rule, seen[e.Rule])
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w (go test -update writes it anew)", name, n, err)
		}
		seen[e.Rule] = n
		b.Entries = append(b.Entries, e)
	}
	return b, nil
}

func parseEntry(line string) (e Entry, err error) {
	var cells []string
	for rest := line; ; {
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return e, errors.New("a quote has no end")
			}
			text, _ := strconv.Unquote(quoted)
			cells = append(cells, text)
			rest = rest[len(quoted):]
		} else {
			end := strings.IndexAny(rest, "|#")
			if end < 0 {
				end = len(rest)
			}
			cells = append(cells, strings.TrimSpace(rest[:end]))
			rest = rest[end:]
		}
		rest = strings.TrimSpace(rest)
		if reason, ok := strings.CutPrefix(rest, "#"); ok {
			e.Reason = strings.TrimSpace(reason)
			break
		}
		var more bool
		if rest, more = strings.CutPrefix(rest, "|"); !more {
			if rest != "" {
				return e, fmt.Errorf("%q stands where | separates", rest)
			}
			break
		}
	}
	if len(cells) != 6 {
		return e, fmt.Errorf("%d cells, want outcome | priority | rule | tests | tags | likeness", len(cells))
	}
	e.Outcome, e.Priority, e.Rule = cells[0], cells[1], cells[2]
	if e.Rule == "" || e.Outcome == "" {
		return e, errors.New("the outcome or the rule's name is empty")
	}
	e.Tests, e.Tags = list(cells[3]), list(cells[4])
	if e.Likeness, err = strconv.ParseUint(cells[5], 16, 64); err != nil {
		return e, fmt.Errorf("the likeness %q is no number of 16 hexadecimal digits", cells[5])
	}
	return e, nil
}

func list(s string) []string {
	if s == "-" || s == "" {
		return nil
	}
	return strings.Split(s, ", ")
}

// Likeness is a number that is near to that of a rule with nearly the same
// condition: few of its bits differ then, and none where the conditions mean the
// same.
func Likeness(r *rules.Rule) uint64 {
	var votes [64]int
	for _, leaf := range leaves(r.Expr) {
		h := fnv.New64a()
		h.Write([]byte(leaf))
		sum := h.Sum64()
		sum ^= sum >> 29 // spread what differs in the last bytes
		sum *= 0xbf58476d1ce4e5b9
		sum ^= sum >> 32
		for i := range votes {
			if sum>>i&1 != 0 {
				votes[i]++
			} else {
				votes[i]--
			}
		}
	}
	var out uint64
	for i, v := range votes {
		if v > 0 {
			out |= 1 << i
		}
	}
	return out
}

// sameRule is how many bits of the likeness may differ between a rule and itself
// under another name.
const sameRule = 6

// Verdict is how a rule compares with what was accepted.
type Verdict string

// The verdicts. Only a regression fails a run.
const (
	Regression   Verdict = "regression"
	StillMissing Verdict = "still missing" // missed then and now
	KnownMiss    Verdict = "known miss"    // still missing, with a reason in the baseline
	NewlyGood    Verdict = "newly detected"
	NewRule      Verdict = "new rule"
	RenamedRule  Verdict = "renamed"
	Different    Verdict = "changed" // priority raised, tags, tests
	NotHere      Verdict = "not verified here"
)

// Finding is what a comparison with a baseline found of a rule.
type Finding struct {
	Verdict Verdict
	Rule    string
	Text    string // what it was and is, in words
	Next    string // what to do
	File    string // where the rule stands, "" when it is gone
	Line    int
}

// String is the finding as one line and the advice as another.
func (f Finding) String() string {
	at := ""
	if f.File != "" {
		at = fmt.Sprintf(" (%s:%d)", f.File, f.Line)
	}
	s := fmt.Sprintf("%s: %q %s%s", f.Verdict, f.Rule, f.Text, at)
	if f.Next != "" {
		s += "\n    next: " + f.Next
	}
	return s
}

// good are the outcomes from worst to best, as far as they can be ranked.
func good(outcome string) bool { return outcome == Detected }

// Compare compares what a run found with the baseline. Rules that the run left out
// on purpose (ran is false for them) are not compared. The findings are sorted,
// regressions first.
func (b *Baseline) Compare(now []Entry, ran func(rule string) bool) []Finding {
	was, is := map[string]Entry{}, map[string]Entry{}
	for _, e := range b.Entries {
		was[e.Rule] = e
	}
	for _, e := range now {
		is[e.Rule] = e
	}
	var found []Finding
	renamed := map[string]bool{}
	for _, e := range now {
		old, known := was[e.Rule]
		if !known {
			old, known = b.likest(e, is, renamed)
			if known {
				renamed[old.Rule] = true
				found = append(found, Finding{Verdict: RenamedRule, Rule: e.Rule, Text: fmt.Sprintf("was %q", old.Rule),
					Next: "if that was meant, accept it by go test -update; alerts under the old name will not come any more", File: e.File, Line: e.Line})
			}
		}
		if !known {
			f := Finding{Verdict: NewRule, Rule: e.Rule, Text: "is new: " + e.Outcome, File: e.File, Line: e.Line, Next: "accept it by go test -update"}
			if e.Outcome == Untested {
				f.Text, f.Next = "is new and has no test", "write a test beside it, or an action for it; then go test -update"
			}
			found = append(found, f)
			continue
		}
		if ran(e.Rule) {
			found = append(found, compare(old, e)...)
		}
	}
	for _, old := range b.Entries {
		if _, there := is[old.Rule]; there || renamed[old.Rule] {
			continue
		}
		f := Finding{Verdict: Regression, Rule: old.Rule, Text: fmt.Sprintf("is gone; it was %s", old.Outcome),
			Next: "put the rule back, or accept its removal by go test -update"}
		if !good(old.Outcome) {
			f.Verdict = Different
		}
		found = append(found, f)
	}
	order := []Verdict{Regression, RenamedRule, NewRule, Different, StillMissing, NewlyGood, NotHere, KnownMiss}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Verdict), slices.Index(order, b.Verdict)), cmp.Compare(a.Rule, b.Rule))
	})
	return found
}

// likest finds the entry of a rule that is gone and whose condition a new rule has.
func (b *Baseline) likest(e Entry, is map[string]Entry, taken map[string]bool) (best Entry, ok bool) {
	least := sameRule + 1
	for _, old := range b.Entries {
		if _, there := is[old.Rule]; there || taken[old.Rule] {
			continue
		}
		if n := bits.OnesCount64(old.Likeness ^ e.Likeness); n < least {
			best, least = old, n
		}
	}
	return best, least <= sameRule
}

// compare compares two entries of one rule.
func compare(old, e Entry) []Finding {
	var found []Finding
	add := func(v Verdict, next, format string, args ...any) {
		found = append(found, Finding{Verdict: v, Rule: e.Rule, Text: fmt.Sprintf(format, args...), Next: next, File: e.File, Line: e.Line})
	}
	because := ""
	if e.Reason != "" {
		because = ": " + words(e.Reason)
	}
	const accept = ", or accept it by go test -update"
	switch {
	case e.Here && !good(e.Outcome):
		if old.Outcome != e.Outcome {
			add(NotHere, "", "was %s and is %s on this machine%s", old.Outcome, e.Outcome, because)
		}
	case good(old.Outcome) && !good(e.Outcome):
		next := "mend the rule" + accept
		switch e.Outcome {
		case Disabled:
			next = "enable the rule again" + accept
		case Shadowed:
			next = "put the rule before the one that shadows it" + accept
		case Flaky:
			next = "find out why it fires only sometimes; -count=20 -run of this test shows the rate"
		case Untested:
			next = "put the test back" + accept
			if old.Rule != e.Rule {
				next = "give its test or action the new name, too" + accept
			}
		}
		add(Regression, next, "was detected and is %s%s", e.Outcome, because)
	case !good(old.Outcome) && good(e.Outcome):
		add(NewlyGood, "accept it by go test -update", "was %s and is detected", old.Outcome)
	case old.Outcome != e.Outcome:
		add(Different, "accept it by go test -update", "was %s and is %s%s", old.Outcome, e.Outcome, because)
	case e.Outcome == Missed && old.Reason != "":
		add(KnownMiss, "", "is missed, as is known: %s", old.Reason)
	case e.Outcome == Missed:
		add(StillMissing, "mend the rule, or give the reason behind # at its line of the baseline", "was missed and still is")
	}
	from, okFrom := alert.ParsePriority(old.Priority)
	to, okTo := alert.ParsePriority(e.Priority)
	switch {
	case old.Priority == e.Priority:
	case okFrom == nil && okTo == nil && to > from:
		add(Regression, "raise the priority again"+accept, "had priority %s and has %s, which is less", old.Priority, e.Priority)
	default:
		add(Different, "accept it by go test -update", "had priority %s and has %s", old.Priority, e.Priority)
	}
	if a, b := sorted(old.Tags), sorted(e.Tags); a != b {
		add(Different, "accept it by go test -update", "had the tags %s and has %s", a, b)
	}
	return found
}

// Update returns the baseline to accept after a run: what it found, the reasons that
// were given kept; what it did not run, or could not verify on this machine, stays as it was.
func (b *Baseline) Update(now []Entry, ran func(rule string) bool) *Baseline {
	was := map[string]Entry{}
	for _, e := range b.Entries {
		was[e.Rule] = e
	}
	out := &Baseline{}
	for _, e := range now {
		old, known := was[e.Rule]
		if known && (!ran(e.Rule) || e.Here && !good(e.Outcome)) {
			e.Outcome, e.Tests, e.Reason = old.Outcome, old.Tests, old.Reason
		} else if known && e.Outcome == Missed && old.Outcome == Missed {
			e.Reason = old.Reason
		} else if e.Outcome == Missed || e.Outcome == Detected {
			e.Reason = ""
		}
		out.Entries = append(out.Entries, e)
	}
	return out
}
