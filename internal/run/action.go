// SPDX-License-Identifier: Apache-2.0

package run

import (
	"slices"
	"time"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child"
)

// Action is something to run in a process of its own: a registered action, or a
// program of package child, which need not be registered.
type Action struct {
	// Name is what the run is called.
	Name string
	// Registered is the name of the registered action, "" for a program.
	Registered string
	// Program completes the specification of a process for a program; made says that
	// a container is made for it. Nil for a registered action.
	Program func(spec *child.Spec, made bool) error

	Needs      []events.Need     // of this machine
	InPlace    []events.Need     // of the container that this process is in, where it runs there
	Container  *events.Container // that it needs, nil for none
	HostMounts bool              // it must see the machine's own mounts
	Duration   time.Duration     // that it takes at least
}

// Registered is the registered action of a name.
func Registered(name string) Action {
	a := Action{
		Name: name, Registered: name,
		Needs: events.Needs(name), InPlace: events.ContainerNeeds(name),
		HostMounts: events.HostMounts(name) != "", Duration: events.Duration(name),
	}
	if c, ok := events.ContainerOf(name); ok {
		a.Container = &c
	}
	return a
}

// Made tells whether a container is made for it: it needs one, and this process is in
// none.
func (a *Action) Made() bool { return a.Container != nil && !child.InContainer() }

// Requires lists what it needs of where it runs.
func (a *Action) Requires() []events.Need {
	if child.InContainer() {
		return slices.Concat(a.Needs, a.InPlace)
	}
	return slices.Clone(a.Needs)
}

// Unmet returns the first of the needs that is not met here, and why. Those without a
// probe are for who judges, and those that provided tells are met in another way.
func Unmet(needs []events.Need, provided func(events.Need) bool) (events.Need, error) {
	for _, need := range needs {
		if need.Probe == nil || provided(need) {
			continue
		}
		if err := need.Probe(); err != nil {
			return need, err
		}
	}
	return events.Need{}, nil
}
