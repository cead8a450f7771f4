// SPDX-License-Identifier: Apache-2.0

package report

// Rule is one of the rules under test, and what the run made of it.
type Rule struct {
	Name     string   `json:"name"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Priority string   `json:"priority"`
	Tags     []string `json:"tags,omitempty"`
	Outcome  string   `json:"outcome"` // of its tests; or disabled, untested
	Reason   string   `json:"reason,omitempty"`
	Tests    []string `json:"tests,omitempty"`

	Clauses []Clause `json:"clauses,omitempty"` // of rules whose tests were watched
	Mutants *Mutants `json:"mutants,omitempty"` // of rules that were mutated
}

// Clause is a check of a rule's condition, or one item of the list that it compares
// with, and how often it decided what the condition came to.
type Clause struct {
	Text      string `json:"text"`
	Value     string `json:"value,omitempty"` // the item; "" for the check
	In        string `json:"in,omitempty"`    // the list or exception that it stands in
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`
	True      int    `json:"true"`
	False     int    `json:"false"`
}

// Covered tells whether a test would notice if the clause were wrong: it decided by
// being true and by being false; an item, whether it was needed.
func (c Clause) Covered() bool { return c.True > 0 && (c.False > 0 || c.Value != "") }

// Mutants is how many faults were put into a rule, and which no test noticed.
type Mutants struct {
	Judged    int        `json:"judged"`
	Survivors []Survivor `json:"survivors,omitempty"`
}

// Survivor is a fault that no test noticed.
type Survivor struct {
	What   string `json:"what"`
	In     string `json:"in,omitempty"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Finding is a difference from the baseline.
type Finding struct {
	Verdict string `json:"verdict"` // regression, renamed, new rule, …
	Rule    string `json:"rule"`
	Text    string `json:"text"`
	Next    string `json:"next,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// Change is a rule that means something else than at the revision that the run
// compares with.
type Change struct {
	Kind string `json:"kind"` // added, removed, renamed, changed
	Rule string `json:"rule"`
	From string `json:"from,omitempty"`
	Why  string `json:"why"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}
