// SPDX-License-Identifier: Apache-2.0

// Package child runs one action in a process of its own: this executable, run
// again and entered through [Enter].
//
// The parent [Start]s a child, which prepares itself (mounts of its own, when
// asked) and then waits at its gate before it does anything that an action
// does, so that a tracer can be attached. [Child.Open] opens the gate with a
// [Setup]; the child installs the seccomp filter in it, runs the action and
// its cleanups, and reports. [Child.Wait] returns the report, and [Child.End]
// sees that nothing of the child's tree is left.
//
// Both sides speak in lines of JSON over a reader and a writer: two inherited
// descriptors here, the standard streams where the child is in a container.
// The gate stays open as long as the parent lives: a child whose gate closes
// ends itself and its session.
//
// The package imports internal/trace for the filter and knows no actions: what
// to run is a function given to Enter.
package child

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// The environment of children. ID goes first in it, because Falco keeps only
// the first 4096 bytes of an environment.
const (
	EnvID     = "FALCOTEST_ID"
	EnvSpawn  = "FALCOTEST_SPAWN"       // the action that a spawned child runs
	EnvDepth  = "FALCOTEST_SPAWN_DEPTH" // how many spawned children are above
	EnvSleep  = "FALCOTEST_SPAWN_SLEEP" // a delay before a spawned child's action
	EnvFolder = "FALCOTEST_FOLDER"      // the action's own folder, removed at its end
	EnvStdio  = "FALCOTEST_STDIO"       // the gate and the reports are the standard streams
)

// Verb is the first argument of an action's child; the action's name and the
// id follow it.
const Verb = "falcotest-action"

// Outcome is how an action ended in its child.
type Outcome string

// The outcomes.
const (
	Completed Outcome = "completed"
	Skipped   Outcome = "skipped"
	Failed    Outcome = "failed"
	TimedOut  Outcome = "timed out"
	Crashed   Outcome = "crashed"
)

// ErrNoHook is returned when the executable did not enter the child's part.
var ErrNoHook = errors.New("this executable cannot run actions, because it does not call the hook that does: add\n\n\tfunc TestMain(m *testing.M) { falcotest.Main(m) }\n\nto the tests of the package (or call helper.Main() first in the program's main)")

// Spec says what to run and how.
type Spec struct {
	Action   string
	ID       string
	Env      []string      // further NAME=value pairs
	Deadline time.Duration // of the action; 0 means 30 s
	// Hermetic gives the child mounts of its own: what it writes to the
	// system's folders vanishes with it. See [Hermetic].
	Hermetic bool
}

// Setup is what the parent tells the child as it opens the gate.
type Setup struct {
	Filter []byte `json:"filter,omitempty"` // a seccomp program, see internal/trace
}

// Result is what became of an action in its child.
type Result struct {
	Outcome Outcome
	Reason  string // why it was skipped, failed, crashed
	Stack   string // where it panicked
	Log     []string
	Started time.Time // when the gate was opened
	Ended   time.Time // when the action and its cleanups had ended
	Notes   []string  // what the child could not prepare, e.g. mounts
}

// NewID returns an id for one run of one action: unique, and of letters and
// digits only, so that it can stand in file names and command lines.
func NewID() string {
	return "ft" + strings.ToLower(rand.Text()[:14])
}

// report is a line from the child.
type report struct {
	Ready bool     `json:"ready,omitempty"` // it waits at its gate
	Notes []string `json:"notes,omitempty"`
	Log   string   `json:"log,omitempty"`
	Done  *done    `json:"done,omitempty"`
}

type done struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	Stack   string  `json:"stack,omitempty"`
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // the types above always encode
		panic(err)
	}
	return append(b, '\n')
}
