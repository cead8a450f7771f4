// SPDX-License-Identifier: Apache-2.0

// Package spelling suggests what a misspelt name may mean, and what two spellings of a
// name have in common. It imports nothing
// of this module.
package spelling

import "strings"

// longest bounds the names that are compared, and so the memory for it.
const longest = 100

// Nearest returns the one of names that is most like s, whatever the case, or
// "" when none is like it: at most a third of it differs.
func Nearest(s string, names []string) string {
	s = strings.ToLower(s)
	best, bestDist := "", len(s)/3+1
	if len(s) > longest {
		return ""
	}
	var row [longest + 1]int
	for _, name := range names {
		n := strings.ToLower(name)
		if d := len(n) - len(s); d >= bestDist || -d >= bestDist || len(n) > longest {
			continue
		}
		if d := distance(s, n, row[:]); d < bestDist {
			best, bestDist = name, d
		}
	}
	return best
}

// distance is the number of single-byte edits between a and b. row is memory
// for one number more than b has bytes.
func distance(a, b string, row []int) int {
	for j := 0; j <= len(b); j++ {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
