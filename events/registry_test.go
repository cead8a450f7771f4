// SPDX-License-Identifier: Apache-2.0

package events

import "testing"

func TestFunctionName(t *testing.T) {
	for full, want := range map[string][2]string{
		"example.org/falco/actions.Writes":    {"actions", "Writes"},
		"example.org/falco/go-actions.Writes": {"actions", "Writes"},
		"example.org/go-actions/v2.Writes":    {"actions", "Writes"},
		"gopkg.in/actions%2ev2.Writes":        {"actions", "Writes"},
		"example.org/my%2eactions.Writes":     {"my.actions", "Writes"},
		"actions.Writes":                      {"actions", "Writes"},
		"v2.Writes":                           {"v2", "Writes"},
		"main.(*T).Writes-fm":                 {"main", "(*T).Writes-fm"},
	} {
		if pkg, fn := functionName(full); pkg != want[0] || fn != want[1] {
			t.Errorf("functionName(%q) = %q, %q; want %q", full, pkg, fn, want)
		}
	}
}
