// SPDX-License-Identifier: Apache-2.0

package events

import (
	"slices"
	"time"
)

// Option changes how an action is registered.
type Option func(*actionOpts)

// Options is a list of options, applied in order.
type Options []Option

func (o Options) apply(opts *actionOpts) {
	for _, f := range o {
		if f != nil {
			f(opts)
		}
	}
}

// WithDisabled registers the action as disabled by default: it runs only when
// asked for by name or together with all disabled ones.
func WithDisabled() Option {
	return func(o *actionOpts) { o.disabled = true }
}

// WithNeeds declares what the action needs of the machine. Whoever runs the
// action skips it, with the reason of the first need that is not met.
func WithNeeds(needs ...Need) Option {
	return func(o *actionOpts) { o.needs = append(o.needs, needs...) }
}

// WithContainer declares that the action must run in a container, and what
// that container must be like. On a host with a container engine, falcotest
// makes one for it; inside a container, the action runs in place.
func WithContainer(c Container) Option {
	return func(o *actionOpts) { o.container = &c }
}

// WithHostMounts declares that the action must see the machine's own mounts
// rather than folders that vanish with it, and why: it then has to undo its
// changes itself.
func WithHostMounts(reason string) Option {
	return func(o *actionOpts) { o.host = reason }
}

// NearMiss registers the action as a near miss of the named one: it does the
// same but for one thing, the excuse, for which the rule must not fire. Whoever
// runs the named action for its rule runs the near miss too, and requires that
// the one fires and the other does not.
//
//	events.Register(WriteBelowEtcByPackageManager,
//		events.NearMiss("syscall.WriteBelowEtc", "the writer is a package manager"))
func NearMiss(of, excuse string) Option {
	return func(o *actionOpts) { o.nearMiss, o.excuse = of, excuse }
}

// NearMisses returns the names of the near misses of an action, sorted.
func NearMisses(name string) []string {
	registry.RLock()
	defer registry.RUnlock()
	var names []string
	for other, e := range registry.entries {
		if e.opts.nearMiss != "" && e.opts.nearMiss == name {
			names = append(names, other)
		}
	}
	slices.Sort(names)
	return names
}

// NearMissOf returns the action that the named one is a near miss of, and what
// makes the difference; "" for an action that is none.
func NearMissOf(name string) (of, excuse string) {
	o := lookup(name)
	return o.nearMiss, o.excuse
}

// WithDuration declares that the action takes at least d, because it has to
// wait for something. Such actions are started first, so that the waits of
// several do not add up.
func WithDuration(d time.Duration) Option {
	return func(o *actionOpts) { o.duration = d }
}

// Duration returns how long the named action takes at least, by declaration.
func Duration(name string) time.Duration {
	return lookup(name).duration
}
