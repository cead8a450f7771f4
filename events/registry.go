// SPDX-License-Identifier: Apache-2.0

package events

import (
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

type actionOpts struct {
	disabled  bool
	needs     []Need
	container *Container
	host      string
	duration  time.Duration
	nearMiss  string // the action that it is a near miss of
	excuse    string
}

type entry struct {
	action Action
	opts   actionOpts
}

var registry = struct {
	sync.RWMutex
	entries map[string]entry
}{entries: map[string]entry{}}

// All returns all registered actions by name. The map is a copy.
func All() map[string]Action {
	return selected(func(string) bool { return true })
}

// ByPackage returns the actions whose names start with the package's name and
// a dot: "syscall" for events/syscall. The map is a copy.
func ByPackage(packageName string) map[string]Action {
	return selected(func(name string) bool {
		return name[:strings.LastIndexByte(name, '.')+1] == packageName+"."
	})
}

// ByRegexp returns the actions whose names match r. The map is a copy.
func ByRegexp(r *regexp.Regexp) map[string]Action {
	return selected(r.MatchString)
}

func selected(want func(name string) bool) map[string]Action {
	registry.RLock()
	defer registry.RUnlock()
	m := make(map[string]Action)
	for name, e := range registry.entries {
		if want(name) {
			m[name] = e.action
		}
	}
	return m
}

// Disabled tells whether the named action is disabled by default. It is false
// for names that are not registered.
func Disabled(name string) bool {
	return lookup(name).disabled
}

func lookup(name string) actionOpts {
	registry.RLock()
	defer registry.RUnlock()
	return registry.entries[name].opts
}

// Register adds f to the registry under the name "<package>.<function>" and
// returns f by that name, so that it can be called in a variable declaration.
// The package's name is taken from the end of its path, less what is by convention
// no part of a name: the major version and "go-", so that the functions of
// example.org/go-actions/v2 and of gopkg.in/actions.v2 are those of actions.
//
// It panics when f is nil, a closure or a method value, which have no name to
// speak of, and when the name is taken: these are mistakes in the program,
// found at its start.
func Register(f Action, opts ...Option) map[string]Action {
	if f == nil {
		panic("events: Register of a nil action")
	}
	full := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	pkg, fn := functionName(full)
	if pkg == "" || !plainFunction(fn) {
		panic(fmt.Sprintf("events: Register of %s: a closure, method or generic function has no name of its own: use RegisterWithName", full))
	}
	return RegisterWithName(f, pkg+"."+fn, opts...)
}

// functionName makes of the runtime's name for a function the names of its package
// and its own. There the package stands with its path, at whose end a dot is %2e.
func functionName(full string) (pkg, fn string) {
	slash := strings.LastIndexByte(full, '/')
	last, fn, _ := strings.Cut(full[slash+1:], ".")
	if slash > 0 && majorVersion.MatchString(last) {
		dirs := full[:slash]
		last = dirs[strings.LastIndexByte(dirs, '/')+1:]
	}
	last = strings.ReplaceAll(last, "%2e", ".")
	if at := strings.LastIndexByte(last, '.'); at > 0 && majorVersion.MatchString(last[at+1:]) {
		last = last[:at]
	}
	return strings.TrimPrefix(last, "go-"), fn
}

var majorVersion = regexp.MustCompile(`^v\d+$`)

// plainFunction tells whether a function's name is that of a declared one, exported
// or unexported.
func plainFunction(fn string) bool {
	return fn != "" && !strings.ContainsAny(fn, ".-([") && !closure.MatchString(fn)
}

// Package-level closures are named glob..func1, or init.func1 by newer
// compilers; both have a second dot. The pattern guards against a bare func1.
var closure = regexp.MustCompile(`^func\d+$`)

// RegisterWithName adds f to the registry under the given name, which should
// have the form "<package>.<Function>". It panics when f is nil, and when the
// name is empty or taken.
func RegisterWithName(f Action, name string, opts ...Option) map[string]Action {
	if f == nil {
		panic(fmt.Sprintf("events: registering %q: the action is nil", name))
	}
	if name == "" {
		panic("events: registering an action: its name is empty")
	}
	var o actionOpts
	Options(opts).apply(&o)
	registry.Lock()
	defer registry.Unlock()
	if _, taken := registry.entries[name]; taken {
		panic(fmt.Sprintf("events: registering %q: the name is taken already", name))
	}
	registry.entries[name] = entry{action: f, opts: o}
	return map[string]Action{name: f}
}
