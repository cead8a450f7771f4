// SPDX-License-Identifier: Apache-2.0

// Package alert holds one Falco alert, whatever carried it: the gRPC outputs
// API, an HTTP body, a line of a JSON file, or the built-in engine.
//
// It imports nothing of this module. Alerts enter it through the packages that
// receive them (internal/outputs) or make them (internal/engine), and leave it
// towards the correlation in falcotest.
package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Priority is the priority of a rule, from most to least severe.
type Priority int

// The priorities, with the numbers of Falco's schema.proto.
const (
	Emergency Priority = iota
	AlertPriority
	Critical
	Error
	Warning
	Notice
	Informational
	Debug
)

var priorityNames = [...]string{"Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"}

// String returns the name that Falco prints, e.g. "Warning".
func (p Priority) String() string {
	if p < 0 || int(p) >= len(priorityNames) {
		return fmt.Sprintf("Priority(%d)", int(p))
	}
	return priorityNames[p]
}

// ParsePriority reads a priority as rules files write it: any case, with
// "info" for "informational", as Falco accepts it.
func ParsePriority(s string) (Priority, error) {
	if strings.EqualFold(s, "info") {
		return Informational, nil
	}
	for i, n := range priorityNames {
		if strings.EqualFold(s, n) {
			return Priority(i), nil
		}
	}
	return 0, fmt.Errorf("unknown priority %q: want one of %s", s, strings.ToLower(strings.Join(priorityNames[:], ", ")))
}

// Alert is what Falco says when a rule matched an event.
type Alert struct {
	Time     time.Time
	Rule     string
	Priority Priority
	Source   string // "syscall", "k8s_audit", …
	Output   string // the rule's output with its fields resolved
	// Fields are the output fields. Values are string, float64, json.Number,
	// bool, or nil where Falco has no value; over gRPC they are all strings, or
	// nil.
	Fields   map[string]any
	Hostname string
	Tags     []string
}

// Missing is what Falco prints for a field that an event has no value for. The
// gRPC outputs API of Falco 0.43.1 carries it for such a field (in 829 of 829
// cases), its JSON, and that of 0.44, null.
const Missing = "<NA>"

// Unknown is what the built-in engine prints for a value that it cannot know.
const Unknown = "<unknown>"

// Value is the value of an output field as Fields holds it: nil for one that
// Falco has no value for, whatever carried the alert.
func Value(v any) any {
	if v == Missing {
		return nil
	}
	return v
}

// Field returns an output field as text, and whether it has a value: a field that
// is absent, nil or [Missing] has none.
func (a *Alert) Field(name string) (string, bool) {
	v := Value(a.Fields[name])
	if v == nil {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case float64: // without an exponent, which large pids would have
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return fmt.Sprint(v), true
}

// Bare is the output without the time and the priority, which Falco puts before what
// the rule says.
func (a *Alert) Bare() string {
	if _, rest, ok := strings.Cut(a.Output, ": "+a.Priority.String()+" "); ok {
		return rest
	}
	return a.Output
}
