// SPDX-License-Identifier: Apache-2.0

package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed page.html
var pageText string

// page is parsed when it is first asked for: processes of actions never do.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"latency": latency, "orDash": orDash, "join": func(s []string) string { return strings.Join(s, ", ") },
		"class": func(outcome string) string { return strings.ReplaceAll(outcome, " ", "-") },
		"lower": strings.ToLower,
	}).Parse(pageText))
})

// HTML writes the document as one page that needs nothing else: no network, no
// other file; and without scripts all but the filters.
func (d *Document) HTML(w io.Writer) error {
	rules := d.rules()
	p := struct {
		*Document
		Totals  string
		Rows    []pageRow
		Rules   []Rule
		Groups  []pageGroups
		Plot    template.HTML
		Slowest time.Duration
		Holes   []Rule
		Started time.Time
	}{Document: d, Rules: rules}
	total := &Report{}
	for _, r := range d.Runs {
		for _, row := range r.Rows {
			p.Rows = append(p.Rows, pageRow{row, r})
		}
		total.Rows, total.Problems = append(total.Rows, r.Rows...), append(total.Problems, r.Problems...)
		if p.Started.IsZero() || !r.Started.IsZero() && r.Started.Before(p.Started) {
			p.Started = r.Started
		}
	}
	p.Totals = total.Totals()
	for _, g := range []struct {
		name string
		of   func(Rule) []string
	}{{"file", byFile}, {"maturity", byMaturity}, {"priority", byPriority}, {"ATT&CK technique", byTechnique}} {
		if groups := group(rules, g.of); len(groups) > 0 {
			p.Groups = append(p.Groups, pageGroups{g.name, groups})
		}
	}
	for _, r := range rules {
		if r.Mutants != nil && len(r.Mutants.Survivors) > 0 || slices.ContainsFunc(r.Clauses, func(c Clause) bool { return !c.Covered() }) {
			p.Holes = append(p.Holes, r)
		}
	}
	p.Plot = plot(total.Rows)
	return page().Execute(w, p)
}

type pageRow struct {
	Row
	Run *Report
}

type pageGroups struct {
	By     string
	Groups []Group
}

// plot draws the latencies as dots on a logarithmic axis, the fastest below.
func plot(rows []Row) template.HTML {
	var with []Row
	for _, r := range rows {
		if r.Outcome == "detected" && r.Latency > 0 {
			with = append(with, r)
		}
	}
	if len(with) == 0 {
		return ""
	}
	slices.SortFunc(with, func(a, b Row) int { return int(a.Latency - b.Latency) })
	const width, left, right, top, bottom = 720.0, 12.0, 12.0, 10.0, 26.0
	low := math.Floor(math.Log10(float64(with[0].Latency)))
	high := math.Ceil(math.Log10(float64(with[len(with)-1].Latency)) + 1e-9)
	if high <= low {
		high = low + 1
	}
	x := func(d time.Duration) float64 {
		return left + (math.Log10(float64(d))-low)/(high-low)*(width-left-right)
	}
	step := math.Max(2, math.Min(7, 240/float64(len(with))))
	height := top + bottom + step*float64(len(with))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="Latency from the start of an action to its alert, one dot each, from %s to %s">`,
		width, height, latency(with[0].Latency), latency(with[len(with)-1].Latency))
	for e := low; e <= high; e++ {
		at := time.Duration(math.Pow(10, e))
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.0f" y2="%.1f"/>`, x(at), x(at), top, height-bottom)
		anchor := "middle"
		switch e {
		case low:
			anchor = "start"
		case high:
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x(at), height-8, anchor, at)
	}
	for i, r := range with {
		y := height - bottom - step*(float64(i)+0.5)
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%.1f"><title>%s: %s</title></circle>`, x(r.Latency), y, math.Max(2, step/2.4),
			template.HTMLEscapeString(r.Action), latency(r.Latency))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}
