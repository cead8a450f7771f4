// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"os"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/rules"
)

// defaultRules are tried where no rules files are named: a folder beside the
// test, else what Falco loads by default (rules_files in its falco.yaml).
var defaultRules = [][]string{
	{"rules"},
	{"/etc/falco/falco_rules.yaml", "/etc/falco/falco_rules.local.yaml", "/etc/falco/rules.d"},
}

// Files expands the patterns of the rules under test. With a Falco that
// loaded its rules itself, none need be known: the list is then empty.
func Files(c *config.Settings) (*rules.Files, error) {
	if patterns := Patterns(c); len(patterns) > 0 {
		return rules.Find(patterns...)
	}
	if c.LoadsRules() {
		return nil, errors.New("finding rules: there is neither a folder rules beside the test nor /etc/falco/falco_rules.yaml: name the files by falcotest.WithRules or FALCOTEST_RULES")
	}
	return &rules.Files{}, nil
}

// Patterns are those of the rules under test, or the first of the defaults
// that stands for any file.
func Patterns(c *config.Settings) []string {
	if len(c.Rules) > 0 {
		return c.Rules
	}
	for _, names := range defaultRules {
		var there []string
		for _, name := range names {
			if _, err := os.Stat(name); err == nil {
				there = append(there, name)
			}
		}
		if _, err := rules.Find(there...); err == nil && len(there) > 0 {
			return there
		}
	}
	return nil
}
