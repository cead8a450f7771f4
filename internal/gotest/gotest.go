// SPDX-License-Identifier: Apache-2.0

// Package gotest is what go test told this test binary: which subtests run, whether
// it is to accept what it finds, and of which package it is. It imports nothing of
// this module.
package gotest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

// Filter tells which subtests of a test "go test -run" and -skip will
// run, so that actions nobody asked for are not started ahead of their
// subtests. It follows package testing's documentation of -run: the pattern is
// split by unbracketed | into alternatives and those by unbracketed / into one
// expression for each level of names. Where it says yes in error an action
// runs in vain; where it says no in error, the action starts with its subtest.
type Filter struct {
	run, skip string
}

// NewFilter returns that of this process.
func NewFilter() Filter {
	return Filter{run: flagValue("test.run"), skip: flagValue("test.skip")}
}

// FilterOf returns that of a process that was given -run and -skip.
func FilterOf(run, skip string) Filter { return Filter{run: run, skip: skip} }

// Patterns are what -run and -skip were given.
func (f Filter) Patterns() (run, skip string) { return f.run, f.skip }

// flagValue is what a flag of the test binary is set to, "" where there is none.
func flagValue(name string) string {
	if f := flag.Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// Selects tells whether the subtest of the test named parent will run.
func (f Filter) Selects(parent, subtest string) bool {
	levels := strings.Split(parent+"/"+strings.ReplaceAll(subtest, " ", "_"), "/")
	if f.run != "" {
		if ok, _ := matchLevels(f.run, levels); !ok {
			return false
		}
	}
	if f.skip != "" {
		if ok, whole := matchLevels(f.skip, levels); ok && whole {
			return false
		}
	}
	return true
}

// matchLevels tells whether one of a pattern's alternatives matches the levels
// of a name, and whether it had no further levels to match.
func matchLevels(pattern string, levels []string) (ok, whole bool) {
	for _, alternative := range splitUnbracketed(pattern, '|') {
		exprs := splitUnbracketed(alternative, '/')
		matched := true
		for i, expr := range exprs[:min(len(exprs), len(levels))] {
			re, err := regexp.Compile(expr)
			if err != nil || !re.MatchString(levels[i]) {
				matched = false
				break
			}
		}
		if matched {
			ok = true
			whole = whole || len(exprs) <= len(levels)
		}
	}
	return ok, whole
}

func splitUnbracketed(s string, separator byte) []string {
	var parts []string
	square, round, start := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			square++
		case ']':
			square = max(square-1, 0)
		case '(':
			if square == 0 {
				round++
			}
		case ')':
			if square == 0 {
				round--
			}
		case '\\':
			i++
		case separator:
			if square == 0 && round == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}

// JSON tells whether the output is read by a program (go test -json).
func JSON() bool { return flagValue("test.v") == "test2json" }

// Updating tells whether go test was given -update.
func Updating() bool {
	f := flag.Lookup("update")
	if f == nil {
		return false
	}
	g, ok := f.Value.(flag.Getter)
	if !ok {
		return false
	}
	on, _ := g.Get().(bool)
	return on
}

// DefineUpdate defines the flag -update, unless the tests define it themselves.
func DefineUpdate() {
	if flag.Lookup("update") == nil {
		flag.Bool("update", false, "accept what the tests find: rewrite the baseline of package falcotest")
	}
}

// Package is the path of the package that is tested.
func Package() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" {
		return strings.TrimSuffix(info.Path, ".test")
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".test")
}
