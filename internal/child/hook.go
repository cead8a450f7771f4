// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/child/inside"
	"github.com/falcotest/go-falcotest/internal/config"
)

// hooked is whether this program called the hook.
var hooked bool

// Hooked returns nil if this program called [Main], without which it cannot run
// actions, and else a [NoHookError].
func Hooked() error {
	if hooked {
		return nil
	}
	return &NoHookError{Program: os.Args[0]}
}

// ErrNested is what Main says in a copy of the executable that an action
// started by other means than SpawnAs.
var errNested = errors.New("falcotest: this copy of the executable was started by an action, not by SpawnAs, and does nothing")

// Main is the hook: in an action's process it runs the action and does not
// return; in any other it returns at once. Call it before anything else.
func Main() {
	hooked = true
	if inside.Here() == inside.Ordinary {
		if config.ID() != "" {
			fmt.Fprintln(os.Stderr, errNested)
			os.Exit(2)
		}
		return
	}
	if inside.Begin() {
		debug.SetGCPercent(400) // what the initialisations made stays
	}
	if inside.Here() == inside.Reaper {
		reap()
	}
	inside.Run(inside.Work{Program: prepare, Action: registered})
}

// registered is what a registered action does in this process.
func registered(p *inside.Process, name string) func() error {
	action, ok := events.All()[name]
	if !ok {
		return nil
	}
	h := &helper{p}
	return func() error { return h.do(action) }
}
