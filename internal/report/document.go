// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Version is that of the JSON that [Document] is written as. It is raised when a
// member is renamed, removed or means something else; members that are added do
// not raise it. SCHEMA.json in package falcotest describes it.
const Version = 1

// Document is what a report holds: the runs of one or more test packages.
type Document struct {
	Version int       `json:"version"`
	Runs    []*Report `json:"runs"`
}

// NewDocument returns a document of runs, in the order of their packages and tests.
func NewDocument(runs ...*Report) *Document {
	d := &Document{Version: Version, Runs: slices.Clone(runs)}
	slices.SortStableFunc(d.Runs, func(a, b *Report) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Test, b.Test))
	})
	return d
}

// Read reads a document that was written as JSON. A document of a later version is
// an error.
func Read(r io.Reader) (*Document, error) {
	d := &Document{}
	if err := json.NewDecoder(r).Decode(d); err != nil {
		return nil, fmt.Errorf("reading a report: %w", err)
	}
	if d.Version < 1 || d.Version > Version {
		return nil, fmt.Errorf("reading a report: it is of version %d, this program knows versions up to %d", d.Version, Version)
	}
	return d, nil
}

// JSON writes the document.
func (d *Document) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// Markdown writes the runs, for a job summary or a pull request's comment.
func (d *Document) Markdown(w io.Writer) error {
	for _, r := range d.Runs {
		if err := r.Markdown(w); err != nil {
			return err
		}
	}
	return nil
}

// all returns the runs' rules that a test covers or could, each once: of several
// runs of one rule the worst.
func (d *Document) rules() []Rule {
	at := map[[2]string]int{}
	var list []Rule
	for _, run := range d.Runs {
		for _, r := range run.Verdicts {
			key := [2]string{r.File, r.Name}
			i, ok := at[key]
			switch {
			case !ok:
				at[key] = len(list)
				list = append(list, r)
			case rank(r.Outcome) > rank(list[i].Outcome):
				list[i] = r
			}
		}
	}
	return list
}

// rank orders outcomes: those that tell the most of a rule, and the worse of those,
// last.
func rank(outcome string) int {
	return slices.Index([]string{"untested", "disabled", "skipped", "trigger failed", "inconclusive", "detected", "shadowed", "flaky", "unexpected", "missed"}, outcome)
}
