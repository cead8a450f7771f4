// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/spelling"
)

// selectActions picks the registered actions that a configuration asks for, by
// name, and lists the rules under test that no registered action is for. A nil
// set means that no rules files are given: then every action counts.
func selectActions(c *config.Settings, set *rules.Set) (chosen []*Action, uncovered []*rules.Rule, err error) {
	if len(events.All()) == 0 {
		return nil, nil, errors.New("selecting actions: no action is registered: import the packages that hold them, e.g. _ \"github.com/falcotest/go-falcotest/events/syscall\"")
	}
	names := slices.Sorted(maps.Keys(events.All()))
	names = slices.DeleteFunc(names, func(name string) bool {
		of, _ := events.NearMissOf(name)
		return of != "" // it runs with that one
	})
	wanted, err := wantedNames(c, names)
	if err != nil {
		return nil, nil, err
	}
	byKey := map[string]*rules.Rule{}
	ruleOf := func(action string) *rules.Rule {
		return byKey[spelling.Key(action[strings.LastIndexByte(action, '.')+1:])]
	}
	if set != nil {
		for _, r := range set.Rules {
			if key := spelling.Key(r.Name); key != "" && byKey[key] == nil {
				byKey[key] = r
			}
		}
		covered := map[string]bool{}
		for _, name := range names {
			covered[spelling.Key(name[strings.LastIndexByte(name, '.')+1:])] = true
		}
		for _, r := range set.Rules {
			if key := spelling.Key(r.Name); key == "" || !covered[key] {
				uncovered = append(uncovered, r)
			}
		}
		slices.SortFunc(uncovered, func(a, b *rules.Rule) int { return cmp.Compare(a.Name, b.Name) })
	}
	disabled := 0
	for _, name := range names {
		explicit, ok := wanted[name]
		if !ok {
			continue
		}
		rule := ruleOf(name)
		switch {
		case set != nil && rule == nil:
			if explicit {
				return nil, nil, fmt.Errorf("selecting actions: no rule under test matches the action %s: its rule must have the same letters and digits as %q", name, name[strings.LastIndexByte(name, '.')+1:])
			}
		case events.Disabled(name) && !c.Disabled && !explicit:
			disabled++
		default:
			a := Registered(name, rule)
			a.Named = explicit
			chosen = append(chosen, a)
		}
	}
	if len(chosen) == 0 {
		var why []string
		if disabled > 0 {
			why = append(why, fmt.Sprintf("%d that match are disabled by default: add WithDisabledActions or FALCOTEST_DISABLED=1", disabled))
		}
		if len(c.Actions) > 0 {
			why = append(why, fmt.Sprintf("asked for %s", strings.Join(c.Actions, ", ")))
		}
		if set != nil {
			why = append(why, fmt.Sprintf("%d rules under test, %d actions registered", len(set.Rules), len(names)))
			why = append(why, leftOut(set)...)
			for _, p := range set.Remarks[:min(3, len(set.Remarks))] {
				why = append(why, p.String())
			}
		}
		return nil, nil, fmt.Errorf("selecting actions: none selected, so nothing would be tested (%s)", strings.Join(why, "; "))
	}
	return chosen, uncovered, nil
}

// alike warns of rules whose names no action can tell apart: most often one is the
// other under a misspelt name, which was meant to replace it.
func alike(set *rules.Set) (lines []string) {
	first := map[string]*rules.Rule{}
	for _, r := range set.Rules {
		key := spelling.Key(r.Name)
		other := first[key]
		if other == nil {
			first[key] = r
			continue
		}
		lines = append(lines, fmt.Sprintf("%s:%d: the name of the rule %q differs in case or punctuation only from that of %q, %s:%d: both are loaded, and actions named so are for the latter",
			r.Pos.File, r.Pos.Line, r.Name, other.Name, other.Pos.File, other.Pos.Line))
	}
	return lines
}

// leftOut says which rules are not under test because their source is not here.
func leftOut(set *rules.Set) (lines []string) {
	count := map[string]int{}
	for _, r := range set.LeftOut {
		count[r.Source]++
	}
	for _, source := range slices.Sorted(maps.Keys(count)) {
		lines = append(lines, fmt.Sprintf("%d more of the source %s were left out: no plugin that has it is here", count[source], source))
	}
	return lines
}

// wantedNames resolves the patterns of WithActions; the value tells whether the
// action was asked for by its full name.
func wantedNames(c *config.Settings, names []string) (map[string]bool, error) {
	wanted := make(map[string]bool)
	if len(c.Actions) == 0 {
		for _, name := range names {
			wanted[name] = false
		}
		return wanted, nil
	}
	for _, pattern := range c.Actions {
		if slices.Contains(names, pattern) {
			wanted[pattern] = true
			continue
		}
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return nil, fmt.Errorf("selecting actions: %q is neither the name of an action nor a regular expression: %w", pattern, err)
		}
		found := false
		for _, name := range names {
			if re.MatchString(name) {
				found = true
				if !wanted[name] {
					wanted[name] = false
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("selecting actions: no registered action matches %q%s", pattern, Nearest(pattern, names))
		}
	}
	return wanted, nil
}

// Nearest suggests, in parentheses, the registered name that looks most like a pattern.
func Nearest(pattern string, names []string) string {
	if name := spelling.Nearest(pattern, names); name != "" {
		return fmt.Sprintf(" (did you mean %s?)", name)
	}
	return ""
}
