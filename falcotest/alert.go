// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// Alert is one alert of a Falco, whatever carried it.
type Alert struct {
	Time     time.Time
	Rule     string
	Priority Priority
	Source   string // of the event: "syscall", "k8s_audit", …
	Output   string // the rule's output with its fields resolved, behind time and priority

	// Fields are the output fields. Values are string, float64, json.Number, bool,
	// lists of them, or nil where Falco has no value; over gRPC they are all strings,
	// or nil. See [Alert.Field].
	Fields   map[string]any
	Hostname string
	Tags     []string
}

// Field returns an output field as text, and whether it has a value: a field that is
// absent, nil or "<NA>" has none.
func (a *Alert) Field(name string) (string, bool) { return a.internal().Field(name) }

func (a *Alert) internal() *alert.Alert {
	return &alert.Alert{
		Time: a.Time, Rule: a.Rule, Priority: alert.Priority(a.Priority), Source: a.Source,
		Output: a.Output, Fields: a.Fields, Hostname: a.Hostname, Tags: a.Tags,
	}
}

// published are alerts as the API has them.
func published(alerts []*alert.Alert) []*Alert {
	var list []*Alert
	for _, a := range alerts {
		list = append(list, &Alert{
			Time: a.Time, Rule: a.Rule, Priority: Priority(a.Priority), Source: a.Source,
			Output: a.Output, Fields: a.Fields, Hostname: a.Hostname, Tags: a.Tags,
		})
	}
	return list
}

// Priority is the priority of a rule or an alert. Less is more severe, with the numbers
// of Falco's schema.proto.
type Priority int

// The priorities, the most severe first.
const (
	PriorityEmergency Priority = iota
	PriorityAlert
	PriorityCritical
	PriorityError
	PriorityWarning
	PriorityNotice
	PriorityInformational
	PriorityDebug
)

// String returns the name that Falco prints, e.g. "Warning".
func (p Priority) String() string { return alert.Priority(p).String() }

func internals(alerts []*Alert) []*alert.Alert {
	var list []*alert.Alert
	for _, a := range alerts {
		if a != nil {
			list = append(list, a.internal())
		}
	}
	return list
}
