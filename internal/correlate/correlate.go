// SPDX-License-Identifier: Apache-2.0

// Package correlate says which action an alert belongs to, and how surely.
//
// Alerts of a Falco come from everything that happens on its host. [Set] holds
// what is known of the actions that are under test; [Set.Attribute] names the
// one that an alert belongs to, or none. The package imports internal/alert
// and internal/source; it starts nothing and keeps no time of its own.
package correlate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/falcotest/go-falcotest/internal/alert"
	"github.com/falcotest/go-falcotest/internal/source"
)

// Strength is how surely an alert belongs to an action. Larger is surer.
type Strength int

// The strengths, from none to the surest.
const (
	// None: nothing connects them.
	None Strength = iota
	// Time: the rule is one that the action is expected to fire, the alert's
	// time is within the action's window, it comes from this host, and no other
	// action ran then.
	Time
	// Text: the action's id stands in a command line, a path, or another text
	// of the alert.
	Text
	// Process: a process of the action's tree is the alert's, or one of its
	// ancestors.
	Process
	// Environment: the action's id is the value of FALCOTEST_ID in the
	// environment of the alert's process or of an ancestor.
	Environment
)

var names = [...]string{"none", "time", "text", "process", "environment"}

// String returns the strength's name, e.g. "environment".
func (s Strength) String() string {
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("Strength(%d)", int(s))
	}
	return names[s]
}

// ParseStrength reads the name of a strength, as FALCOTEST_MIN_CORRELATION has
// it. The empty string is [Time], which accepts all.
func ParseStrength(s string) (Strength, error) {
	if s == "" {
		return Time, nil
	}
	for i, n := range names {
		if i > 0 && strings.EqualFold(s, n) {
			return Strength(i), nil
		}
	}
	return None, fmt.Errorf("unknown correlation %q: want one of environment, process, text, time", s)
}

// AppendOutput is what to add to a Falco's configuration for exact correlation of
// the alerts of a source, as YAML.
func AppendOutput(src *source.Source) string {
	var b strings.Builder
	fmt.Fprintf(&b, "append_output:\n  - match:\n      source: %s\n    extra_fields:\n", src.Name)
	for _, f := range src.Correlation {
		fmt.Fprintf(&b, "      - %q\n", f)
	}
	return b.String()
}

// Action is what is known of one action under test.
type Action struct {
	ID string
	// Rules says whether the action is expected to fire a rule; only alerts of
	// such rules are attributed by time.
	Rules func(rule string) bool
	// PIDs are processes of the action's tree, as the kernel's first pid
	// namespace numbers them.
	PIDs []int
	// Start and End are the action's window, from its begin to the end of its
	// tree; a zero End is still open. Events outside of it are not the action's,
	// however sure the signs are: they are of its process's start, or of what
	// cleans up. Without a Start, only an id attributes an alert, at any time.
	Start, End time.Time
	// Processes are those of the tree that run the framework's program.
	Processes []OwnProcess
	// Alone says that no other action runs during the window, so that alerts
	// may be attributed by time.
	Alone bool
}

// OwnProcess is a process of the framework's own program that runs an action.
// What it does before and after is the framework's.
type OwnProcess struct {
	PID        int
	Start, End time.Time // the action's
	// Aside are times at which one of its threads did the framework's work.
	Aside []Aside
}

// Aside is a time at which a thread did the framework's work. It is longer than
// that at both ends, by more than [Set.Slack].
type Aside struct {
	TID        int
	Start, End time.Time
}

// Elsewhere is how far times of events may be off an action's window that come
// from another host, or from a source whose clock is another one.
const Elsewhere = 5 * time.Second

// Set holds the actions that alerts may belong to. It is not safe for
// concurrent use.
type Set struct {
	// Hosts are the names that alerts of this machine carry. Alerts of other
	// hosts belong to an action only by its id. Attribute adds names that it
	// learns from exact alerts.
	Hosts map[string]bool
	// Slack is how far the times of this host's own events ([source.Source.Local])
	// may be off the action's window. [Elsewhere] is for all others.
	Slack time.Duration
	// Skew is how far the Falco's clock is before this host's.
	Skew time.Duration

	actions map[string]*Action
}

// NewSet returns a set for alerts of the named hosts.
func NewSet(slack time.Duration, hosts ...string) *Set {
	s := &Set{Hosts: map[string]bool{}, Slack: slack, actions: map[string]*Action{}}
	for _, h := range hosts {
		if h != "" {
			s.Hosts[h] = true
		}
	}
	return s
}

// Add adds an action. The caller may change it later, between calls of
// Attribute.
func (s *Set) Add(a *Action) { s.actions[a.ID] = a }

// Remove forgets an action; its alerts that come late belong to none.
func (s *Set) Remove(id string) { delete(s.actions, id) }

// Match is the result of [Set.Attribute].
type Match struct {
	// Untimely is the action that the alert would belong to, by Strength, but for
	// its time. Set only when Action is nil.
	Untimely *Action
	Action   *Action // nil: the alert belongs to none
	Strength Strength
	// Possible are the actions that the alert might belong to, by time, though
	// that cannot be told: others run too. Set only when Action is nil.
	Possible []*Action
}

// Attribute says which action an alert belongs to: one to whose window the
// event's time belongs, see [Set.Timely].
//
// The surest sign decides. An id that is no action's of the set makes the alert
// a foreign one, whatever weaker signs say: ids in the environment count before
// those in text.
func (s *Set) Attribute(a *alert.Alert) Match {
	m := s.attribute(a)
	if m.Action != nil && !s.Timely(a, m.Action) {
		return Match{Untimely: m.Action, Strength: m.Strength}
	}
	return m
}

func (s *Set) attribute(a *alert.Alert) Match {
	id, has := environment(a)
	if id != "" {
		if act := s.actions[id]; act != nil {
			if a.Hostname != "" {
				s.Hosts[a.Hostname] = true
			}
			return Match{Action: act, Strength: Environment}
		}
		return Match{}
	}
	here := s.Hosts[a.Hostname]
	text, foreign := s.text(a)
	if here {
		if act := s.process(a); act != nil {
			// A pid can have been used before; an id of somebody else's in the
			// process's own texts shows that.
			if text != nil && text != act {
				return Match{Action: text, Strength: Text}
			}
			if !foreign {
				return Match{Action: act, Strength: Process}
			}
		}
	}
	if text != nil {
		return Match{Action: text, Strength: Text}
	}
	// A Falco that prints the environment would have printed the id.
	if foreign || !here || has {
		return Match{}
	}
	var possible []*Action
	for _, act := range s.actions {
		if act.Rules != nil && act.Rules(a.Rule) && s.within(a, act) {
			possible = append(possible, act)
		}
	}
	if len(possible) == 1 && possible[0].Alone {
		return Match{Action: possible[0], Strength: Time}
	}
	return Match{Possible: possible}
}

// within tells whether the alert's time is in the action's window.
func (s *Set) within(a *alert.Alert, act *Action) bool {
	if a.Time.IsZero() || act.Start.IsZero() {
		return false
	}
	at, slack := s.clock(a)
	return between(at, act.Start, act.End, slack)
}

// clock returns an alert's time by this host's clock, and how far it may be off.
func (s *Set) clock(a *alert.Alert) (at time.Time, slack time.Duration) {
	if src := source.ByName(a.Source); src == nil || !src.Local || !s.Hosts[a.Hostname] {
		return a.Time, Elsewhere
	}
	return a.Time.Add(-s.Skew), s.Slack
}

func between(at, start, end time.Time, slack time.Duration) bool {
	return !at.Before(start.Add(-slack)) && (end.IsZero() || !at.After(end.Add(slack)))
}

// Timely tells whether an alert that belongs to an action by other signs does so
// by its time too. In a process of the framework's, what it executes is the
// action's though its begin is later: the name that it is executed by is what
// many rules are about.
func (s *Set) Timely(a *alert.Alert, act *Action) bool {
	if act.Start.IsZero() || a.Time.IsZero() {
		return true
	}
	if !s.within(a, act) {
		return false
	}
	at, slack := s.clock(a)
	pid := number(a, "proc.pid")
	if slack == Elsewhere || pid == 0 {
		return true
	}
	tid, typ := number(a, "thread.tid"), ""
	if v, ok := a.Field("evt.type"); ok {
		typ = v
	}
	for _, p := range act.Processes {
		if p.PID != pid {
			continue
		}
		start := p.Start
		if typ == "" || typ == "execve" || typ == "execveat" {
			start = act.Start
		}
		if !between(at, start, p.End, slack) {
			return false
		}
		for _, aside := range p.Aside {
			if tid != 0 && aside.TID == tid && between(at, aside.Start, aside.End, -slack) {
				return false
			}
		}
	}
	return true
}

// number returns a field that is a positive number, 0 when it is none.
func number(a *alert.Alert, name string) int {
	v, ok := a.Field(name)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// environment returns the id in the environment fields, and whether the alert
// has such fields at all.
func environment(a *alert.Alert) (id string, has bool) {
	src := source.ByName(a.Source)
	if src == nil {
		return "", false
	}
	for _, name := range src.ID {
		if _, ok := a.Fields[name]; !ok {
			continue
		}
		has = true
		if v, ok := a.Field(name); ok && v != "" {
			return v, true
		}
	}
	return "", has
}

// process returns the action whose tree the alert's process is in.
func (s *Set) process(a *alert.Alert) *Action {
	var found *Action
	for name := range a.Fields {
		if !pidField(name) {
			continue
		}
		v, ok := a.Field(name)
		if !ok {
			continue
		}
		pid, err := strconv.Atoi(v)
		if err != nil || pid <= 1 {
			continue
		}
		for _, act := range s.actions {
			if !act.has(pid) || !s.within(a, act) {
				continue
			}
			if found != nil && found != act {
				return nil // of two trees: neither is sure
			}
			found = act
		}
	}
	return found
}

func (a *Action) has(pid int) bool {
	for _, p := range a.PIDs {
		if p == pid {
			return true
		}
	}
	return false
}

// pidField tells whether a field names a process of the alert's ancestry.
func pidField(name string) bool {
	switch name {
	case "proc.pid", "proc.ppid", "proc.sid", "proc.pgid":
		return true
	}
	return strings.HasPrefix(name, "proc.apid[")
}

// nearTexts are the fields that say what the process itself is. When several
// ids stand in an alert, these decide: another action's folder may be among
// the files that a process touches.
var nearTexts = []string{"proc.exepath", "proc.exe", "proc.cmdline", "proc.exeline", "proc.args", "proc.name"}

// text returns the action whose id, alone, stands in the alert's texts, and
// whether ids stand there of which no action of the set is.
func (s *Set) text(a *alert.Alert) (act *Action, foreign bool) {
	near := map[string]bool{}
	for _, name := range nearTexts {
		if v, ok := a.Field(name); ok {
			s.ids(v, near)
		}
	}
	all := near
	if len(near) == 0 {
		all = map[string]bool{}
		s.ids(a.Output, all)
		for name := range a.Fields {
			if v, ok := a.Field(name); ok {
				s.ids(v, all)
			}
		}
		for _, tag := range a.Tags {
			s.ids(tag, all)
		}
	}
	for id := range all {
		known := s.actions[id]
		if known == nil || act != nil {
			return nil, true
		}
		act = known
	}
	return act, false
}

// ids adds the ids that stand in a text: those of the set's actions wherever
// they stand, and what looks like another's where it is a word of its own.
func (s *Set) ids(text string, to map[string]bool) {
	const max = 16 << 10 // of a value's ends; ids do not stand in the middle of a megabyte
	if len(text) > 2*max {
		s.ids(text[:max], to)
		s.ids(text[len(text)-max:], to)
		return
	}
	for from := 0; ; from++ {
		i := strings.Index(text[from:], "ft")
		if i < 0 || from+i+idLength > len(text) {
			return
		}
		from += i
		id, end := text[from:from+idLength], from+idLength
		if !idShaped(id) {
			continue
		}
		word := (from == 0 || !alphanumeric(text[from-1])) && (end == len(text) || !alphanumeric(text[end]))
		if word || s.actions[id] != nil {
			to[id] = true
		}
	}
}

// idLength and idShaped are what ids look like: see NewID of internal/child.
const idLength = 16

func idShaped(s string) bool {
	for i := 2; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
