// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

// load loads rules files, given as name and content in turn.
func load(t testing.TB, src filter.Source, files ...string) *rules.Set {
	t.Helper()
	var list []rules.File
	for i := 0; i < len(files); i += 2 {
		list = append(list, rules.File{Name: files[i], Data: []byte(files[i+1])})
	}
	set, err := rules.LoadFiles(t.Context(), list, rules.Options{Sources: []filter.Source{src}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return set
}

const macrosBefore = `
- list: editors
  items: [vi, nano, emacs]
- macro: written
  condition: (evt.type in (open, openat) and evt.is_open_write = true)
- macro: in_etc
  condition: fd.name startswith /etc/
`

const rulesBefore = `
- rule: A
  desc: a
  condition: written and in_etc and not proc.name in (editors)
  output: written (file=%fd.name)
  priority: ERROR
  tags: [x, y]
- rule: B
  desc: b
  condition: written and proc.name = cat
  output: cat
  priority: WARNING
- rule: C
  desc: c
  condition: evt.type = unlink and proc.name in (rm, shred) and proc.pname = sh
  output: c
  priority: WARNING
  exceptions:
    - name: known
      fields: [proc.name, fd.name]
      comps: [=, =]
      values: [[rm, /tmp/x]]
`

func TestCompare(t *testing.T) {
	sub := func(s, old, new string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("%q is not there", old)
		}
		return strings.Replace(s, old, new, 1)
	}
	for _, c := range []struct {
		name          string
		macros, rules string // after the change
		want          string
	}{
		{"nothing", macrosBefore, rulesBefore, ""},
		{"comments", "# new\n" + sub(macrosBefore, "- macro: in_etc", "# here\n- macro: in_etc"), "\n\n" + rulesBefore, ""},
		{"order of a list's items", sub(macrosBefore, "[vi, nano, emacs]", "[emacs, vi, nano, vi]"), rulesBefore, ""},
		{"parentheses, order of parts, ==", macrosBefore, sub(rulesBefore, "written and proc.name = cat", "((proc.name == cat) and (written))"), ""},
		{"a macro instead of its text", macrosBefore, sub(rulesBefore, "written and in_etc and", "written and fd.name startswith /etc/ and"), ""},
		{"a description", macrosBefore, sub(rulesBefore, "desc: a", "desc: something else"), ""},
		{"a macro", sub(macrosBefore, "(open, openat)", "(open)"), rulesBefore,
			"changed A: macro written, macros.yaml:4\nchanged B: macro written, macros.yaml:4\n"},
		{"a list", sub(macrosBefore, "nano, ", ""), rulesBefore, "changed A: list editors, macros.yaml:2\n"},
		{"a list that is empty now", sub(macrosBefore, "[vi, nano, emacs]", "[]"), rulesBefore, "changed A: list editors, macros.yaml:2\n"},
		{"its own text", macrosBefore, sub(rulesBefore, "proc.name = cat", "proc.name = dog"), "changed B: its condition, rules.yaml:10\n"},
		{"an exception", macrosBefore, sub(rulesBefore, "[[rm, /tmp/x]]", "[[rm, /tmp/x], [rm, /tmp/y]]"), "changed C: exception known, rules.yaml:19\n"},
		{"output, priority, tags", macrosBefore, sub(sub(sub(rulesBefore, "output: cat", "output: dog"), "priority: ERROR", "priority: NOTICE"), "[x, y]", "[y]"),
			"changed A: priority Notice, was Error; tags y, was x, y\nchanged B: its output\n"},
		{"the order of tags", macrosBefore, sub(rulesBefore, "[x, y]", "[y, x]"), ""},
		{"disabled", macrosBefore, rulesBefore + "- rule: B\n  enabled: false\n  override: {enabled: replace}\n", "changed B: enabled no, was yes\n"},
		{"an override in another place", macrosBefore, rulesBefore + "- rule: B\n  condition: and fd.num > 2\n  override: {condition: append}\n", "changed B: its condition, rules.yaml:24\n"},
		{"a new rule", macrosBefore, rulesBefore + "- rule: D\n  desc: d\n  condition: evt.type = chdir\n  output: d\n  priority: DEBUG\n", "added D: new rule, rules.yaml:23\n"},
		{"renamed", macrosBefore, sub(rulesBefore, "rule: C", "rule: C as it is called now"), `renamed C as it is called now: renamed from "C"` + "\n"},
		{"renamed and changed a little", macrosBefore, sub(sub(rulesBefore, "rule: C", "rule: New"), "proc.pname = sh", "proc.pname = bash"),
			"renamed New: renamed from \"C\"; its condition, rules.yaml:15\n"},
		{"removed", macrosBefore, rulesBefore[:strings.Index(rulesBefore, "- rule: C")], "removed C: removed, it was at rules.yaml:13\n"},
		{"order", macrosBefore, func() string {
			b, c := strings.Index(rulesBefore, "- rule: B"), strings.Index(rulesBefore, "- rule: C")
			return rulesBefore[b:c] + rulesBefore[:b] + rulesBefore[c:]
		}(), "changed A: rule \"B\" before it may take its events now, rules.yaml:1\n"},
		{"a new rule before others", macrosBefore, "- rule: First\n  desc: f\n  condition: evt.type in (open, unlink)\n  output: f\n  priority: DEBUG\n  enabled: true\n" + rulesBefore[1:],
			"added First: new rule, rules.yaml:1\nchanged A: rule \"First\" before it may take its events now, rules.yaml:1\n" +
				"changed B: rule \"First\" before it may take its events now, rules.yaml:1\nchanged C: rule \"First\" before it may take its events now, rules.yaml:1\n"},
		{"a new rule before others, for other events", macrosBefore, "- rule: First\n  desc: f\n  condition: evt.type = chdir\n  output: f\n  priority: DEBUG\n" + rulesBefore[1:],
			"added First: new rule, rules.yaml:1\n"},
		{"one that is looser", macrosBefore, sub(rulesBefore, "written and in_etc and", "written and"),
			"changed A: its condition, rules.yaml:2\nchanged B: rule \"A\" before it may take its events now, rules.yaml:2\n"},
		{"one that is tighter", macrosBefore, sub(rulesBefore, "written and in_etc and", "written and in_etc and fd.num > 2 and"), "changed A: its condition, rules.yaml:4\n"},
		{"what other files add", macrosBefore, rulesBefore + "- list: editors\n  items: [joe]\n  override: {items: append}\n- macro: in_etc\n  condition: or fd.name startswith /usr/etc/\n  override: {condition: append}\n" +
			"- rule: C\n  exceptions:\n  - {name: mine, fields: [proc.name], comps: [=], values: [[x]]}\n  override: {exceptions: append}\n",
			"changed A: macro in_etc, rules.yaml:27; list editors, rules.yaml:24\nchanged C: exception mine, rules.yaml:31\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := load(t, fields.New(), "macros.yaml", macrosBefore, "rules.yaml", rulesBefore)
			now := load(t, fields.New(), "macros.yaml", c.macros, "rules.yaml", c.rules)
			var got strings.Builder
			for _, change := range Compare(before, now) {
				fmt.Fprintf(&got, "%s %s: %s\n", change.Kind, change.Rule, change.Why())
			}
			if diff := cmp.Diff(c.want, got.String()); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// many returns a rules file with so many rules.
func many(n int, constant string) string {
	var b strings.Builder
	b.WriteString("- macro: spawned\n  condition: (evt.type in (execve, execveat) and evt.rawres >= 0)\n- list: shells\n  items: [sh, bash, " + constant + "]\n")
	for i := range n {
		fmt.Fprintf(&b, "- rule: Rule %d\n  desc: d\n  condition: spawned and proc.name = program%d and proc.pname in (shells) and not proc.args contains \"--%d\"\n"+
			"  output: o %%proc.cmdline\n  priority: ERROR\n  tags: [a, b]\n", i, i, i)
	}
	return b.String()
}

func BenchmarkCompare(b *testing.B) {
	before := load(b, fields.New(), "a.yaml", many(10_000, "zsh"))
	now := load(b, fields.New(), "a.yaml", many(10_000, "ksh"))
	b.ResetTimer()
	for range b.N {
		if got := len(Compare(before, now)); got != 10_000 {
			b.Fatalf("%d changes", got)
		}
	}
}
