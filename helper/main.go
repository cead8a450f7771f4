// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/config"
)

// Main is the hook by which actions get processes of their own: this
// executable is executed again, and Main makes that process the action's and
// never returns in it. In any other process it does nothing.
//
// Call it first in main. Tests call falcotest.Main, which calls it. Without
// the hook, running an action fails and says so.
func Main() { child.Main() }

// ID returns the id of the run of an action that this process belongs to, ""
// outside of one. It is in the environment of all that the action starts, as
// FALCOTEST_ID, and in the path of what [events.Helper.SpawnAs] executes. What
// an action puts it into besides, such as the name of a file, lets an alert
// that shows this be attributed to the run.
func ID() string { return config.ID() }
