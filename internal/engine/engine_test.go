// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/event/eventtest"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

func load(t testing.TB, text string) *rules.Set {
	t.Helper()
	set, err := rules.LoadFiles(context.Background(), []rules.File{{Name: "test.yaml", Data: []byte(text)}},
		rules.Options{Sources: []filter.Source{fields.New()}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return set
}

func evaluate(e *Engine, events ...*event.Event) (alerts []*alert.Alert) {
	ev := e.NewEvaluator()
	for _, call := range events {
		ev.Evaluate(fields.SourceName, call, func(a *alert.Alert) { alerts = append(alerts, a) })
	}
	return alerts
}

func names(alerts []*alert.Alert) (list []string) {
	for _, a := range alerts {
		list = append(list, a.Rule)
	}
	return list
}

// TestAlert holds a whole alert, as Falco's JSON has it, for an upstream rule.
func TestAlert(t *testing.T) {
	e := newEngine(t, upstream(t, "falco_rules.yaml"), Options{Hostname: "vm", TimeISO8601: true, ExtraFields: map[string][]string{fields.SourceName: []string{"proc.pid", "proc.env[FALCOTEST_ID]"}}})
	alerts := evaluate(e, eventtest.Shadow())
	if len(alerts) != 1 {
		t.Fatalf("got %v, want one alert", names(alerts))
	}
	a := alerts[0]
	got, err := json.MarshalIndent(map[string]any{
		"hostname": a.Hostname, "output": a.Output, "output_fields": a.Fields, "priority": a.Priority.String(), "rule": a.Rule,
		"source": a.Source, "tags": a.Tags, "time": a.Time.Format("2006-01-02T15:04:05.000000000Z"),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/alert.json", string(got)+"\n")
}

const twoRules = `
- rule: general
  desc: d
  condition: evt.type in (open, openat) and fd.name startswith /etc/
  output: read file=%fd.name
  priority: NOTICE
  tags: [b, a]
- rule: special
  desc: d
  condition: evt.type = openat and fd.name = /etc/shadow
  output: shadow by %proc.name
  priority: CRITICAL
- rule: disabled
  desc: d
  condition: evt.type = openat
  output: x
  priority: CRITICAL
  enabled: false
- rule: unsupported
  desc: d
  condition: evt.type = openat and container.cni.json contains eth0
  output: x
  priority: CRITICAL
- rule: exec
  desc: d
  condition: evt.type = execve
  output: x
  priority: DEBUG
`

func TestMatchingPrioritiesAndStatus(t *testing.T) {
	critical := alert.Critical
	tests := []struct {
		name   string
		opts   Options
		alerts []string
		types  []event.Type
		status map[string]Status
	}{
		{"first matching", Options{}, []string{"general"}, []event.Type{event.SysOpen, event.SysExecve, event.SysOpenat},
			map[string]Status{"general": Evaluated, "special": Evaluated, "disabled": Disabled, "unsupported": Unsupported, "other": NotLoaded}},
		{"all matching", Options{Matching: All}, []string{"general", "special"}, nil, nil},
		{"minimum priority", Options{MinPriority: &critical}, []string{"special"}, []event.Type{event.SysOpenat},
			map[string]Status{"general": BelowPriority, "exec": BelowPriority}},
		{"all enabled", Options{Matching: All, Enable: enableAll}, []string{"general", "special", "disabled"}, nil,
			map[string]Status{"disabled": Evaluated, "unsupported": Unsupported}},
	}
	set := load(t, twoRules)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEngine(t, set, tt.opts)
			if diff := cmp.Diff(tt.alerts, names(evaluate(e, eventtest.Shadow()))); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
			if tt.types != nil {
				if diff := cmp.Diff(tt.types, fields.Types(e.EventTypes(fields.SourceName))); diff != "" {
					t.Errorf("event types (-want +got):\n%s", diff)
				}
			}
			for rule, want := range tt.status {
				if got, _ := e.Status(rule); got != want {
					t.Errorf("status of %s is %q, want %q", rule, got, want)
				}
			}
		})
	}
	e := newEngine(t, set, Options{})
	if u := e.Unsupported(); len(u) != 1 || !strings.Contains(u[0].Reason, "container.cni.json") {
		t.Errorf("unsupported: %+v, want the rule with container.cni.json", u)
	}
	if a := evaluate(e, eventtest.Shadow())[0]; a.Output != a.Time.Local().Format("15:04:05.000000000")+": Notice read file=/etc/shadow"+
		" container_id=host container_name=host container_image_repository= container_image_tag= k8s_pod_name=<NA> k8s_ns_name=<NA>" {
		t.Errorf("output %q", a.Output)
	} else if _, ok := a.Field("evt.time"); !ok {
		t.Errorf("fields %v lack evt.time", a.Fields)
	} else if strings.Join(a.Tags, " ") != "a b" {
		t.Errorf("tags %v are not sorted", a.Tags)
	}
}

func TestOtherEventsAreIgnored(t *testing.T) {
	e := newEngine(t, load(t, twoRules), Options{})
	ev := e.NewEvaluator()
	fail := func(a *alert.Alert) { t.Errorf("alert %s", a.Rule) }
	ev.Evaluate("k8s_audit", struct{}{}, fail)
	ev.Evaluate(fields.SourceName, struct{}{}, fail)
	ev.Evaluate(fields.SourceName, &event.Event{Type: 60000}, fail)
	ev.Evaluate(fields.SourceName, &event.Event{Type: event.SysOpenat}, fail) // nothing known but the type
}

func TestEvaluationDoesNotAllocate(t *testing.T) {
	e := newEngine(t, upstream(t), Options{Enable: enableAll, Matching: All})
	ev := e.NewEvaluator()
	p := eventtest.Process("make", "/usr/bin/make", "all")
	events := []*event.Event{
		eventtest.Open(p, "/usr/include/stdio.h", event.ORdonly),
		{Type: event.SysGetuid, Thread: &event.Thread{Process: p}},
		{Type: event.SysClone, Thread: &event.Thread{TID: 200, Process: p}, Ret: 201, Params: make([]event.Param, 20)},
	}
	run := func() {
		for _, call := range events {
			ev.Evaluate(fields.SourceName, call, func(a *alert.Alert) { t.Fatalf("alert of %s", a.Rule) })
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations for events that do not alert, want none", n)
	}
}

// TestForeignPlugins loads rules with fields of plugins that are not here: such a
// rule is not supported, and the others are.
func TestForeignPlugins(t *testing.T) {
	set := load(t, `
- rule: pod
  desc: d
  condition: evt.type = open and not k8smeta.pod.name startswith x and tolower(json.value[/a/b]) = val(proc.name)
  output: o %k8smeta.ns.name %toupper(krsi.x)
  priority: INFO
- rule: other
  desc: d
  condition: evt.type = open
  output: o %user.name[uid] %proc.name[pid] %container.id[host] %proc.aname[x]
  priority: INFO
`)
	e := newEngine(t, set, Options{})
	if status, reason := e.Status("pod"); status != Unsupported || !strings.Contains(reason, "the plugin k8smeta") {
		t.Errorf("got %v: %s", status, reason)
	}
	if status, reason := e.Status("other"); status != Evaluated {
		t.Errorf("got %v: %s", status, reason)
	}
	ev := eventtest.Shadow()
	ev.Type = event.SysOpen
	alerts := evaluate(e, ev)
	if len(alerts) != 1 || !strings.Contains(alerts[0].Output, "[uid]") || !strings.Contains(alerts[0].Output, "[pid] host[host]") || !strings.Contains(alerts[0].Output, "[x] container_id=") {
		t.Errorf("got %v", alerts)
	}
}
