// SPDX-License-Identifier: Apache-2.0

package events

import "strings"

// MatchRule tells whether the named action is meant to trigger the named rule:
// whether what follows the action name's last dot and the rule's name are the
// same, counting ASCII letters and digits only and ignoring case. An empty
// side never matches.
//
//	MatchRule("syscall.ReadEnvironmentVariableFromProcFiles",
//		"Read environment variable from /proc files") // true
func MatchRule(name string, rule string) bool {
	a := simplify(name[strings.LastIndexByte(name, '.')+1:])
	return a != "" && a == simplify(rule)
}

func simplify(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return -1
	}, s)
}
