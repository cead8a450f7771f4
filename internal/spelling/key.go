// SPDX-License-Identifier: Apache-2.0

package spelling

import "strings"

// Key is the same for all names that differ in case, punctuation or blanks only: their
// ASCII letters, in small letters, and digits.
func Key(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, name)
}
