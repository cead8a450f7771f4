// SPDX-License-Identifier: Apache-2.0

package child

import (
	"errors"
	"fmt"
	"time"

	"github.com/falcotest/go-falcotest/internal/child/protocol"
)

// What both ends of the protocol know.
type (
	Outcome    = protocol.Outcome
	Window     = protocol.Window
	Record     = protocol.Record
	PanicError = protocol.PanicError
)

// The outcomes.
const (
	Completed = protocol.Completed
	Skipped   = protocol.Skipped
	Failed    = protocol.Failed
	TimedOut  = protocol.TimedOut
)

// Result is how an action's process ended.
type Result struct {
	Outcome Outcome
	Reason  string    // why it was skipped, failed or timed out
	Err     error     // why it failed or timed out, nil else
	Started time.Time // the action, by its own clock
	Ended   time.Time
	Gone    time.Time // its tree: Ended, unless other processes lived then
	Windows []Window
	PIDs    []int    // its processes, as far as known: its first, those of SpawnAs, those that had to be killed
	Killed  []int    // of PIDs: that outlived the action and were killed
	Undone  []string // changes that the action left and that were undone from the journal
	Log     []Record
	Output  string // the end of what it wrote to standard error and output
}

// ErrNoHook is what a [NoHookError] is.
var ErrNoHook = errors.New("this executable cannot run actions in processes of their own")

// NoHookError says that the program does not call the hook, so that its copy
// did not become an action's process.
type NoHookError struct {
	Program string
	Output  string // what the copy wrote instead
}

// Error implements error.
func (e *NoHookError) Error() string {
	return fmt.Sprintf("%s does not let actions run in processes of their own: add "+
		"\"func TestMain(m *testing.M) { falcotest.Main(m) }\" to the tests, or call helper.Main() first in a program's main",
		e.Program)
}

// Is makes it an [ErrNoHook].
func (e *NoHookError) Is(target error) bool { return target == ErrNoHook }
