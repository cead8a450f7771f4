// SPDX-License-Identifier: Apache-2.0

package events

import (
	"strings"

	"github.com/falcotest/go-falcotest/internal/spelling"
)

// MatchRule tells whether the named action is meant to trigger the named rule:
// whether what follows the action name's last dot and the rule's name are the
// same, counting ASCII letters and digits only and ignoring case. An empty
// side never matches.
//
//	MatchRule("syscall.ReadEnvironmentVariableFromProcFiles",
//		"Read environment variable from /proc files") // true
func MatchRule(name string, rule string) bool {
	a := spelling.Key(name[strings.LastIndexByte(name, '.')+1:])
	return a != "" && a == spelling.Key(rule)
}
