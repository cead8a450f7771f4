// SPDX-License-Identifier: Apache-2.0

package helper

import (
	"maps"
	"os"
	"runtime/debug"
	"slices"

	"github.com/falcotest/go-falcotest/internal/child"
)

// Main makes this process an action's child, if it was started to be one, and
// then does not return. Otherwise it does nothing. Call it first in main, or
// falcotest.Main in TestMain.
func Main() {
	child.Enter(run)
}

// ID returns the id of the run that this process belongs to, or "" outside of
// one. It is in the environment of all processes that an action starts, and
// SpawnAs puts it into the path of their executables; an action that cannot
// rely on either puts it into arguments and file names, so that an alert which
// shows those can be attributed to the run.
func ID() string { return os.Getenv(child.EnvID) }

// Folder returns a folder of the action's own, whose name contains the id and
// which is removed when the action has ended, or "" outside of an action.
func Folder() string { return os.Getenv(child.EnvFolder) }

func stack() []byte { return debug.Stack() }

func sortedKeys[M ~map[string]V, V any](m M) []string {
	return slices.Sorted(maps.Keys(m))
}
