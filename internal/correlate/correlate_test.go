// SPDX-License-Identifier: Apache-2.0

package correlate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	_ "github.com/falcotest/go-falcotest/internal/source/all"
)

const (
	idA   = "ftaaaaaaaaaaaaaa"
	idB   = "ftbbbbbbbbbbbbbb"
	other = "ftcccccccccccccc"
)

func TestAttribute(t *testing.T) {
	now := time.Now()
	type f = map[string]any
	tests := []struct {
		name     string
		alert    alert.Alert
		aAlone   bool
		want     string // the action's id
		strength Strength
		possible int
	}{
		{name: "environment", alert: alert.Alert{Fields: f{"proc.env[FALCOTEST_ID]": idA}}, want: idA, strength: Environment},
		{name: "ancestors' environment", alert: alert.Alert{Fields: f{"proc.env[FALCOTEST_ID]": "", "proc.aenv[FALCOTEST_ID]": idB}}, want: idB, strength: Environment},
		{name: "another host", alert: alert.Alert{Hostname: "node-1", Fields: f{"proc.env[FALCOTEST_ID]": idA}}, want: idA, strength: Environment},
		{name: "another's id, our pid and text", alert: alert.Alert{Fields: f{"proc.env[FALCOTEST_ID]": other, "proc.pid": 100.0, "proc.cmdline": idA}}},
		{name: "a cut id", alert: alert.Alert{Fields: f{"proc.env[FALCOTEST_ID]": idA[:9], "proc.pid": 100.0}}},
		{name: "pid", alert: alert.Alert{Fields: f{"proc.pid": "100"}}, want: idA, strength: Process},
		{name: "session", alert: alert.Alert{Fields: f{"proc.pid": 7.0, "proc.sid": 200.0}}, want: idB, strength: Process},
		{name: "ancestor", alert: alert.Alert{Fields: f{"proc.apid[4]": 200.0}}, want: idB, strength: Process},
		{name: "pids of two trees", alert: alert.Alert{Fields: f{"proc.pid": 100.0, "proc.ppid": 200.0}}, possible: 2},
		{name: "pid of another host", alert: alert.Alert{Hostname: "there", Fields: f{"proc.pid": 100.0}}},
		{name: "pid of an hour ago", alert: alert.Alert{Time: now.Add(-time.Hour), Fields: f{"proc.pid": 100.0}}},
		{name: "pid is no pid", alert: alert.Alert{Fields: f{"proc.pid": "-1", "proc.ppid": "1", "proc.sid": "x"}}, possible: 2},
		{name: "our pid, another's text", alert: alert.Alert{Fields: f{"proc.pid": 100.0, "proc.cmdline": "x " + other}}},
		{name: "our pid, the other's text", alert: alert.Alert{Fields: f{"proc.pid": 100.0, "proc.cmdline": "x " + idB}}, want: idB, strength: Text},
		{name: "command line", alert: alert.Alert{Fields: f{"proc.cmdline": "sh -c " + idA}}, want: idA, strength: Text},
		{name: "parent's command line", alert: alert.Alert{Fields: f{"proc.pcmdline": "t falcotest-action x " + idA}}, want: idA, strength: Text},
		{name: "part of a word", alert: alert.Alert{Fields: f{"fd.name": "/tmp/soft" + idA + "99/x"}}, want: idA, strength: Text},
		{name: "after a false start", alert: alert.Alert{Fields: f{"fd.name": "/tmp/ft" + idA}}, want: idA, strength: Text},
		{name: "output", alert: alert.Alert{Output: "file=/tmp/" + idB}, want: idB, strength: Text},
		{name: "user agent", alert: alert.Alert{Source: "k8s_audit", Hostname: "node", Fields: f{"ka.useragent": "falcotest/" + idB}}, want: idB, strength: Text},
		{name: "end of a megabyte", alert: alert.Alert{Output: strings.Repeat("x", 1<<20) + " " + idB}, want: idB, strength: Text},
		{name: "two ids in a file's name", alert: alert.Alert{Fields: f{"fd.name": "/tmp/" + idA + "/" + idB}}},
		{name: "the process's own text decides", alert: alert.Alert{Fields: f{"proc.exepath": "/tmp/" + idA + "/cat", "fd.name": "/tmp/" + idB}}, want: idA, strength: Text},
		{name: "another's word", alert: alert.Alert{Fields: f{"proc.cmdline": "x " + other}}, aAlone: true},
		{name: "time, not alone", alert: alert.Alert{}, possible: 2},
		{name: "time, another rule", alert: alert.Alert{Rule: "x"}},
		{name: "time, a Falco that prints the environment", alert: alert.Alert{Fields: f{"proc.env[FALCOTEST_ID]": nil}}, aAlone: true},
		{name: "no time", alert: alert.Alert{Time: time.Unix(0, 0)}, aAlone: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSet(time.Second, "here")
			is := func(rule string) bool { return rule == "rule" }
			s.Add(&Action{ID: idA, Rules: is, PIDs: []int{100}, Start: now.Add(-time.Second), Alone: tt.aAlone})
			if !tt.aAlone {
				s.Add(&Action{ID: idB, Rules: is, PIDs: []int{200}, Start: now.Add(-time.Second)})
			}
			a := tt.alert
			if a.Time.IsZero() {
				a.Time = now
			}
			if a.Rule == "" {
				a.Rule = "rule"
			}
			if a.Hostname == "" {
				a.Hostname = "here"
			}
			m := s.Attribute(&a)
			got := ""
			if m.Action != nil {
				got = m.Action.ID
			}
			if got != tt.want || m.Strength != tt.strength || len(m.Possible) != tt.possible {
				t.Errorf("got %q by %v (%d possible), want %q by %v (%d)", got, m.Strength, len(m.Possible), tt.want, tt.strength, tt.possible)
			}
		})
	}
}

func TestByTimeAlone(t *testing.T) {
	now := time.Now()
	s := NewSet(100*time.Millisecond, "here")
	act := &Action{ID: idA, Rules: func(string) bool { return true }, Start: now, End: now.Add(time.Second), Alone: true}
	s.Add(act)
	for _, tt := range []struct {
		at   time.Duration
		host string
		want bool
	}{
		{0, "here", true},
		{-50 * time.Millisecond, "here", true},
		{-time.Second, "here", false},
		{1050 * time.Millisecond, "here", true},
		{2 * time.Second, "here", false},
		{0, "there", false},
		{0, "", false},
	} {
		m := s.Attribute(&alert.Alert{Time: now.Add(tt.at), Hostname: tt.host})
		if got := m.Action != nil; got != tt.want || (got && m.Strength != Time) {
			t.Errorf("at %v on %q: got %v by %v, want %v", tt.at, tt.host, got, m.Strength, tt.want)
		}
	}
	// An exact alert teaches another name of this host.
	s.Attribute(&alert.Alert{Hostname: "there", Fields: map[string]any{"proc.env[FALCOTEST_ID]": idA}})
	if m := s.Attribute(&alert.Alert{Time: now, Hostname: "there"}); m.Action == nil {
		t.Error("the host's other name was not learnt")
	}
	s.Remove(idA)
	if m := s.Attribute(&alert.Alert{Fields: map[string]any{"proc.env[FALCOTEST_ID]": idA}}); m.Action != nil {
		t.Error("a removed action still gets alerts")
	}
}

func TestParseStrength(t *testing.T) {
	for _, s := range []Strength{Time, Text, Process, Environment} {
		if got, err := ParseStrength(strings.ToUpper(s.String())); err != nil || got != s {
			t.Errorf("%v: got %v, %v", s, got, err)
		}
	}
	if got, err := ParseStrength(""); err != nil || got != Time {
		t.Errorf("empty: got %v, %v", got, err)
	}
	for _, bad := range []string{"none", "env", "5"} {
		if _, err := ParseStrength(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("x" + idA + "y")
	f.Fuzz(func(t *testing.T, text string) {
		s := NewSet(0)
		s.Add(&Action{ID: idA})
		found := map[string]bool{}
		s.ids(text, found)
		if len(text) < 16<<10 && found[idA] != strings.Contains(text, idA) {
			t.Errorf("%q: found %v", text, found)
		}
	})
}

func BenchmarkAttribute(b *testing.B) {
	s := NewSet(0, "here")
	for i := range 100 {
		s.Add(&Action{ID: fmt.Sprintf("ft%014d", i), PIDs: []int{1000 + i}, Start: time.Now()})
	}
	a := &alert.Alert{Rule: "r", Hostname: "here", Time: time.Now(), Output: "some text without an id",
		Fields: map[string]any{"proc.pid": 12.0, "proc.ppid": 13.0, "proc.cmdline": "cat /etc/shadow", "fd.name": "/etc/shadow"}}
	b.ReportAllocs()
	for b.Loop() {
		s.Attribute(a)
	}
}

// TestTimely looks at alerts whose other signs say that they are the action's.
func TestTimely(t *testing.T) {
	const ms = time.Millisecond
	begin := time.Now()
	exact := map[string]any{"proc.env[FALCOTEST_ID]": idA}
	of := func(pid, tid int, typ string) map[string]any {
		return map[string]any{"proc.env[FALCOTEST_ID]": idA, "proc.pid": float64(pid), "thread.tid": float64(tid), "evt.type": typ}
	}
	act := &Action{
		ID: idA, PIDs: []int{100}, Rules: func(string) bool { return true }, Start: begin, End: begin.Add(100 * ms),
		Processes: []OwnProcess{
			// The first process prepares another from 10 to 40 ms, and is done at 60 ms.
			{PID: 4000100, Start: begin, End: begin.Add(60 * ms), Aside: []Aside{{TID: 4000100, Start: begin.Add(10 * ms), End: begin.Add(40 * ms)}}},
			{PID: 200, Start: begin.Add(20 * ms), End: begin.Add(30 * ms)},
		},
	}
	for _, tt := range []struct {
		name   string
		fields map[string]any
		output string
		at     time.Duration
		skew   time.Duration
		host   string
		source string
		want   bool
	}{
		{name: "the child's own start", fields: exact, at: -30 * ms},
		{name: "the child's own start, by pid", fields: map[string]any{"proc.pid": 100.0}, at: -30 * ms},
		{name: "the child's own start, by text", fields: map[string]any{"proc.cmdline": "x falcotest-action y " + idA}, at: -30 * ms},
		{name: "the child's own start, by the output", output: "command=x " + idA, at: -30 * ms},
		{name: "the begin, as well as clocks agree", fields: exact, at: -1 * ms, want: true},
		{name: "within", fields: exact, at: 50 * ms, want: true},
		{name: "another process to the end of the tree", fields: of(300, 300, "open"), at: 100 * ms, want: true},
		{name: "after the tree", fields: of(300, 300, "open"), at: 110 * ms},
		{name: "the first process cleans up", fields: of(4000100, 4000100, "unlinkat"), at: 70 * ms},
		{name: "the first process prepares another", fields: of(4000100, 4000100, "fchmodat"), at: 15 * ms},
		{name: "another thread meanwhile", fields: of(4000100, 4000101, "accept4"), at: 15 * ms, want: true},
		{name: "a thread that is not known", fields: map[string]any{"proc.env[FALCOTEST_ID]": idA, "proc.pid": 4000100.0}, at: 15 * ms, want: true},
		{name: "the other is executed", fields: of(200, 200, "execve"), at: 12 * ms, want: true},
		{name: "the other starts", fields: of(200, 200, "openat"), at: 15 * ms},
		{name: "the other runs its action", fields: of(200, 200, "openat"), at: 25 * ms, want: true},
		{name: "the other ends", fields: of(200, 200, "exit_group"), at: 35 * ms},
		{name: "a Falco whose clock is known to be a second slow", fields: exact, at: -950 * ms, skew: -time.Second, want: true},
		{name: "another host's clock", output: "command=x " + idA, at: -3 * time.Second, host: "node", want: true},
		{name: "another host, an hour ago", output: "command=x " + idA, at: -time.Hour, host: "node"},
		{name: "another name of the action's host", fields: exact, at: -3 * time.Second, host: "node"},
		{name: "an API server's clock", fields: map[string]any{"ka.useragent": idA}, at: 2 * time.Second, source: "k8s_audit", want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSet(2*ms, "here")
			s.Skew = tt.skew
			s.Add(act)
			a := &alert.Alert{Rule: "r", Time: begin.Add(tt.at), Hostname: "here", Source: "syscall", Fields: tt.fields, Output: tt.output}
			if tt.host != "" {
				a.Hostname = tt.host
			}
			if tt.source != "" {
				a.Source = tt.source
			}
			m := s.Attribute(a)
			if got := m.Action != nil; got != tt.want {
				t.Errorf("attributed: %v by %v, want %v", got, m.Strength, tt.want)
			}
		})
	}
}
