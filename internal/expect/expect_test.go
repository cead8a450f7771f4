// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func mustRegexp(t *testing.T, expr string) Matcher {
	t.Helper()
	m, err := Regexp(expr)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMatchers(t *testing.T) {
	for _, test := range []struct {
		m       Matcher
		text    string
		matches []string
		not     []string
	}{
		{Equal("x"), `= "x"`, []string{"x"}, []string{"", "xx"}},
		{Containing("b"), `contains "b"`, []string{"abc", "b"}, []string{"", "ac"}},
		{Prefix("/etc/"), `startsWith "/etc/"`, []string{"/etc/", "/etc/x"}, []string{"/etc", "x/etc/"}},
		{Suffix(".log"), `endsWith ".log"`, []string{".log", "a.log"}, []string{"log", ".logs"}},
		{mustRegexp(t, "^a.c$"), `matches "^a.c$"`, []string{"abc"}, []string{"abcd", ""}},
		{Any("a", "b"), `oneOf "a", "b"`, []string{"a", "b"}, []string{"c", ""}},
		{Present(true), "exists", []string{"", "x"}, nil},
		{Present(false), "has no value", nil, []string{"", "x"}},
		{Matcher{}, "is anything", []string{"", "x"}, nil},
	} {
		if got := test.m.String(); got != test.text {
			t.Errorf("the text is %q, want %q", got, test.text)
		}
		for _, s := range test.matches {
			if !test.m.Match(s, true) {
				t.Errorf("%s does not match %q", test.m, s)
			}
		}
		for _, s := range test.not {
			if test.m.Match(s, true) {
				t.Errorf("%s matches %q", test.m, s)
			}
		}
		if got, want := test.m.Match("", false), test.text == "has no value"; got != want {
			t.Errorf("%s matches a missing value: %v", test.m, got)
		}
	}
	if !Equal("<NA>").Match("", false) || !Any("x", "<NA>").Match("", false) {
		t.Error("<NA> does not match a missing value")
	}
	if _, err := Regexp("("); err == nil || !strings.Contains(err.Error(), "missing closing") {
		t.Errorf("got %v", err)
	}
}

func fired(rule string, p alert.Priority, fields map[string]any) *alert.Alert {
	return &alert.Alert{Rule: rule, Priority: p, Source: "syscall", Hostname: "h", Tags: []string{"host", "T1070"},
		Output: "log cleared (file=/var/log/x)", Fields: fields}
}

func TestCheck(t *testing.T) {
	near := fired("R", alert.Warning, map[string]any{"fd.name": "/var/log/y", "proc.name": "sh", "fd.num": nil})
	far := fired("R", alert.Notice, map[string]any{"fd.name": "/etc/passwd", "proc.name": "sh"})
	other := fired("S", alert.Error, nil)
	bare := fired("R", alert.Warning, map[string]any{"fd.name": "/var/log/z"})
	bare.Tags, bare.Output = nil, "07:08:09.123456789: Warning log cleared"
	field := func(m Matcher) []Field { return []Field{{"fd.name", m}} }
	for _, test := range []struct {
		name   string
		e      Expectation
		alerts []*alert.Alert
	}{
		{"fired", Expectation{}, []*alert.Alert{near}},
		{"not_fired", Expectation{}, []*alert.Alert{other}},
		{"as_expected", Expectation{Source: "syscall", Hostname: "h", Priority: Priority(alert.Warning), Tags: []string{"host"}, Output: []Matcher{Containing("cleared")},
			Fields: field(Prefix("/var/log/"))}, []*alert.Alert{far, near}},
		{"other_field", Expectation{Priority: Priority(alert.Warning), Fields: append(field(Equal("/var/log/x")), Field{"proc.name", Equal("sh")})}, []*alert.Alert{far, other, near}},
		{"not_printed", Expectation{Fields: []Field{{"proc.tty", Equal("0")}, {"fd.num", Equal("3")}}}, []*alert.Alert{near}},
		{"tags_and_output", Expectation{Tags: []string{"T1"}, Output: []Matcher{Suffix("y")}}, []*alert.Alert{near}},
		{"several_of_one_name", Expectation{Tags: []string{"T1", "T2"}, Output: []Matcher{Prefix("x"), Suffix("y")}, Fields: append(field(Prefix("/var")), field(Suffix("y"))...)}, []*alert.Alert{bare}},
		{"priority_too_low", Expectation{Priority: AtLeast(alert.Error)}, []*alert.Alert{near}},
		{"priority_at_least", Expectation{Priority: AtLeast(alert.Notice)}, []*alert.Alert{near}},
		{"priority_at_most", Expectation{Priority: AtMost(alert.Error)}, []*alert.Alert{near}},
		{"silent", Expectation{Silent: true}, []*alert.Alert{other}},
		{"not_silent", Expectation{Silent: true}, []*alert.Alert{near, other}},
		{"not_silent_about_these", Expectation{Silent: true, Fields: field(Containing("log"))}, []*alert.Alert{near}},
		{"silent_about_others", Expectation{Silent: true, Fields: field(Equal("/x"))}, []*alert.Alert{near}},
		{"count", Expectation{Count: Exactly(2)}, []*alert.Alert{near, far}},
		{"too_many", Expectation{Count: Exactly(1)}, []*alert.Alert{near, far}},
		{"too_few", Expectation{Count: Between(3, -1)}, []*alert.Alert{near, far}},
		{"between", Expectation{Count: Between(3, 4), Fields: field(Prefix("/var"))}, []*alert.Alert{near, far}},
		{"many", Expectation{Fields: field(Equal("/x"))}, []*alert.Alert{near, near, near, near, far}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.e.Rule = "R"
			got := "met\n"
			if m := test.e.Check(test.alerts); m != nil {
				got = m.String() + "\n"
			}
			golden(t, test.name, got)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhole(t *testing.T) {
	for _, test := range []struct {
		e    Expectation
		want bool
	}{{Expectation{}, false}, {Expectation{Silent: true}, true}, {Expectation{Count: Exactly(1)}, true}} {
		if got := test.e.Whole(); got != test.want {
			t.Errorf("%+v: got %v", test.e, got)
		}
	}
}
