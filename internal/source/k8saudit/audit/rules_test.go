// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/engine"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

func newEngine(t testing.TB, opts engine.Options, files ...rules.File) *engine.Engine {
	t.Helper()
	set, err := rules.LoadFiles(context.Background(), files, rules.Options{Sources: []filter.Source{audit.Source()}})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	e, err := engine.New(set, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func upstreamRules(t testing.TB) rules.File {
	t.Helper()
	name := testdata(t, "rules/k8s_audit_rules.yaml")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return rules.File{Name: name, Data: data}
}

func TestUpstreamRulesAreSupported(t *testing.T) {
	e := newEngine(t, engine.Options{}, upstreamRules(t))
	if n := len(e.Evaluated(audit.SourceName)); n != 48 {
		t.Errorf("%d rules are evaluated, want 48", n)
	}
	for _, u := range e.Unsupported() {
		t.Errorf("%s: %s", u.Rule.Name, u.Reason)
	}
}

// List semantics in conditions, as libs 0.23.2 compares lists: in is true when
// all values are in the list, intersects when one is.
func TestListsInConditions(t *testing.T) {
	tests := []struct {
		event, condition string
		want             bool
	}{
		{"pod", `ka.req.pod.containers.image in ("docker.io/library/nginx:1.2", "localhost:5000/x@sha256:ab")`, true},
		{"pod", `ka.req.pod.containers.image in ("docker.io/library/nginx:1.2")`, false},
		{"pod", `ka.req.pod.containers.image[0] in ("docker.io/library/nginx:1.2")`, true},
		{"pod", `ka.req.pod.containers.image intersects ("docker.io/library/nginx:1.2", other)`, true},
		{"pod", `ka.req.pod.containers.image intersects (other)`, false},
		{"pod", `ka.req.pod.initContainers.image in (a)`, false},
		{"pod", `not ka.req.pod.initContainers.image in (a)`, true},
		{"pod", `ka.req.pod.initContainers.image exists`, false},
		{"pod", `ka.req.pod.containers.image exists`, true},
		{"pod", `ka.req.pod.host_network intersects (true)`, true},
		{"pod", `ka.req.pod.volumes.hostpath intersects (/, /proc)`, true},
		{"pod", `ka.req.pod.containers.privileged intersects (true)`, true},
		{"role", `ka.req.role.rules.verbs[0] in (get)`, true},
		{"role", `ka.req.role.rules.verbs intersects ("*")`, true},
		{"role", `ka.req.role.rules.verbs in (get)`, false},
		{"pod", `jevt.value[/responseStatus/code] = 201`, true},
		{"pod", `ka.response.code startswith 2`, true},
		{"pod", `ka.uri.param[fieldManager] = "a b"`, true},
		{"pod", `jevt.rawtime = 0`, false},
		{"pod", `evt.source = k8s_audit and evt.num > 0`, true},
	}
	events := map[string]*audit.Event{}
	for _, e := range decodeFile(t, "testdata/events.json") {
		events[e.Text("auditID")] = e
	}
	for _, tt := range tests {
		t.Run(tt.event+"/"+tt.condition, func(t *testing.T) {
			text := "- rule: r\n  desc: d\n  source: k8s_audit\n  priority: INFO\n  output: o\n  condition: >-\n    " + tt.condition + "\n"
			e := newEngine(t, engine.Options{}, rules.File{Name: "r.yaml", Data: []byte(text)})
			if u := e.Unsupported(); len(u) != 0 {
				t.Fatalf("not supported: %s", u[0].Reason)
			}
			got := false
			e.NewEvaluator().Evaluate(audit.SourceName, events[tt.event], func(*alert.Alert) { got = true })
			if got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestAlert(t *testing.T) {
	const text = `
- rule: r
  desc: d
  source: k8s_audit
  priority: NOTICE
  output: pod=%ka.resp.name images=%ka.req.pod.containers.image init=%ka.req.pod.initContainers.image num=%evt.num
  condition: ka.verb=create
  tags: [k8s]
`
	e := newEngine(t, engine.Options{
		Hostname:    "h",
		ExtraFields: map[string][]string{audit.SourceName: {"ka.useragent"}},
	}, rules.File{Name: "r.yaml", Data: []byte(text)})
	var got []*alert.Alert
	e.NewEvaluator().Evaluate(audit.SourceName, decodeFile(t, "testdata/events.json")[0], func(a *alert.Alert) { got = append(got, a) })
	if len(got) != 1 {
		t.Fatalf("%d alerts", len(got))
	}
	if a := got[0]; !strings.HasSuffix(a.Output, "Notice pod=p images=(docker.io/library/nginx:1.2,localhost:5000/x@sha256:ab) init=<NA> num=1") {
		t.Errorf("output %q", a.Output)
	}
	if s, _ := got[0].Field("ka.useragent"); s != "test/1" {
		t.Errorf("fields %v", got[0].Fields)
	}
	if d := cmp.Diff("2026-11-23T01:34:05.000000001Z", got[0].Time.Format("2006-01-02T15:04:05.999999999Z07:00")); d != "" {
		t.Errorf("time (-want +got):\n%s", d)
	}
}
