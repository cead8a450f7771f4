// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"context"
	"encoding/json"
	"testing"

	"gotest.tools/v3/golden"

	"github.com/falcotest/go-falcotest/internal/filter"
	. "github.com/falcotest/go-falcotest/internal/filter/filtertest"
)

func explainSource() filter.Source {
	return &TypedSource{
		Source: &Source{Label: "syscall", Fields: map[string]filter.Field{
			"evt.type":          {Type: filter.CharBuf},
			"evt.is_open_write": {Type: filter.Bool},
			"fd.name":           {Type: filter.CharBuf},
			"fd.num":            {Type: filter.Int64},
			"proc.name":         {Type: filter.CharBuf},
			"proc.pname":        {Type: filter.CharBuf},
			"proc.aname":        {Type: filter.CharBuf, Any: true},
			"user.name":         {Type: filter.CharBuf},
			"proc.tty":          {Type: filter.Uint32, Unsupported: "no terminal is looked at"},
			"user.loginuid":     {Type: filter.Int64},
		}},
		Types: []string{"open", "openat", "openat2", "execve", "close"},
	}
}

// opened is an event of a file that was opened for writing.
func opened(name, proc string, more ...func(Event)) Event {
	ev := Event{
		"evt.type": Str("openat"), "evt.is_open_write": Num(1), "fd.name": Str(name), "fd.num": Num(3),
		"proc.name": Str(proc), "proc.pname": Str("bash"), "user.loginuid": Num(1000), "proc.aname": Strs("systemd"),
	}
	for _, f := range more {
		f(ev)
	}
	return ev
}

func without(field string) func(Event) { return func(ev Event) { delete(ev, field) } }

func with(field string, v filter.Value) func(Event) { return func(ev Event) { ev[field] = v } }

// TestExplain holds the exact texts that say why a rule did not fire.
func TestExplain(t *testing.T) {
	set, err := Load(context.Background(), []string{"testdata/explain/rules.yaml"}, Options{Sources: []filter.Source{explainSource()}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	const write, read = "Write below etc", "Read sensitive file"
	for _, tt := range []struct {
		name   string
		rule   string
		events []Event
	}{
		{"no_events", write, nil},
		{"no_type", write, []Event{{"evt.type": Str("close")}, {"evt.type": Str("execve")}, {"evt.type": Str("close")}}},
		{"wrong_path", write, []Event{
			opened("/lib/libc.so.6", "cp"),
			opened("/tmp/etc/x", "cp"),
			opened("/dev/null", "cp"),
		}},
		{"another_type", write, []Event{opened("/tmp/etc/x", "cp"), opened("/etc/x", "cp", with("evt.type", Str("creat"))), opened("/lib/libc.so.6", "cp")}},
		{"only_another_type", write, []Event{opened("/etc/x", "cp", with("evt.type", Str("creat")))}},
		{"read_only", write, []Event{opened("/etc/passwd", "cp", with("evt.is_open_write", Num(0)))}},
		{"failed_open", write, []Event{opened("/etc/passwd", "cp", with("fd.num", Num(-13)))}},
		{"no_value", write, []Event{opened("", "cp", without("fd.name"))}},
		{"excluded_by_list", write, []Event{opened("/etc/x", "zsh")}},
		{"excluded_by_macro", write, []Event{opened("/etc/x", "puppet-agent", with("proc.pname", Str("systemd")))}},
		{"excluded_by_not", write, []Event{opened("/etc/x", "backup", with("user.name", Str("root")))}},
		{"excluded_by_exception", write, []Event{opened("/etc/x", "cat", with("fd.num", Num(-1))), opened("/etc/apt/sources.list", "apt")}},
		{"several", write, []Event{opened("/srv/x", "ansible", with("fd.num", Num(-1)))}},
		{"alternatives", read, []Event{opened("/home/me/ssh/key", "cat", with("proc.aname", Strs("bash")))}},
		{"any_ancestor", read, []Event{opened("/etc/shadow", "cat", with("proc.aname", Strs("systemd", "systemd")))}},
		{"missing_and_more", read, []Event{opened("/etc/shadow", "cat", without("user.loginuid"), without("proc.aname"))}},
		{"unsupported", "Terminal", []Event{{"evt.type": Str("execve")}}},
		{"matched", read, []Event{opened("/etc/shadow", "cat", with("proc.aname", Strs("sh")))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, err := filter.NewExplainer(explainSource(), set.Rule(tt.rule).Expr)
			if err != nil {
				t.Fatal(err)
			}
			for _, ev := range tt.events {
				x.Observe(ev)
			}
			res := x.Result()
			golden.Assert(t, res.String()+"\n", "explain/"+tt.name+".golden")
			js, err := json.MarshalIndent(res, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if tt.name == "alternatives" || tt.name == "excluded_by_exception" {
				golden.Assert(t, string(js)+"\n", "explain/"+tt.name+".json.golden")
			}
		})
	}
}
