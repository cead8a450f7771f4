// SPDX-License-Identifier: Apache-2.0

package testfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	Pos  Pos
	Text string
	Hint string // what to write instead, or ""
}

// Error returns place, problem and hint on one line.
func (p *Problem) Error() string {
	s := p.Pos.String() + ": " + p.Text
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Problems are all that is wrong with one or more files.
type Problems []*Problem

// Error lists them, a line each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Tidy sorts problems by place and drops those that several cases repeat.
func (p Problems) Tidy() Problems {
	slices.SortStableFunc(p, func(a, b *Problem) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return slices.CompactFunc(p, func(a, b *Problem) bool { return *a == *b })
}

// nearestOf suggests the name that looks most like one that is not known, else
// lists the names if they are few.
func nearestOf(name string, names []string) string {
	if best := nearest(name, names); best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	if len(names) == 0 {
		return ""
	}
	if len(names) > 24 {
		return fmt.Sprintf("allowed are %s and %d more", strings.Join(names[:24], ", "), len(names)-24)
	}
	return "allowed: " + strings.Join(names, ", ")
}

// nearest returns the name that looks most like one that is not known: at most half of
// it differs, or it goes on where that one ends. "" if there is none.
func nearest(name string, names []string) string {
	name = strings.ToLower(name)
	if len(name) > longestName {
		return ""
	}
	best, distance := "", len(name)/2+1
	for _, candidate := range names {
		if len(candidate) > longestName {
			continue
		}
		if d := editDistance(name, strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}
	if i := slices.IndexFunc(names, func(s string) bool { return strings.HasPrefix(strings.ToLower(s), name) }); best == "" && len(name) > 2 && i >= 0 {
		best = names[i]
	}
	return best
}

// longestName bounds the names that are compared, and so the time for it.
const longestName = 200

// shown quotes a text, the beginning of it if it is long.
func shown(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:59]) + "…"
	}
	return strconv.Quote(s)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
