// SPDX-License-Identifier: Apache-2.0

// Package source says what there is to know of a source of events: its fields, how
// its recordings are read, what tests may say of it, which alert tells that all of its events have been
// judged, how alerts are given to actions, and by which plugin a Falco has it.
//
// Each source has a folder of its own below this one, whose package hands its
// [Source] to [Register]; package all is the list of them. Whoever judges asks
// [All] or [ByName] and names none; [Streams] are a session's. The package imports
// internal/filter, for fields, events, for needs, internal/config, and internal/testfile.
package source

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// Default is the source of rules and alerts that name none: that of Falco's driver.
const Default = "syscall"

// Source is a source of events.
type Source struct {
	// Name is its name in rules; Events says what its events are.
	Name, Events string
	// Need is the name of the events.Need by which an action says that it is these
	// events that it causes; "" for the default source.
	Need string

	// Fields returns what resolves its fields. It may remember what some fields
	// count from: each engine has one of its own.
	Fields func() filter.Source
	// Plugins are the plugins of Falco whose fields those are, with versions.
	Plugins map[string]string

	// Local says that its events have the time of the kernel that an action runs
	// under, and not of another machine.
	Local bool
	// Correlation are the output fields by which an alert tells whose it is, for
	// append_output in a Falco's configuration.
	Correlation []string
	// ID are those of Correlation whose value is an action's ID.
	ID []string
	// PluginFields are more of them, where a Falco has the plugin.
	PluginFields map[string][]string

	Sentinel Sentinel

	// Plugin is the one by which a Falco has the source; nil for the driver's.
	Plugin *Plugin
	// Late is what to do when a Falco's alerts come late, with a verb for by how
	// much they did; "" if they do not for any known cause.
	Late string

	// Open returns how the events come to a session with these settings. Nil: a tracer
	// sees them in the action's own processes.
	Open func(*config.Settings) Live
	// Close ends what serves several sessions; nil if nothing does.
	Close func() error

	// Recording is how recorded events are read, nil if they are not.
	Recording *Recording

	// Tests is what a test of a file may say of the source, nil for nothing.
	Tests *testfile.Source
}

// Live is how the events of a source come to a session. The first three methods are
// called before Start; all others are safe for concurrent use.
type Live interface {
	// Judged has a function called for each event, one after another: the built-in
	// engine judges. Without, a Falco does.
	Judged(handle func(event any))
	// Forward has the events go where a Falco's plugin takes them (Plugin.Address),
	// unless the settings say where.
	Forward(address string)
	// Blind says what a Falco would not see and how to mend that, "" if it sees all.
	Blind() string

	// Start makes sure that events come. It may be called again, and does nothing
	// then. An error that is a [*Missing] is a need of this machine's.
	Start(ctx context.Context) error
	// Flags and Environ are what the processes of actions must be told, as flags of
	// kubectl and by their environment.
	Flags() []string
	Environ() []string

	// Keep keeps the events of the action with that ID from now on. What it returns
	// tells them; nil where they do not pass through here, as Unkept says.
	Keep(id string) func() []any
	Unkept() string
	// Settle returns when all events that were caused before have come here.
	Settle(ctx context.Context, nonce string) error
	// Trigger causes an event of the sentinel's, where a Falco judges.
	Trigger(ctx context.Context, nonce string) error

	// Losses counts how often events were lost so far, and Trouble says why nothing
	// is known of what did not happen since that many; "" if nothing keeps it from
	// being known.
	Losses() int
	Trouble(losses int) string
	// Hint says what a miss may come from, or "".
	Hint() string
	// Describe says where the events come from, behind the name of who judges.
	Describe() string
	Close() error
}

// Missing says that this machine lacks what a source's events need.
type Missing struct {
	Need     events.Need
	Reason   string
	Required bool // it must not be taken for a skip here
}

func (m *Missing) Error() string { return m.Reason }

// SentinelName begins the name of what a sentinel asks for, with a nonce behind it.
// There is no such thing.
const SentinelName = "falcotest-sentinel-"

// Sentinel is a sign that everything that happened before has been judged: the alert
// of a rule, which has "/" + [SentinelName] and a nonce in its output or fields. Each
// source has its own, since it is judged in an order of its own.
type Sentinel struct {
	Rule string // its name; see IsSentinel
	YAML string // a rules file with it alone
	// Trigger causes the event; nil where that takes more than this machine.
	Trigger func(ctx context.Context, nonce string) error
}

// IsSentinel tells whether a rule is a sentinel's, by its name.
func IsSentinel(rule string) bool {
	return strings.HasPrefix(rule, "Falcotest ") && strings.HasSuffix(rule, "Sentinel")
}

// Plugin says how a Falco comes by the events of a source that is no driver's.
type Plugin struct {
	// Name begins the names of the plugins that have the source.
	Name string
	// Beside are plugins for more of its fields.
	Beside []string
	// Open makes open parameters for one that the user did not name.
	Open func() (string, error)
	// Address is the URL where one takes events, by its open parameters, or "".
	Address func(openParams string) string
}

// Recording is a way to read recorded events.
type Recording struct {
	// Is tells whether a recording is one of this source, by its first 512 bytes.
	Is func(head []byte) bool
	// Read hands on the events of a recording, in their order, and counts them;
	// only those of the named types where types is not nil.
	Read func(ctx context.Context, r io.Reader, types []string, handle func(event any)) (n uint64, err error)
	// Lacks are fields that a Falco cannot work out from a recording.
	Lacks []string
	// LacksOfContainers are those that it cannot where the process is in a container.
	LacksOfContainers []string
}

var registered []*Source

// Register adds a source. It is for initialisation, and panics for a second one of a
// name.
func Register(s Source) {
	if ByName(s.Name) != nil {
		panic("source: " + s.Name + " is registered twice")
	}
	registered = append(registered, &s)
	if s.Tests != nil {
		testfile.Register(s.Name, s.Events, s.Tests)
	}
	slices.SortFunc(registered, func(a, b *Source) int {
		if (a.Name == Default) != (b.Name == Default) {
			if a.Name == Default {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// All returns the sources, the default one first, the others by name.
func All() []*Source { return slices.Clone(registered) }

// ByName returns a source, the default one for "", and nil if there is none of that
// name.
func ByName(name string) *Source {
	if name == "" {
		name = Default
	}
	for _, s := range registered {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// ByNeed returns the source whose events are caused by actions with that need, nil if
// there is none.
func ByNeed(need events.Need) *Source {
	for _, s := range registered {
		if s.Need == need.Name {
			return s
		}
	}
	return nil
}

// Fields returns what resolves the fields of all sources, anew.
func Fields() []filter.Source {
	var list []filter.Source
	for _, s := range registered {
		list = append(list, s.Fields())
	}
	return list
}

// Plugins are the plugins of Falco whose fields the sources have, with versions.
func Plugins() map[string]string {
	all := map[string]string{}
	for _, s := range registered {
		for name, version := range s.Plugins {
			all[name] = version
		}
	}
	return all
}

// Close ends what serves several sessions.
func Close() error {
	var errs []error
	for _, s := range registered {
		if s.Close != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Recorded returns the source of a recording, by its first 512 bytes: the default one
// if it is of none.
func Recorded(head []byte) *Source {
	for _, s := range registered {
		if s.Recording != nil && s.Recording.Is(head) {
			return s
		}
	}
	return ByName(Default)
}
