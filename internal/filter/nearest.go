// SPDX-License-Identifier: Apache-2.0

package filter

// Nearest returns the one of names that is most like s, or "" when none is
// like it: at most a third of it differs.
func Nearest(s string, names []string) string {
	best, bestDist := "", len(s)/3+1
	if len(s) > 100 {
		return ""
	}
	var row [128]int
	for _, n := range names {
		if d := len(n) - len(s); d >= bestDist || -d >= bestDist || len(n) > 100 {
			continue
		}
		if d := distance(s, n, row[:]); d < bestDist {
			best, bestDist = n, d
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
