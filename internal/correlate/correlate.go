// SPDX-License-Identifier: Apache-2.0

// Package correlate tells which action an alert belongs to, and how surely.
//
// An alert that carries the id of one run of one action is that run's, and
// nobody else's. Without an id it may be known by its process; failing that,
// only the time and the rule's name speak for it, which is enough for an action
// that runs alone on a machine where nobody else fires its rule.
//
// The package imports internal/alert. Runs and alerts enter, an attribution
// leaves; nothing is kept.
package correlate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
)

// Strength is how surely an alert is a run's. Greater is surer.
type Strength int

// The strengths.
const (
	None Strength = iota
	// Time: the rule's name is right, and the alert's time and host are.
	Time
	// Text: the id stands in a command line, a path or another text.
	Text
	// Process: a process of the run's tree caused the alert.
	Process
	// Environment: the id stands in the environment of the process or of one
	// of its ancestors, or where an object of Kubernetes carries it.
	Environment
)

var names = [...]string{"", "time", "text", "process", "environment"}

// String returns the strength's name, "" for None.
func (s Strength) String() string {
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("Strength(%d)", int(s))
	}
	return names[s]
}

// Parse reads a strength by its name; "" is Time, the least that counts.
func Parse(s string) (Strength, error) {
	if s == "" {
		return Time, nil
	}
	if i := slices.Index(names[:], strings.ToLower(s)); i > 0 {
		return Strength(i), nil
	}
	return None, fmt.Errorf("unknown correlation %q: want environment, process, text or time", s)
}

// Run is what is known of one run of an action.
type Run struct {
	ID      string
	Matches func(rule string) bool // whether a rule is one that is expected
	PIDs    map[int]bool           // its processes, on the host
	Started time.Time
	Ended   time.Time // zero while it runs
	Host    string    // the host it runs on; "" when that cannot be compared
}

// Slack is by how much an alert's time may lie outside of its run's: the clocks
// of a kernel and a process on one machine do not differ by more.
const Slack = 50 * time.Millisecond

// ids are those that child.NewID makes.
var ids = regexp.MustCompile(`ft[a-z0-9]{14}`)

// envFields carry the id by itself.
var envFields = []string{"proc.env[FALCOTEST_ID]", "proc.aenv[FALCOTEST_ID]"}

// pidFields are of processes; the id of a process outside of the tree is no
// proof against the run: an ancestor may be the test itself.
var pidFields = []string{"proc.pid", "proc.ppid", "proc.sid", "proc.pgid", "thread.tid",
	"proc.apid[1]", "proc.apid[2]", "proc.apid[3]", "proc.apid[4]"}

// Of tells how surely an alert is a run's.
func Of(a *alert.Alert, r *Run) Strength {
	for _, name := range envFields {
		if id, ok := a.Field(name); ok && id != "" {
			if id == r.ID {
				return Environment
			}
			return None // another run's
		}
	}
	if !timely(a, r) {
		return None // ids are of one run, but a process id may come again
	}
	found := idsOf(a)
	if len(found) > 0 && !slices.Contains(found, r.ID) {
		return None
	}
	for _, name := range pidFields {
		if s, ok := a.Field(name); ok {
			if pid, err := strconv.Atoi(s); err == nil && r.PIDs[pid] {
				return Process
			}
		}
	}
	if len(found) > 0 {
		if a.Source != "syscall" {
			return Environment // an object that the run made carries its id
		}
		return Text
	}
	if pid, ok := a.Field("proc.pid"); ok && pid != "" && len(r.PIDs) > 0 {
		return None // the process is known, and is not the run's
	}
	if r.Host != "" && a.Hostname != "" && a.Hostname != r.Host {
		return None
	}
	if r.Matches != nil && r.Matches(a.Rule) {
		return Time
	}
	return None
}

// timely tells whether an alert's event lies in a run's time. An alert without
// a time cannot be placed, and is not.
func timely(a *alert.Alert, r *Run) bool {
	if a.Time.IsZero() || a.Time.Unix() == 0 {
		return false
	}
	if a.Time.Before(r.Started.Add(-Slack)) {
		return false
	}
	return r.Ended.IsZero() || a.Time.Before(r.Ended.Add(Slack))
}

// idsOf returns the ids that stand anywhere in an alert's texts.
func idsOf(a *alert.Alert) []string {
	found := ids.FindAllString(a.Output, -1)
	for _, v := range a.Fields {
		if s, ok := v.(string); ok {
			found = append(found, ids.FindAllString(s, -1)...)
		}
	}
	return found
}
