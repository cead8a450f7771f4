// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"gotest.tools/v3/golden"

	"github.com/falcotest/go-falcotest/internal/filter"
)

func load(files ...File) (*Set, error) {
	return LoadFiles(context.Background(), files, Options{Sources: []filter.Source{explainSource()}})
}

func loadString(s string) (*Set, error) { return load(File{"rules.yaml", []byte(s)}) }

// TestProblems holds the exact texts of errors and warnings. Each archive has
// one or more rules files.
func TestProblems(t *testing.T) {
	archives, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var files []File
			for _, f := range ar.Files {
				files = append(files, File{f.Name, f.Data})
			}
			set, err := load(files...)
			var b strings.Builder
			if err != nil {
				fmt.Fprintf(&b, "%+v\n", err)
			} else {
				for _, w := range slices.Concat(set.Warnings, set.Remarks) {
					fmt.Fprintln(&b, w.Long())
				}
			}
			golden.Assert(t, b.String(), "problems/"+strings.TrimSuffix(filepath.Base(name), ".txtar")+".golden")
		})
	}
}

// TestPositions checks that every byte of a condition knows where it stands,
// in every style of YAML.
func TestPositions(t *testing.T) {
	for style, condition := range map[string]string{
		"plain":         "evt.type = open and proc.name = MARK",
		"plain lines":   "evt.type = open\n    and\n      proc.name = MARK",
		"literal":       "|\n    evt.type = open\n      and proc.name = MARK\n",
		"literal strip": "|-\n\n    evt.type = open\n    and proc.name = MARK",
		"literal 4":     "|4\n      evt.type = open and\n      proc.name = MARK",
		"folded":        ">\n    evt.type = open\n    and proc.name = MARK\n",
		"folded blank":  ">-\n    evt.type = open\n\n      and\n\n    proc.name = MARK",
		"single":        "'evt.type = open and proc.name != ''x y'' and proc.name = MARK'",
		"double":        `"evt.type = open and proc.name != \"x y\" and proc.name != \"\u00e4\\t\" and proc.name = MARK"`,
		"double lines":  "\"evt.type = open\n    and \\\n    proc.name = MARK\"",
		"umlauts":       "evt.type = open and proc.name != äöü and proc.name = MARK",
	} {
		text := "- rule: r\n  desc: d\n  condition: " + condition + "\n  output: o\n  priority: INFO\n"
		set, err := loadString(text)
		if err != nil {
			t.Errorf("%s: %v", style, err)
			continue
		}
		var got filter.Pos
		set.Rules[0].Expr.Walk(func(e *filter.Expr) bool {
			if e.Kind == filter.Check && e.Right.Values[0] == "MARK" {
				got = e.Right.ValuePos(0)
			}
			return true
		})
		before, _, _ := strings.Cut(text, "MARK")
		want := filter.Pos{File: "rules.yaml", Line: strings.Count(before, "\n") + 1, Column: len(before) - strings.LastIndex(before, "\n")}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", style, d)
		}
	}
}

// TestFiles loads several files, in which later ones change what earlier ones
// define.
func TestFiles(t *testing.T) {
	set, err := load(
		File{"a.yaml", []byte("- list: l\n  items: [a]\n- macro: m\n  condition: proc.name in (l)\n- rule: r\n  desc: d\n  condition: evt.type = open and m\n  output: o\n  priority: INFO\n  tags: [x]\n")},
		File{"b.yaml", []byte("- list: l\n  items: [b]\n  override: {items: append}\n- macro: m\n  condition: or proc.name = c\n  override: {condition: append}\n")},
		File{"c.yaml", []byte("- rule: r\n  condition: and fd.num > 0\n  enabled: false\n  tags: [y]\n  override: {condition: append, enabled: replace, tags: append}\n")},
	)
	if err != nil {
		t.Fatal(err)
	}
	r := set.Rule("r")
	if got, want := r.Expr.String(), "(evt.type = open and (proc.name in (a, b) or proc.name = c) and fd.num > 0)"; got != want {
		t.Errorf("got condition %s, want %s", got, want)
	}
	if r.Enabled || !cmp.Equal(r.Tags, []string{"x", "y"}) || r.Pos.File != "a.yaml" {
		t.Errorf("got %+v", r)
	}
	var at []string
	r.Expr.Walk(func(e *filter.Expr) bool {
		if e.Kind == filter.Check {
			at = append(at, e.Pos().String())
		}
		return true
	})
	if d := cmp.Diff([]string{"a.yaml:7:14", "a.yaml:4:14", "b.yaml:5:17", "c.yaml:2:18"}, at); d != "" {
		t.Errorf("positions (-want +got):\n%s", d)
	}
}

func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(context.Background(), []string{filepath.Join(dir, "none.yaml"), dir}, Options{})
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) != 2 || e.Problems[0].Code != ErrFileRead {
		t.Errorf("got %+v", err)
	}
	big := filepath.Join(dir, "big.yaml")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(50 << 20); err != nil { // sparse
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(context.Background(), []string{big}, Options{}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Load(ctx, []string{big}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestPlugins(t *testing.T) {
	file := File{"r.yaml", []byte("- required_plugin_versions:\n    - name: a\n      version: 1.2.0\n      alternatives:\n        - {name: b, version: 0.1.0}\n- required_engine_version: 15\n")}
	for _, tt := range []struct {
		have map[string]string
		ok   bool
	}{
		{nil, true},
		{map[string]string{}, false},
		{map[string]string{"a": "1.2.0"}, true},
		{map[string]string{"a": "1.1.9"}, false},
		{map[string]string{"a": "2.0.0"}, false},
		{map[string]string{"a": "1.1.0", "b": "0.3.1"}, false}, // the first that is there decides
		{map[string]string{"b": "0.3.1"}, true},
	} {
		set, err := LoadFiles(context.Background(), []File{file}, Options{Plugins: tt.have})
		if (err == nil) != tt.ok {
			t.Errorf("%v: got %v", tt.have, err)
		}
		if err == nil && (set.RequiredEngine != "0.15.0" || len(set.RequiredPlugins) != 1 || len(set.RequiredPlugins[0]) != 2) {
			t.Errorf("%v: got %+v", tt.have, set)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a.yml", "c.txt", "sub/d.yaml", "sub.yaml/x.yaml", "b.local.yaml", "b-more.yaml"} {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	in := func(p string) string { return filepath.Join(dir, filepath.FromSlash(p)) }
	for _, tt := range []struct {
		patterns, want []string
	}{
		{[]string{dir}, []string{"a.yml", "b-more.yaml", "b.yaml", "b.local.yaml"}},
		{[]string{in("b.yaml"), dir}, []string{"b.yaml", "a.yml", "b-more.yaml", "b.local.yaml"}},
		{[]string{in("*.yaml")}, []string{"b-more.yaml", "b.yaml", "b.local.yaml", "sub.yaml/x.yaml"}},
		{[]string{in("*")}, []string{"a.yml", "b-more.yaml", "b.yaml", "b.local.yaml", "sub/d.yaml", "sub.yaml/x.yaml"}},
		{[]string{in("*.txt")}, nil},
		{[]string{in("sub*")}, []string{"sub/d.yaml", "sub.yaml/x.yaml"}},
		{[]string{in("c.txt")}, []string{"c.txt"}},
		{[]string{in("nothing*")}, nil},
		{[]string{in("nothing.yaml")}, nil},
		{[]string{in("[")}, nil},
	} {
		got, err := Find(tt.patterns...)
		if (err != nil) != (tt.want == nil) {
			t.Errorf("Find(%q): %v", tt.patterns, err)
		}
		if got == nil {
			got = &Files{}
		}
		var want []string
		for _, w := range tt.want {
			want = append(want, in(w))
		}
		if d := cmp.Diff(want, got.Names); d != "" {
			t.Errorf("Find(%q) (-want +got):\n%s", tt.patterns, d)
		}
	}
	for _, pattern := range []string{dir, in("*")} {
		if got, err := Find(pattern); err != nil || len(got.Left) != 1 || got.Left[0] != in("c.txt") {
			t.Errorf("Find(%q) left %v, want c.txt: %v", pattern, got.Left, err)
		}
	}
}

// TestHostile loads files that are made to take up time or memory. Each ends
// in an error or in something small.
func TestHostile(t *testing.T) {
	rule := func(cond string) string {
		return "- rule: r\n  desc: d\n  condition: " + cond + "\n  output: o\n  priority: INFO\n"
	}
	doubling := func(n int, item string) string {
		var b strings.Builder
		for i := n; i > 0; i-- {
			fmt.Fprintf(&b, item, i, i-1, i-1)
		}
		return b.String()
	}
	macros := "- macro: m0\n  condition: proc.name = a\n"
	for i := 1; i < 60; i++ {
		macros += fmt.Sprintf("- macro: m%d\n  condition: m%d or m%d\n", i, i-1, i-1)
	}
	laughs := "- list: l0\n  items: &a0 [x, x]\n"
	for i := 1; i < 40; i++ {
		laughs += fmt.Sprintf("- list: l%d\n  items: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	for name, tt := range map[string]struct {
		text string
		want string // in the error; empty: it loads
	}{
		"parentheses":    {rule(strings.Repeat("(", 100_000) + "proc.name = a" + strings.Repeat(")", 100_000)), "nests deeper"},
		"open":           {rule(strings.Repeat("(", 20_000)), "nests deeper"},
		"nots":           {rule(strings.Repeat("not ", 100_000) + "proc.name = a"), ""},
		"transformers":   {rule(strings.Repeat("tolower(", 100_000)), "nests deeper"},
		"long and":       {rule("proc.name = a" + strings.Repeat(" and proc.name = a", 50_000)), ""},
		"long list":      {"- list: l\n  items:\n" + strings.Repeat("    - a\n", 200_000) + rule("proc.name in (l)"), ""},
		"list doubling":  {doubling(40, "- list: l%d\n  items: [l%d, l%d]\n") + rule("proc.name in (l40)"), "longer than"},
		"macro doubling": {macros + rule("m59"), "parts once its macros"},
		"alias doubling": {laughs, "not a scalar"},
		"nested yaml":    {"- " + strings.Repeat("[", 200_000), "LOAD_ERR_YAML_PARSE"},
		"nested values":  {rule("proc.name = a") + "  exceptions:\n    - name: e\n      fields: [fd.name]\n      values: " + strings.Repeat("[", 50) + strings.Repeat("]", 50), "nest deeper"},
		"regex bomb":     {rule("fd.name regex '((a{1,900}){1,900}){1,900}'"), ""},
		"regex nesting":  {rule("fd.name regex '" + strings.Repeat("(", 120) + strings.Repeat(")*", 60) + "'"), ""},
		"no text":        {"\x00\x01\xff", "no list of rules"},
		"long name":      {"- list: " + strings.Repeat("a", 1<<20) + "\n  items: [b]\n", ""},
	} {
		done := make(chan error, 1)
		go func() {
			_, err := loadString(tt.text)
			done <- err
		}()
		select {
		case err := <-done:
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				msg := fmt.Sprint(err)
				t.Errorf("%s: got %.300s, want %q", name, msg, tt.want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: still loading after a minute", name)
		}
	}
}

// What is no file, and would be waited for or read for ever, is told at once.
func TestLoadNoFile(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip(err)
	}
	_, err := Load(t.Context(), []string{"/dev/zero"}, Options{})
	if err == nil || !strings.Contains(err.Error(), "it is not a regular file") {
		t.Errorf("got %v", err)
	}
}
