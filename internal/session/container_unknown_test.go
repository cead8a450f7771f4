// SPDX-License-Identifier: Apache-2.0

package session

import (
	"testing"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/plan"
	"github.com/falcotest/go-falcotest/internal/result"
	"github.com/falcotest/go-falcotest/internal/rules"
	"github.com/falcotest/go-falcotest/internal/run"
)

// A Falco learns of a container from its engine while that runs already: what it did
// not alert on may be what it did not know yet, and the last attempt tells.
func TestContainerNotKnownYet(t *testing.T) {
	if child.InContainer() {
		t.Skip("in a container, none are made")
	}
	asks := func(fields ...string) *plan.Action {
		return &plan.Action{Action: run.Action{Container: &events.Container{}}, Rule: &rules.Rule{Fields: fields}}
	}
	later := &alert.Alert{Fields: map[string]any{"container.name": "falcotest"}}
	host := asks("container.privileged")
	host.Container = nil
	for name, test := range map[string]struct {
		action  *plan.Action
		attempt int
		alerts  []*alert.Alert
		unknown bool
	}{
		"what the engine tells":           {asks("container.privileged", "evt.type"), 1, nil, true},
		"the same, once more":             {asks("container.privileged", "evt.type"), 2, nil, true},
		"the same, at last":               {asks("container.privileged", "evt.type"), 3, nil, false},
		"the same, and an alert knows it": {asks("container.privileged", "evt.type"), 1, []*alert.Alert{later}, false},
		"the id alone":                    {asks("container.id", "evt.type"), 1, nil, false},
		"on the host":                     {host, 1, nil, false},
	} {
		s := &Session{settings: &config.Settings{Retries: 2}}
		r := &result.Result{Attempts: test.attempt, Alerts: test.alerts}
		if got := s.containerUnknown(test.action, r, nil); got != test.unknown || got != (r.Outcome == result.Inconclusive) {
			t.Errorf("%s: unknown is %t with outcome %v, want %t", name, got, r.Outcome, test.unknown)
		}
	}
}

// What the built-in engine saw fire, a Falco that never knew the container may have
// missed for that.
func TestContainerNeverKnown(t *testing.T) {
	if child.InContainer() {
		t.Skip("in a container, none are made")
	}
	asks := func(fields ...string) *plan.Action {
		return &plan.Action{Action: run.Action{Container: &events.Container{}}, Rule: &rules.Rule{Fields: fields}}
	}
	knows := []*alert.Alert{{Fields: map[string]any{"container.name": "falcotest"}}}
	host := asks("container.privileged")
	host.Container = nil
	for name, test := range map[string]struct {
		action  *plan.Action
		alerts  []*alert.Alert
		unknown bool
	}{
		"what the engine tells":           {asks("container.privileged"), nil, true},
		"the same, and an alert knows it": {asks("container.privileged"), knows, false},
		"the id alone":                    {asks("container.id"), nil, false},
		"on the host":                     {host, nil, false},
	} {
		r := &result.Result{Outcome: result.Missed, Attempts: 3, Alerts: test.alerts, Hint: "wait longer"}
		if got := containerNeverKnown(test.action, r); got != test.unknown || got != (r.Outcome == result.Inconclusive && r.Hint != "wait longer") {
			t.Errorf("%s: never known is %t with outcome %v, want %t", name, got, r.Outcome, test.unknown)
		}
	}
}
