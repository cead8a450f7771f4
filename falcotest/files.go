// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/falcotest/go-falcotest/internal/rules"
)

// defaultRules are tried where no rules files are named: a folder beside the
// test, else what Falco loads by default (rules_files in its falco.yaml).
var defaultRules = [][]string{
	{"rules"},
	{"/etc/falco/falco_rules.yaml", "/etc/falco/falco_rules.local.yaml", "/etc/falco/rules.d"},
}

// rulesFiles expands the patterns of the rules under test. With a Falco that
// loaded its rules itself, none need be known: the list is then empty.
func (c *settings) rulesFiles() (*rules.Files, error) {
	if patterns := c.rulePatterns(); len(patterns) > 0 {
		return rules.Find(patterns...)
	}
	if c.loadsRules() {
		return nil, errors.New("finding rules: there is neither a folder rules beside the test nor /etc/falco/falco_rules.yaml: name the files by falcotest.WithRules or FALCOTEST_RULES")
	}
	return &rules.Files{}, nil
}

// rulePatterns are those of the rules under test, or the first of the defaults
// that stands for any file.
func (c *settings) rulePatterns() []string {
	if len(c.rules) > 0 {
		return c.rules
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

// loadsRules tells whether the judge loads the rules under test.
func (c *settings) loadsRules() bool {
	return strings.HasPrefix(c.falco, "builtin:") || strings.HasPrefix(c.falco, "exec:") || strings.HasPrefix(c.falco, "replay:")
}

// checkScheme says which judges there are when a URL names none of them.
func (c *settings) checkScheme() error {
	scheme, _, ok := strings.Cut(c.falco, ":")
	if ok {
		switch scheme {
		case "builtin", "replay", "unix", "grpcs", "exec", "http", "https", "file":
			return nil
		}
	}
	return fmt.Errorf("reaching the judge: %q is no URL of a Falco: want builtin:, unix:///path, grpcs://host:port?cert=…&key=…&ca=…, exec:///path, replay:///path, http://address, https://address or file:///path", c.falco)
}
