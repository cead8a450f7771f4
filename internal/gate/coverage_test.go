// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/falcotest/go-falcotest/internal/event"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
)

const auditRules = `
- list: trusted
  items: [alice, bob]
- macro: done
  condition: (ka.stage = ResponseComplete)
- rule: Secret read
  desc: d
  condition: done and ka.verb in (get, list) and ka.target.resource = secrets and not ka.user.name in (trusted)
  output: o
  priority: ERROR
  source: k8s_audit
`

// request is an audit event.
func request(t testing.TB, stage, verb, resource, user string) any {
	t.Helper()
	events, err := audit.Decode(strings.NewReader(fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stageTimestamp":"2026-01-01T00:00:00.000000Z","requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","stage":%q,"verb":%q,
		"user":{"username":%q},"objectRef":{"resource":%q}}`, stage, verb, user, resource)))
	if err != nil || len(events) != 1 {
		t.Fatal(err, events)
	}
	return events[0]
}

func TestCoverage(t *testing.T) {
	set := load(t, audit.Source(), "rules.yaml", auditRules)
	c, err := NewCoverage(audit.Source(), set.Rules[0])
	if err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		var got []string
		for _, cl := range c.Untested() {
			got = append(got, cl.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("untested (-want +got):\n%s", diff)
		}
	}
	// An event that fires the rule: all clauses decide by being what they are.
	c.Observe(request(t, "ResponseComplete", "get", "secrets", "eve"))
	check(
		"rules.yaml:5:15: never decided by being false: ka.stage = ResponseComplete",
		"rules.yaml:8:23: never decided by being false: ka.verb in (get, list)",
		"rules.yaml:8:50: never decided by being false: ka.target.resource = secrets",
		"rules.yaml:8:87: never decided by being true: ka.user.name in (alice, bob)",
		"rules.yaml:8:40: not needed: ka.verb in list",
	)
	// Two clauses false: none decides.
	c.Observe(request(t, "RequestReceived", "watch", "secrets", "eve"))
	if got := c.Clauses()[0]; got.False != 0 {
		t.Errorf("%+v decided, though another clause was false too", got)
	}
	c.Observe(request(t, "RequestReceived", "list", "secrets", "eve"))
	c.Observe(request(t, "ResponseComplete", "watch", "secrets", "eve"))
	c.Observe(request(t, "ResponseComplete", "list", "secrets", "eve"))
	c.Observe(request(t, "ResponseComplete", "get", "pods", "eve"))
	c.Observe(request(t, "ResponseComplete", "get", "secrets", "alice"))
	check("rules.yaml:3:18: not needed: ka.user.name in bob in list trusted")
	if c.Events != 7 || c.Matched != 2 {
		t.Errorf("%d events, %d matched", c.Events, c.Matched)
	}
}

func TestSurvivors(t *testing.T) {
	set := load(t, audit.Source(), "rules.yaml", auditRules)
	survivors := func(tests ...Test) (list []string) {
		t.Helper()
		found, judged, err := Survivors(audit.Source(), set.Rules[0], tests)
		if err != nil {
			t.Fatal(err)
		}
		if judged != 14 {
			t.Errorf("%d mutants", judged)
		}
		for _, m := range found {
			list = append(list, m.Pos.String()+" "+m.What)
		}
		return list
	}
	fires := Test{Name: "fires", Fires: true, Events: []any{request(t, "ResponseComplete", "get", "secrets", "eve")}}
	if diff := cmp.Diff([]string{
		"rules.yaml:5:15 without ka.stage = ResponseComplete",
		"rules.yaml:8:23 without ka.verb in (get, list)",
		"rules.yaml:8:40 without list in the list of ka.verb in",
		"rules.yaml:8:50 without ka.target.resource = secrets",
		"rules.yaml:8:87 without ka.user.name in (alice, bob)",
		"rules.yaml:3:11 without alice in the list of ka.user.name in",
		"rules.yaml:3:18 without bob in the list of ka.user.name in",
	}, survivors(fires)); diff != "" {
		t.Errorf("one test that fires (-want +got):\n%s", diff)
	}
	silent := func(stage, verb, resource, user string) Test {
		return Test{Events: []any{request(t, stage, verb, resource, user)}}
	}
	all := []Test{
		fires, {Name: "list", Fires: true, Events: []any{request(t, "ResponseComplete", "list", "secrets", "eve")}},
		silent("RequestReceived", "get", "secrets", "eve"), silent("ResponseComplete", "watch", "secrets", "eve"),
		silent("ResponseComplete", "get", "pods", "eve"), silent("ResponseComplete", "get", "secrets", "alice"),
		silent("ResponseComplete", "get", "secrets", "bob"),
	}
	if got := survivors(all...); got != nil {
		t.Errorf("tests of each clause let live:\n%s", strings.Join(got, "\n"))
	}
	// A test that the rule does not pass says nothing.
	if got := survivors(Test{Fires: true, Events: []any{request(t, "ResponseComplete", "get", "pods", "eve")}}); len(got) != 14 {
		t.Errorf("a failing test killed mutants: %d are left", len(got))
	}
}

const settledRules = `
- list: nobody
  items: []
- macro: never
  condition: (evt.num = 0)
- rule: Settled
  desc: d
  condition: evt.type in (open, openat) and not proc.name in (nobody) and not never and fd.name = /etc/x
  output: o
  priority: ERROR
`

// What comes out alike for all events is no hole in the tests: no test could notice it.
func TestSettled(t *testing.T) {
	set := load(t, fields.New(), "rules.yaml", settledRules)
	var faults []string
	for _, m := range Mutants(set.Rules[0]) {
		faults = append(faults, m.What)
	}
	if diff := cmp.Diff([]string{
		"without open in the list of evt.type in", "without openat in the list of evt.type in",
		"without fd.name = /etc/x", "not fd.name = /etc/x", "fd.name = /etc/x~",
	}, faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	c, err := NewCoverage(fields.New(), set.Rules[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Observe(&event.Event{Type: event.SysOpenat})
	var untested []string
	for _, cl := range c.Untested() {
		untested = append(untested, cl.Text)
	}
	if diff := cmp.Diff([]string{"evt.type in (open, openat)", "fd.name = /etc/x"}, untested); diff != "" {
		t.Errorf("untested (-want +got):\n%s", diff)
	}
}
